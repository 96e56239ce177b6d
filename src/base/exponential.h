/* exponential.h - sampling by bytes. Each requested byte is a sample point with probability 1 / `mean`. A block of s
 * bytes is sampled if it contains one, with probability p = 1 - exp(-s / mean), so a sample stands for 1 / p blocks.
 * The heaps do not link libm; these functions are exact to some 40 bits, and slow. */
#pragma once

#include <stdint.h>

/* Bytes to the next sample point, from 64 random bits. 0 for a mean of 1, which samples everything. */
uint64_t exponential_draw(uint64_t random, uint64_t mean);

/* The probability that a block of `bytes`, at least 1, is sampled. */
double exponential_share(uint64_t bytes, uint64_t mean);

/* xorshift64*; the state must not be 0. */
uint64_t exponential_random(uint64_t *state);
