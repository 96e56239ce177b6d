/*
 * input.h - reads libFuzzer's bytes one after the other.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *next;
    const uint8_t *end;
};

/* 0 at the end. */
static inline uint8_t input_byte(struct input *input) {
    return input->next < input->end ? *input->next++ : 0;
}

/* A number below 65536. */
static inline size_t input_number(struct input *input) {
    size_t low = input_byte(input);
    return low | (size_t)input_byte(input) << 8;
}
