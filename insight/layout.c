#include "layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* More rows, segments or notes than these are no library's. */
#define ROWS_MAX 4096u
#define SEGMENTS_MAX 256u
#define NOTES_MAX ((size_t)64 << 10)

/* Reads the rows; false when they are not to be had. */
static bool read_rows(struct target *target, uint64_t rows, size_t row_size, struct layout *layout) {
    if (row_size != sizeof(struct layout_row)) {
        return false;
    }
    layout->rows = make(ROWS_MAX * sizeof *layout->rows);
    size_t read = target_read_some(target, rows, layout->rows, ROWS_MAX * sizeof *layout->rows);
    size_t count = 0;
    while (count < read / sizeof *layout->rows && layout->rows[count].name[0] != '\0') {
        layout->rows[count++].name[LAYOUT_NAME_MAX - 1] = '\0';
    }
    layout->row_count = count;
    return count != 0 && count < read / sizeof *layout->rows;
}

const char *root_name(uint32_t heap) {
    static const char *const names[] = {
        [ROOT_ENGINE] = "the engine", [ROOT_SPACES] = "the MeMS heap", [ROOT_HMM] = "HMM"};
    return heap < COUNT_OF(names) && names[heap] != NULL ? names[heap] : "a heap";
}

static void add_root(struct layouts *layouts, struct target *target, uint64_t address, const char *module) {
    struct root_head head;
    if (!target_read(target, address, &head, sizeof head) || memcmp(head.magic, ROOT_MAGIC, sizeof head.magic) != 0) {
        warn("%s: its note leads to no root (at %#lx)", *module != '\0' ? module : "the program", address);
        return;
    }
    if (head.version != ROOT_VERSION || head.heap < ROOT_ENGINE || head.heap > ROOT_HMM) {
        warn("%s: %s has a root of version %u; this mems reads version %u: use the one that came with the library",
             module, root_name(head.heap), head.version, ROOT_VERSION);
        return;
    }
    for (size_t i = 0; i < layouts->count; i++) {
        if (layouts->layouts[i].root == address) {
            return;
        }
    }
    struct layout layout = {.heap = head.heap,
                            .root = address,
                            .start = (uint64_t)(uintptr_t)head.start,
                            .library = head.library,
                            .module = copy_text(module)};
    if (!read_rows(target, (uint64_t)(uintptr_t)head.rows, head.row_size, &layout)) {
        warn("%s: the description of %s cannot be read", module, root_name(head.heap));
        free(layout.rows);
        free(layout.module);
        return;
    }
    layouts->layouts = grow(layouts->layouts, layouts->count, sizeof *layouts->layouts);
    layouts->layouts[layouts->count++] = layout;
}

/* A module's headers, from the target's memory; a core may lack them, then from the file. */
struct image {
    struct target *target;
    uint64_t start;
    FILE *file;
    char build_id[BUILD_ID_MAX]; /* in hexadecimal; "" until its note has been seen */
};

static void note_build_id(struct image *image, const char *bytes, size_t size) {
    image->build_id[0] = '\0';
    for (size_t i = 0; i < size && 2 * i + 3 <= sizeof image->build_id; i++) {
        snprintf(image->build_id + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    }
}

/* Looks for our notes, and the build id, in a copy of a module's note segment, which lies at `address` in the target.
 */
static void search_notes(struct layouts *layouts, struct image *image, uint64_t address, const char *notes, size_t size,
                         const char *module) {
    for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t text = name + ((size_t)note.n_namesz + 3) / 4 * 4;
        size_t end = text + ((size_t)note.n_descsz + 3) / 4 * 4;
        if (end > size) {
            return;
        }
        if (note.n_namesz == 5 && note.n_descsz == 4 && note.n_type == 1 && memcmp(notes + name, "MEMS", 5) == 0) {
            int32_t distance;
            memcpy(&distance, notes + text, sizeof distance);
            add_root(layouts, image->target, address + text + (uint64_t)(int64_t)distance, module);
        } else if (note.n_namesz == 4 && note.n_type == NT_GNU_BUILD_ID && memcmp(notes + name, "GNU", 4) == 0) {
            note_build_id(image, notes + text, note.n_descsz);
        }
        at = end;
    }
}

static bool image_read(struct image *image, uint64_t offset, void *to, size_t size) {
    if (image->file != NULL) {
        return fseeko(image->file, (off_t)offset, SEEK_SET) == 0 && fread(to, 1, size, image->file) == size;
    }
    return target_read(image->target, image->start + offset, to, size);
}

