/*
 * movable_fuzz.c - bytes as operations on a MeMS heap whose blocks move: handles and bytes stay the same.
 *
 * The first byte chooses the space; each operation is a byte and the numbers it needs.
 */
#include "../mems_heap/herd.h"
#include "input.h"
#include "os/os.h"
#include "space_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small steps for fine adjustment, large ones for regions; never 0. */
static size_t take_size(struct input *input) {
    size_t byte = input_byte(input);
    return byte < 128 ? 1 + 8 * byte : byte < 250 ? 1 + 256 * (byte - 127) : 100000 * (byte - 249);
}

static void act_on_block(struct herd *herd, struct input *input, uint8_t operation) {
    if (herd->count == 0) {
        return;
    }
    size_t index = input_number(input) % herd->count;
    switch (operation) {
    case 0:
        herd_free(herd, index);
        break;
    case 1:
        herd_resize(herd, index, take_size(input));
        break;
    case 2:
        herd_pin(herd, index);
        break;
    case 3:
        herd_unpin(herd, index);
        break;
    default:
        herd_copy(herd, index, input_number(input));
    }
}

static void act(struct herd *herd, struct input *input) {
    uint8_t operation = input_byte(input);
    herd->refusals = operation >= 192; /* the next calls fail */
    if (herd->refusals) {
        os_inject((operation & 2) != 0 ? OS_CALL_MMAP : OS_CALL_MUNMAP, operation & 1, 2, ENOMEM);
    }
    switch (operation >> 2 & 7) {
    case 0:
    case 1:
        if (herd->count < 200) {
            herd_alloc(herd, take_size(input), operation & 32);
        }
        break;
    case 2:
        (void)space_compact("compact", herd->space, input_number(input));
        break;
    default:
        act_on_block(herd, input, (uint8_t)((operation >> 2 & 7) - 3));
    }
    os_inject_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct herd herd;
    struct input input = {.next = data, .end = data + size};
    uint8_t kind = input_byte(&input);
    struct mems_space_options options = input_space(kind);
    options.movable = (kind & 24) != 0 ? MEMS_MOVABLE : MEMS_MOVES_ALWAYS;
    herd_begin(&herd, &options);
    while (input.next < input.end) {
        act(&herd, &input);
        CHECK_VALID_SPACE(herd.space);
    }
    herd.refusals = false;
    herd_end(&herd);
    return 0;
}
