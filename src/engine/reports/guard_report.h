/* guard_report.h - the option guard_report: the process itself explains a fault in a sampled block. A handler of
 * SIGSEGV and SIGBUS reports the block, its distance from the address, and who allocated and freed it. Then it calls
 * the previous handler; if there was none, it restores the previous action, and the instruction faults again, so that a
 * core is written. Without the option there is no handler, and `mems whatis` says the same about the core. */
#pragma once

#include <stdbool.h>

/* Installs the handler, or restores the previous one unless another has replaced ours. Under mems_root.lock. */
void guard_report_enable(bool enable);
