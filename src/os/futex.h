/* futex.h - words to wait on within the process, and words that the kernel reads and sets without faulting. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleeps while the word is `value`. May return early, so the caller must check again. */
void futex_wait(_Atomic uint32_t *word, uint32_t value);

/* Wakes one waiter. */
void futex_wake(_Atomic uint32_t *word);

/* `value` is below 2048. EFAULT if the address is not writable. */
int futex_word_set(void *address, uint32_t value);

/* Both are false if the address is not readable. */
bool futex_word_is(const void *address, uint32_t value);
bool futex_word_is_not(const void *address, uint32_t value);
