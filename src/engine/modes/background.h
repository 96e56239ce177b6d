/* background.h - the option background: a thread that does upkeep while the program's threads sleep. It is created
 * after the program has created a thread, never by malloc, which may be called with the loader's lock held. It has no
 * heap, blocks all signals, and ends when the option is switched off. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* Sets whether the thread is wanted. */
void background_enable(bool enable);

typedef int background_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                              void *argument);

/* Call it when the program has created a thread: creates ours, by `create`, if it is wanted and missing. */
void background_ensure(background_create *create);

/* Sets something else to do each time the thread wakes up. Call it before the thread can be created. */
void background_also(void (*act)(void));

/* In a forked child, where there is none. */
void background_recover(void);
