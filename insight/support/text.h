/*
 * text.h - numbers for people, and colours on terminals.
 */
#pragma once

#include <stdint.h>

/* "512 B", "11.8 MiB": rounded down. Returns one of a few static buffers: good until a line has been printed. */
const char *text_size(uint64_t bytes);

/* "12 s", "3 min", "5 h", "2 days"; likewise. */
const char *text_age(uint64_t seconds);

/* "1 s .. 3 min", or one of them if both read the same; likewise. */
const char *text_ages(uint64_t youngest, uint64_t oldest);

/* The sequences for a colour, and for no colour; "" without a terminal, or if NO_COLOR is set. */
enum colour { COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE, COLOUR_CYAN, COLOUR_GREY };
const char *colour(enum colour colour);
const char *colour_off(void);

/* The terminal's columns; `usual` if standard output is none. */
unsigned text_columns(unsigned usual);
