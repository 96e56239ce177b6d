/*
 * double_free.c - a block was freed twice. Who finds that:
 *   - a free on the fast path: the live bit is clear, or the remote bit set (fast_live_end);
 *   - a free in another heap's slab (remote_free), or in one that no heap owns (abandoned_free);
 *   - a free of a large block (large_end, called by free_large), a huge one (huge_free) or a sample
 * (sampled_block_free);
 *   - arena_free, for a block of an arena: live_end in free_slowly, and before that block_of;
 *   - with check=deferred, the flush of a full magazine (magazine_prove);
 *   - with harden, a free that finds no live record (harden_free.c);
 *   - malloc, if two threads freed the block at the same moment (fast_live_begin).
 * fault_report.c words the message. The other heaps find and word theirs: hmm/hmm_alloc.c, mems_heap/resolve.c.
 */
#include "engine/reports/fault_report.h"
#include "fast_path.h"

COLD void free_fault(void *block) {
    fault_report("free", block);
}

COLD void alloc_fault(void *block) {
    fault_report_end("free", block);
}
