/* report.h - the heap's last line of a core's process. */
#pragma once

#include "target/target.h"

/* The fault report of the thread that ended the process (base/fault.h), from its stack; NULL: there is none, or calls
 * have overwritten it. The caller frees it. */
char *report_find(struct target *target);
