/*
 * space_fuzz.c - bytes as operations on a MeMS heap, compared with a model.
 *
 * The first byte chooses the space; each operation is a byte and the numbers it needs. If an operation leaves space and
 * model different, the program ends.
 */
#include "../mems_heap/twin.h"
#include "input.h"
#include "os/os.h"
#include "space_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every operation adds at most two segments; beyond this, the model's linear searches take most of the time. */
#define BLOCKS_MAX 400

/* Small steps for fine adjustment, large ones for whole pages; never 0. */
static size_t take_size(struct input *input) {
    size_t byte = input_byte(input);
    return byte < 128 ? 1 + 8 * byte : 1 + 128 * (byte - 127);
}

static void act_on_block(struct twin *twin, struct input *input, uint8_t operation) {
    size_t index = layout_process(&twin->layout, input_byte(input));
    if (index == LAYOUT_NONE) {
        return;
    }
    size_t size = twin->layout.pieces[index].size;
    switch (operation) {
    case 0:
        twin_free(twin, index);
        break;
    case 1:
        twin_realloc(twin, index, take_size(input));
        break;
    default:
        twin_copy(twin, index, input_number(input) % size, input_number(input));
    }
}

static void act(struct twin *twin, struct input *input) {
    uint8_t operation = input_byte(input);
    twin->refusals = operation >= 192; /* the next mappings fail */
    if (twin->refusals) {
        os_inject(OS_CALL_MMAP, operation & 1, 1 + (operation >> 1 & 1), ENOMEM);
    }
    switch (operation >> 2 & 7) {
    case 0:
    case 1:
        if (twin->layout.count < BLOCKS_MAX) {
            twin_alloc(twin, take_size(input), operation & 32);
        }
        break;
    case 5:
        if (!twin->refusals) {
            twin_trim(twin);
        }
        break;
    case 6:
        twin_try_address(twin, input_number(input));
        twin_try_stale(twin, input_byte(input));
        break;
    default:
        act_on_block(twin, input, (uint8_t)((operation >> 2 & 7) - 2));
    }
    os_inject_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct twin twin;
    struct input input = {.next = data, .end = data + size};
    uint8_t kind = input_byte(&input);
    struct mems_space_options options = input_space(kind);
    twin_begin(&twin, space_create(&options), options.page_size, options.alignment);
    while (input.next < input.end) {
        act(&twin, &input);
        twin_compare(&twin);
    }
    twin_check_contents(&twin);
    twin_listen();
    space_destroy("mems_space_destroy", twin.space);
    twin_expect_silence();
    return 0;
}
