/* pprof.c - a profile in pprof's format: profile.proto, in gzip. The values are estimates already. The file is small,
 * so it is not compressed, which gzip allows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples/profile.h"
#include "support/support.h"
#include "support/texts.h"

/* --- Messages ----------------------------------------------------------------------------------------------------- */

struct bytes {
    unsigned char *bytes;
    size_t count;
};

static void put(struct bytes *to, unsigned char byte) {
    to->bytes = grow(to->bytes, to->count, 1);
    to->bytes[to->count++] = byte;
}

static void put_varint(struct bytes *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        put(to, (unsigned char)(value | 0x80));
    }
    put(to, (unsigned char)value);
}

/* A field that is 0 is left out. */
static void put_number(struct bytes *to, unsigned field, uint64_t value) {
    if (value != 0) {
        put_varint(to, field << 3);
        put_varint(to, value);
    }
}

static void put_block(struct bytes *to, unsigned field, const void *from, size_t size) {
    put_varint(to, field << 3 | 2);
    put_varint(to, size);
    for (size_t i = 0; i < size; i++) {
        put(to, ((const unsigned char *)from)[i]);
    }
}

/* A message within one, which it frees. */
static void put_message(struct bytes *to, unsigned field, struct bytes *message) {
    put_block(to, field, message->bytes, message->count);
    free(message->bytes);
    *message = (struct bytes){0};
}

/* --- Tables ------------------------------------------------------------------------------------------------------- */

/* By name and file; numbers from 1. */
struct functions {
    struct function_key {
        uint64_t name;
        uint64_t file;
    } *keys;
    size_t count;
};

struct writer {
    struct profile *profile;
    struct bytes out;
    struct texts texts; /* a text's number is its place */
    struct functions functions;
    struct code_module *mappings;
    size_t mapping_count;
    const struct call **locations; /* numbers from 1 on */
    size_t location_count;
};

static uint64_t function_number(struct writer *writer, const struct code_place *place) {
    struct functions *functions = &writer->functions;
    const uint64_t name = texts_place(&writer->texts, place->function);
    const uint64_t file = texts_place(&writer->texts, place->file != NULL ? place->file : "");
    for (size_t i = 0; i < functions->count; i++) {
        if (functions->keys[i].name == name && functions->keys[i].file == file) {
            return i + 1;
        }
    }
    functions->keys = grow(functions->keys, functions->count, sizeof *functions->keys);
    functions->keys[functions->count] = (struct function_key){name, file};
    return ++functions->count;
}

/* From 1; the program is the first. */
static uint64_t mapping_number(struct writer *writer, const struct code_module *module) {
    for (size_t i = 0; i < writer->mapping_count; i++) {
        if (writer->mappings[i].start == module->start) {
            return i + 1;
        }
    }
    writer->mappings = grow(writer->mappings, writer->mapping_count, sizeof *writer->mappings);
    writer->mappings[writer->mapping_count] = *module;
    return ++writer->mapping_count;
}

static uint64_t location_number(struct writer *writer, const struct call *call) {
    for (size_t i = 0; i < writer->location_count; i++) {
        if (writer->locations[i] == call) {
            return i + 1;
        }
    }
    writer->locations = grow(writer->locations, writer->location_count, sizeof *writer->locations);
    writer->locations[writer->location_count] = call;
    return ++writer->location_count;
}

/* --- profile.proto ------------------------------------------------------------------------------------------------ */

static void put_value_type(struct writer *writer, unsigned field, const char *type, const char *unit) {
    struct bytes message = {0};
    put_number(&message, 1, texts_place(&writer->texts, type));
    put_number(&message, 2, texts_place(&writer->texts, unit));
    put_message(&writer->out, field, &message);
}

static void put_sample(struct writer *writer, const struct site *site) {
    struct profile *profile = writer->profile;
    const struct call_stack *stack = site->stack;
    struct bytes message = {0};
    struct bytes packed = {0};
    for (unsigned i = calls_skip_heap(&profile->calls, stack); stack != NULL && i < stack->depth; i++) {
        put_varint(&packed, location_number(writer, calls_find(&profile->calls, stack->frames[i])));
    }
    put_message(&message, 1, &packed);
    const double values[] = {site->allocated.blocks, site->allocated.bytes, site->value.blocks, site->value.bytes};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        put_varint(&packed, (uint64_t)llround(values[i]));
    }
    put_message(&message, 2, &packed);
    char *group = profile_group_name(profile, site);
    if (group != NULL) {
        put_number(&packed, 1, texts_place(&writer->texts, profile->group == GROUP_THREAD ? "thread" : "class"));
        put_number(&packed, 2, texts_place(&writer->texts, group));
        put_message(&message, 3, &packed);
        free(group);
    }
    put_message(&writer->out, 2, &message);
}

