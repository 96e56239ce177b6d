/*
 * background.h - a thread that sees to memory while the program's own threads sleep: the option background.
 *
 * It is made after the program has made a thread of its own: never by malloc, which may be called with the loader's
 * lock held. It has no heap, blocks all signals, and ends when the option is switched off.
 */
#ifndef MEMS_ENGINE_BACKGROUND_H
#define MEMS_ENGINE_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>

/* Whether it is wanted. */
void background_enable(bool enable);

typedef int background_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                              void *argument);

/* The program has made a thread, by `create`: makes ours if it is wanted and there is none. */
void background_ensure(background_create *create);

/* What the thread does besides, each time that it is awake. Before it can be made. */
void background_also(void (*act)(void));

/* In a forked child: there is none. */
void background_recover(void);

#endif
