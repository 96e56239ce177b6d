#include "copy.h"

#include "base/fault.h"

char *copy_begin(struct mems_space *space, struct sub_node *node) {
    node->copies++;
    space->copying++;
    return node->physical;
}

bool copy_over(struct mems_space *space, struct sub_node *node) {
    ASSERT(node->copies > 0);
    space->copying--;
    node->copies--;
    if (node->copies == 0) {
        store_unpinned(node);
    }
    return node->copies == 0;
}

void copy_end(struct mems_space *space, const void *v_ptr) {
    lock_take(&space->lock);
    struct sub_node *node = dict_search(&space->dict, handle_address((uintptr_t)v_ptr));
    if (node == NULL || node->copies == 0) {
        return; /* in a child: a signal handler that interrupted the copy forked it */
    }
    if (copy_over(space, node) && sub_node_kind(node) == SEGMENT_DOOMED) {
        space_give_block(space, node);
    }
}

void copy_forget_all(struct mems_space *space) {
    for (struct list *link = space->chain.list.next; space->copying > 0 && link != &space->chain.list;
         link = link->next) {
        const struct main_node *main = main_node_of(link);
        for (struct list *at = main->sub_chain.next; at != &main->sub_chain;) {
            struct sub_node *node = sub_node_of(at);
            at = at->next;
            if (sub_node_kind(node) == SEGMENT_HOLE || node->copies == 0) {
                continue;
            }
            space->copying -= node->copies;
            node->copies = 0;
            if (sub_node_kind(node) == SEGMENT_DOOMED) {
                at = space_give_block(space, node)->link.next;
            }
        }
    }
}

void copy_doom(struct mems_space *space, struct sub_node *node) {
    dict_set_tag(&space->dict, node, sub_node_tag(SEGMENT_DOOMED, sub_node_generation(node)));
}
