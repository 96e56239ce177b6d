/*
 * space_input.h - chooses a kind of space by a byte of the input.
 */
#pragma once

#include "mems.h"

static inline struct mems_space_options input_space(uint8_t kind) {
    return (struct mems_space_options){
        .page_size = (kind & 1) != 0 ? 8192 : 4096,
        .alignment = (kind & 2) != 0 ? 16 : 8,
        .generations = (kind & 4) != 0 ? -1 : 1,
    };
}
