/* scratch.c - room for what a function cannot keep on a stack that may be small. */
#include "base/bits.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "os.h"

static NOINLINE void use_stack(void (*use)(void *room, void *context), void *context) {
    _Alignas(16) char room[OS_SCRATCH_MOST];
    use(room, context);
}

void os_with_scratch(size_t size, void (*use)(void *room, void *context), void *context) {
    ASSERT(size <= OS_SCRATCH_MOST);
    size = round_up(size, OS_PAGE);
    void *room;
    if (os_map(size, OS_PAGE, &room) != 0) {
        use_stack(use, context);
        return;
    }
    use(room, context);
    (void)os_unmap(room, size);
}
