/* list.h - intrusive, circular, doubly linked lists. The head is itself a link, so no operation has a special case. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define CONTAINER_OF(link, type, member) ((type *)((uintptr_t)(link)-offsetof(type, member)))

static inline void list_init(struct list *head) {
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline void list_insert_after(struct list *at, struct list *link) {
    link->next = at->next;
    link->prev = at;
    at->next->prev = link;
    at->next = link;
}

static inline void list_push_front(struct list *head, struct list *link) {
    list_insert_after(head, link);
}

static inline void list_push_back(struct list *head, struct list *link) {
    list_insert_after(head->prev, link);
}

/* The link then points at itself, so a second removal does no harm. */
static inline void list_remove(struct list *link) {
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* O(n). */
size_t list_length(const struct list *head);

/* Whether at most `limit` links agree with their neighbours. O(n). */
bool list_valid(const struct list *head, size_t limit);
