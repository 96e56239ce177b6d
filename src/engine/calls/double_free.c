/*
 * double_free.c - a block was freed twice. Who finds that:
 *   - a free on the fast path: the live bit is clear, or the remote bit set (fast_live_end);
 *   - a free in another heap's slab (remote_free), or in one that no heap owns (abandoned_free);
 *   - with check=deferred, the flush of a full magazine (magazine_prove);
 *   - with harden, a free that finds no live record (harden_free.c);
 *   - malloc, if two threads freed the block at the same moment (fast_live_begin).
 * fault_report.c words the message.
 */
#include "engine/reports/fault_report.h"
#include "fast_path.h"

COLD void free_fault(void *block) {
    fault_report("free", block);
}

COLD void alloc_fault(void *block) {
    fault_report_end("free", block);
}
