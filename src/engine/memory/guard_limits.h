/* guard_limits.h - how many guards may be mappings of their own. A process has a limited number of mappings
 * (vm.max_map_count, 65,530 by default), most of which belong to the program: beyond these bounds there are no more
 * such guards. A guard that is a mark in the page tables is not one, so marks have no bound. */
#pragma once

/* Of hardened slabs and blocks (harden_guards.h), where the kernel has no marks. */
#define HARDEN_GUARDS_MAX 8192u

/* Of samples (guarded_span.h). An unused cell counts as two, because it is opened in the middle. */
#define SAMPLE_GUARDS_MAX 4096u
