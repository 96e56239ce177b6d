/* advised.c - records the program's madvise and mlock on pages of a block, which end with the block. */
#include "engine/engine.h"
#include "engine/memory/huge.h"
#include "engine/root/root.h"
#include "engine/slabs/advice.h"
#include "engine/tables/window.h"

/* Also in a child that shares the process's memory: its pages are the same. */
void engine_advised(const void *start, size_t size) {
    uintptr_t end = (uintptr_t)start + size;
    if (mems_root.options.advice != TOGGLE_ON || !root_ready()) {
        return;
    }
    huge_note_advice(start, size);
    if (end > window.base && (uintptr_t)start < window.base + window.units_area.size) {
        advice_note(start, size);
    }
}
