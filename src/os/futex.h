/*
 * futex.h - words that threads of this process wait on, and that the kernel compares and sets without a fault.
 */
#ifndef MEMS_OS_FUTEX_H
#define MEMS_OS_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleeps while the word is `value`, until a wake; a signal may end it early. So whoever waits looks again. */
void futex_wait(_Atomic uint32_t *word, uint32_t value);

/* Wakes one thread that waits on the word. */
void futex_wake(_Atomic uint32_t *word);

/* Sets the word at an address to `value`, below 2048. 0, or EFAULT where it cannot be written. */
int futex_word_set(void *address, uint32_t value);

/* Whether the word at an address is `value`; false where it cannot be read. */
bool futex_word_is(const void *address, uint32_t value);

#endif