static void put_location(struct writer *writer, size_t number) {
    const struct call *call = writer->locations[number];
    struct bytes message = {0};
    put_number(&message, 1, number + 1);
    put_number(&message, 2, call->has_module ? mapping_number(writer, &call->module) : 0);
    put_number(&message, 3, call->address - 1);
    for (size_t i = 0; i < call->place_count; i++) {
        struct bytes line = {0};
        put_number(&line, 1, function_number(writer, &call->places[i]));
        put_number(&line, 2, (uint64_t)call->places[i].line);
        put_message(&message, 4, &line);
    }
    put_message(&writer->out, 4, &message);
}

static void put_mapping(struct writer *writer, size_t number) {
    const struct code_module *module = &writer->mappings[number];
    struct bytes message = {0};
    put_number(&message, 1, number + 1);
    put_number(&message, 2, module->start);
    put_number(&message, 3, module->end);
    put_number(&message, 5, texts_place(&writer->texts, module->path != NULL ? module->path : ""));
    put_number(&message, 6, texts_place(&writer->texts, module->build_id));
    put_number(&message, 7, 1); /* has_functions, has_filenames, has_line_numbers, has_inline_frames */
    put_number(&message, 8, 1);
    put_number(&message, 9, 1);
    put_number(&message, 10, 1);
    put_message(&writer->out, 3, &message);
}

static void put_function(struct writer *writer, size_t number) {
    const struct function_key *key = &writer->functions.keys[number];
    struct bytes message = {0};
    put_number(&message, 1, number + 1);
    put_number(&message, 2, key->name);
    put_number(&message, 3, key->name);
    put_number(&message, 4, key->file);
    put_message(&writer->out, 5, &message);
}

/* pprof takes the first file for the program, so it comes first, if known. */
static void put_program_first(struct writer *writer) {
    const struct target *target = &writer->profile->session->target;
    struct code_module module;
    for (size_t i = 0; i < target->mapping_count; i++) {
        const char *name = strrchr(target->mappings[i].path, '/');
        if (target->mappings[i].executable && name != NULL && strcmp(name + 1, target->program) == 0 &&
            symbols_module(session_symbols(writer->profile->session), target->mappings[i].start, &module)) {
            mapping_number(writer, &module);
            return;
        }
    }
}

static void put_profile(struct writer *writer) {
    struct profile *profile = writer->profile;
    (void)texts_place(&writer->texts, "");
    put_value_type(writer, 1, "alloc_objects", "count");
    put_value_type(writer, 1, "alloc_space", "bytes");
    put_value_type(writer, 1, "inuse_objects", "count");
    put_value_type(writer, 1, "inuse_space", "bytes");
    put_program_first(writer);
    for (size_t i = 0; i < profile->count; i++) {
        put_sample(writer, &profile->sites[i]);
    }
    for (size_t i = 0; i < writer->location_count; i++) {
        put_location(writer, i);
    }
    for (size_t i = 0; i < writer->mapping_count; i++) {
        put_mapping(writer, i);
    }
    for (size_t i = 0; i < writer->functions.count; i++) {
        put_function(writer, i);
    }
    put_value_type(writer, 11, "space", "bytes");
    put_number(&writer->out, 12, profile_interval(profile));
    put_number(&writer->out, 14, texts_place(&writer->texts, "inuse_space"));
    for (size_t i = 0; i < writer->texts.count; i++) {
        put_block(&writer->out, 6, writer->texts.texts[i], strlen(writer->texts.texts[i]));
    }
}

/* --- gzip --------------------------------------------------------------------------------------------------------- */

static uint32_t checksum(const unsigned char *bytes, size_t size) {
    uint32_t sum = ~UINT32_C(0);
    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = sum >> 1 ^ (UINT32_C(0xedb88320) & (0 - (sum & 1)));
        }
    }
    return ~sum;
}

static void write_little(uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        putchar((int)(value >> 8 * i & 0xff));
    }
}

static void write_gzip(const unsigned char *bytes, size_t size) {
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    fwrite(head, 1, sizeof head, stdout);
    size_t at = 0;
    do { /* stored blocks, the last one marked */
        const size_t part = smaller(size - at, 0xffff);
        putchar(at + part == size);
        write_little(part, 2);
        write_little(~part, 2);
        fwrite(bytes + at, 1, part, stdout);
        at += part;
    } while (at < size);
    write_little(checksum(bytes, size), 4);
    write_little(size, 4);
}

void profile_pprof(struct profile *profile) {
    struct writer writer = {.profile = profile};
    put_profile(&writer);
    write_gzip(writer.out.bytes, writer.out.count);
    texts_free(&writer.texts);
    free(writer.functions.keys);
    free(writer.mappings);
    free(writer.locations);
    free(writer.out.bytes);
}
