#include "list.h"

bool list_valid(const struct list *head, size_t limit) {
    const struct list *link = head;
    for (size_t count = 0; count <= limit; count++) {
        if (link->next == NULL || link->next->prev != link) {
            return false; /* checking every next->prev covers both directions */
        }
        link = link->next;
        if (link == head) {
            return true;
        }
    }
    return false;
}

size_t list_length(const struct list *head) {
    size_t length = 0;
    for (const struct list *link = head->next; link != head; link = link->next) {
        length++;
    }
    return length;
}