static bool is_module(const Elf64_Ehdr *header) {
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB && (header->e_type == ET_DYN || header->e_type == ET_EXEC) &&
           header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum <= SEGMENTS_MAX;
}

static void search_module(struct layouts *layouts, struct image *image, const char *path) {
    Elf64_Ehdr header;
    if (!image_read(image, 0, &header, sizeof header) || !is_module(&header)) {
        return;
    }
    Elf64_Phdr segments[SEGMENTS_MAX];
    if (header.e_phnum == 0 || !image_read(image, header.e_phoff, segments, header.e_phnum * sizeof *segments)) {
        return;
    }
    uint64_t first = UINT64_MAX;
    size_t before = layouts->count;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && first == UINT64_MAX) {
            first = segments[i].p_vaddr - segments[i].p_offset;
        }
    }
    for (unsigned i = 0; i < header.e_phnum && first != UINT64_MAX; i++) {
        if (segments[i].p_type == PT_NOTE && segments[i].p_filesz <= NOTES_MAX && segments[i].p_filesz != 0) {
            char *notes = make(segments[i].p_filesz);
            uint64_t address = image->start + (segments[i].p_vaddr - first);
            if (image->file != NULL ? image_read(image, segments[i].p_offset, notes, segments[i].p_filesz)
                                    : target_read(image->target, address, notes, segments[i].p_filesz)) {
                search_notes(layouts, image, address, notes, segments[i].p_filesz, path);
            }
            free(notes);
        }
    }
    for (; before < layouts->count; before++) {
        memcpy(layouts->layouts[before].build_id, image->build_id, sizeof image->build_id);
    }
}

void layouts_find(struct layouts *layouts, struct target *target) {
    memset(layouts, 0, sizeof *layouts);
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (mapping->offset != 0 || mapping->path[0] == '[' || (!mapping->readable && target->kind == TARGET_LIVE)) {
            continue;
        }
        struct image image = {.target = target, .start = mapping->start};
        char magic[SELFMAG];
        if (!target_read(target, mapping->start, magic, sizeof magic) && target->kind == TARGET_CORE &&
            mapping->path[0] == '/') {
            image.file = fopen(mapping->path, "re");
        }
        search_module(layouts, &image, mapping->path);
        if (image.file != NULL) {
            fclose(image.file);
        }
    }
}

void layouts_free(struct layouts *layouts) {
    for (size_t i = 0; i < layouts->count; i++) {
        free(layouts->layouts[i].rows);
        free(layouts->layouts[i].module);
    }
    free(layouts->layouts);
}

struct layout *layouts_of(struct layouts *layouts, enum root_heap heap) {
    for (size_t i = 0; i < layouts->count; i++) {
        if (layouts->layouts[i].heap == heap) {
            return &layouts->layouts[i];
        }
    }
    return NULL;
}

static const struct layout_row *find_row(struct layout *layout, const char *name) {
    for (size_t i = 0; i < layout->row_count; i++) {
        if (strcmp(layout->rows[i].name, name) == 0) {
            return &layout->rows[i];
        }
    }
    if (layout->missing[0] == '\0') {
        snprintf(layout->missing, sizeof layout->missing, "%s", name);
    }
    return NULL;
}

struct field layout_field(struct layout *layout, const char *name) {
    const struct layout_row *row = find_row(layout, name);
    /* No structure of ours is anywhere near a megabyte: larger ones are a target's that wants us to read much. */
    if (row == NULL || row->offset > 1 << 20 || row->size > 1 << 20) {
        return (struct field){0};
    }
    return (struct field){row->offset, row->size};
}

uint64_t layout_constant(struct layout *layout, const char *name, uint64_t fallback) {
    const struct layout_row *row = find_row(layout, name);
    return row != NULL ? row->offset : fallback;
}

uint64_t field_of(const void *copy, size_t size, struct field field) {
    uint64_t value = 0;
    bool is_number = field.size == 1 || field.size == 2 || field.size == 4 || field.size == 8;
    if (is_number && (size_t)field.offset + field.size <= size) {
        memcpy(&value, (const char *)copy + field.offset, field.size);
    }
    return value;
}

bool field_read(struct target *target, uint64_t structure, struct field field, uint64_t *value) {
    *value = 0;
    return field.size != 0 && field.size <= sizeof *value &&
           target_read_number(target, structure + field.offset, field.size, value);
}
