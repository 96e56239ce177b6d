/*
 * list_test.c - lists against an array with the same items in the same order.
 */
#include "support/test.h"

#include <string.h>

#include "base/list.h"
#include "support/random.h"

#define ITEMS 40
#define STEPS 50000

struct item {
    int payload; /* so that a link is not at its item's address */
    struct list link;
};

static struct list head;
static struct item items[ITEMS];
static struct item *model[ITEMS];
static size_t count;

static void model_insert(size_t at, struct item *item) {
    memmove(&model[at + 1], &model[at], (count - at) * sizeof model[0]);
    model[at] = item;
    count++;
}

static void model_remove(size_t at) {
    count--;
    memmove(&model[at], &model[at + 1], (count - at) * sizeof model[0]);
}

static void assert_same(void) {
    assert_true(list_valid(&head, count));
    assert_int_equal(list_empty(&head), count == 0);
    const struct list *link = head.next;
    for (size_t i = 0; i < count; i++, link = link->next) {
        assert_ptr_equal(link, &model[i]->link);
        assert_ptr_equal(CONTAINER_OF(&model[i]->link, struct item, link), model[i]);
    }
    assert_ptr_equal(link, &head);
}

static struct item *pick_absent(struct random *random) {
    struct item *item = &items[random_below(random, ITEMS)];
    for (size_t i = 0; i < count; i++) {
        if (model[i] == item) {
            return NULL;
        }
    }
    return item;
}

static void insert_somewhere(struct random *random, struct item *item) {
    size_t at;
    switch (random_below(random, count != 0 ? 3 : 2)) {
    case 0:
        list_push_front(&head, &item->link);
        model_insert(0, item);
        break;
    case 1:
        list_push_back(&head, &item->link);
        model_insert(count, item);
        break;
    default:
        at = random_below(random, count);
        list_insert_after(&model[at]->link, &item->link);
        model_insert(at + 1, item);
        break;
    }
}

static void remove_somewhere(struct random *random) {
    size_t at = random_below(random, count);
    struct list *link = &model[at]->link;
    list_remove(link);
    assert_true(list_empty(link));
    if (random_below(random, 4) == 0) {
        list_remove(link); /* does no harm */
    }
    model_remove(at);
}

static void random_operations_agree_with_an_array(void) {
    struct random random = random_start();
    list_init(&head);
    assert_same();
    for (int step = 0; step < STEPS; step++) {
        struct item *item = pick_absent(&random);
        if (item != NULL) {
            insert_somewhere(&random, item);
        } else {
            remove_somewhere(&random);
        }
        assert_same();
    }
}

static void valid_finds_broken_links(void) {
    struct list three[3];
    struct list ring;
    list_init(&ring);
    for (int i = 0; i < 3; i++) {
        list_push_back(&ring, &three[i]);
    }
    assert_true(list_valid(&ring, 3));
    assert_false(list_valid(&ring, 2));
    struct list good = three[1];
    three[1].next = &ring;
    assert_false(list_valid(&ring, 3));
    three[1].next = NULL;
    assert_false(list_valid(&ring, 3));
    three[1] = good;
    three[1].prev = &three[1];
    assert_false(list_valid(&ring, 3));
    three[1] = good;
    assert_true(list_valid(&ring, 3));
    three[2].next = &three[0]; /* a ring without the head */
    three[0].prev = &three[2];
    assert_false(list_valid(&ring, 1000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(random_operations_agree_with_an_array),
        PLAIN(valid_finds_broken_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
