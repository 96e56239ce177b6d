/* futex.h - words that threads of this process wait on, and that the kernel reads and sets without faulting. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleeps while the word is `value`, until a wake or a signal; the caller must check again. */
void futex_wait(_Atomic uint32_t *word, uint32_t value);

/* Wakes one thread that is waiting on the word. */
void futex_wake(_Atomic uint32_t *word);

/* Sets the word to `value`, below 2048. Returns 0, or EFAULT if the address is not writable. */
int futex_word_set(void *address, uint32_t value);

/* Whether the word is `value`, or is something else; both false if the address is not readable. */
bool futex_word_is(const void *address, uint32_t value);
bool futex_word_is_not(const void *address, uint32_t value);
