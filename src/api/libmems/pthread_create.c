/* pthread_create.c - the C library's pthread_create. After the first thread it starts ours, if the option background
 * asks for it. If the heap leaves no room for a thread, it gives up its reservation, or its free memory. */
#include <errno.h>
#include <pthread.h>

#include "api/family/next_function.h"
#include "engine/engine.h"
#include "engine/modes/background.h"

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    static _Atomic(void *) known;
    background_create *next;
    *(void **)&next = next_function(&known, "pthread_create");
    if (next == NULL) {
        return EAGAIN;
    }
    int error = next(thread, attributes, run, argument);
    if (error == EAGAIN && engine_make_room()) {
        error = next(thread, attributes, run, argument);
    }
    if (error == 0) {
        background_ensure(next);
    }
    return error;
}
