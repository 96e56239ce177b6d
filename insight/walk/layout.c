#include "walk/layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "support/sorted.h"
#include "support/support.h"

/* No library has more rows, segments or notes. */
#define ROWS_BYTES ((size_t)64 << 10)

/* Bytes of them to read at once. */
#define ROWS_STEP ((size_t)512)
#define SEGMENTS_MAX 256u
#define NOTES_MAX ((size_t)64 << 10)

/* The row at the start of some bytes, after those of `structure`; returns its bytes, or 0 if they are no row. */
static size_t take_row(const char *bytes, size_t size, char structure[LAYOUT_NAME_MAX], struct layout_row *row) {
    const size_t head = sizeof row->offset + sizeof row->size;
    const size_t length = size > head ? strnlen(bytes + head, size - head) : 0;
    if (size <= head || length == size - head) {
        return 0;
    }
    memcpy(&row->offset, bytes, sizeof row->offset);
    memcpy(&row->size, bytes + sizeof row->offset, sizeof row->size);
    const char *name = bytes + head;
    snprintf(row->name, sizeof row->name, "%s%s", *name == '.' ? structure : "", name);
    if (*name != '.') {
        snprintf(structure, LAYOUT_NAME_MAX, "%s", name);
    }
    return head + (length + 4) / 4 * 4;
}

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const struct layout_row *)a)->name, ((const struct layout_row *)b)->name);
}

/* Sorted by name; false if they cannot be read. */
static bool read_rows(struct target *target, uint64_t rows, struct layout *layout) {
    char structure[LAYOUT_NAME_MAX] = "";
    char *bytes = make(ROWS_BYTES);
    size_t size = 0;
    bool whole = false;
    for (size_t at = 0; !whole;) {
        struct layout_row row;
        size_t step = take_row(bytes + at, size - at, structure, &row);
        if (step == 0 || step > size - at) {
            /* Little more than there is, so as not to touch memory behind it. */
            size_t more = size < ROWS_BYTES ? target_read_some(target, rows + size, bytes + size, ROWS_STEP) : 0;
            size += more;
            if (more == 0) {
                break;
            }
            continue;
        }
        whole = bytes[at + sizeof row.offset + sizeof row.size] == '\0';
        if (!whole) {
            layout->rows = grow(layout->rows, layout->row_count, sizeof *layout->rows);
            layout->rows[layout->row_count++] = row;
        }
        at += step;
    }
    free(bytes);
    sort_by(layout->rows, layout->row_count, sizeof *layout->rows, compare_rows);
    return whole && layout->row_count != 0;
}

const char *root_name(uint32_t heap) {
    static const char *const names[] = {
        [ROOT_ENGINE] = "the engine", [ROOT_SPACES] = "the MeMS heap", [ROOT_HMM] = "HMM"};
    return heap < COUNT_OF(names) && names[heap] != NULL ? names[heap] : "a heap";
}

static void write_id(char text[BUILD_ID_TEXT], const void *bytes, size_t size) {
    text[0] = '\0';
    for (size_t i = 0; i < size && i < BUILD_ID_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
    }
}

/* The library's root_head may be shorter or longer than ours. */
static bool read_head(struct target *target, uint64_t address, struct root_head *head) {
    const size_t least = offsetof(struct root_head, build_id);
    memset(head, 0, sizeof *head);
    if (!target_read(target, address, head, least) || memcmp(head->magic, ROOT_MAGIC, sizeof head->magic) != 0) {
        return false;
    }
    const size_t rest = (size_t)smaller(head->size, sizeof *head);
    return rest <= least || target_read(target, address + least, (char *)head + least, rest - least);
}

static void add_root(struct layouts *layouts, struct target *target, uint64_t address, const char *module) {
    struct root_head head;
    if (!read_head(target, address, &head)) {
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
    write_id(layout.build_id, head.build_id.bytes, head.build_id.size);
    if (!read_rows(target, (uint64_t)(uintptr_t)head.rows, &layout)) {
        warn("%s: cannot read the description of %s", module, root_name(head.heap));
        free(layout.rows);
        free(layout.module);
        return;
    }
    layouts->layouts = grow(layouts->layouts, layouts->count, sizeof *layouts->layouts);
    layouts->layouts[layouts->count++] = layout;
}

/* Read of a module at once; usually has the headers and notes. */
#define HEAD_BYTES 4096u

/* From the target's memory or, if a core lacks it, the file. */
struct image {
    struct target *target;
    uint64_t start;
    uint64_t end; /* of the first mapping */
    FILE *file;
    char head[HEAD_BYTES];        /* the first bytes of its memory, */
    size_t held;                  /* how many of them have been read */
    char build_id[BUILD_ID_TEXT]; /* in hexadecimal; "" until its note has been seen */
};

/* Looks for our notes and the build id in a copy of a module's note segment, at `address` in the target. */
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
            write_id(image->build_id, notes + text, note.n_descsz);
        }
        at = end;
    }
}

static bool image_read(struct image *image, uint64_t offset, void *to, size_t size) {
    if (image->file != NULL) {
        return fseeko(image->file, (off_t)offset, SEEK_SET) == 0 && fread(to, 1, size, image->file) == size;
    }
    if (offset <= image->held && size <= image->held - offset) {
        memcpy(to, image->head + offset, size);
        return true;
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
    if (image->file == NULL) {
        const size_t size = (size_t)smaller(image->end - image->start, sizeof image->head);
        image->held = target_read_some(image->target, image->start, image->head, size);
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
            const uint64_t distance = segments[i].p_vaddr - first; /* in memory */
            const uint64_t address = image->start + distance;
            if (image_read(image, image->file != NULL ? segments[i].p_offset : distance, notes, segments[i].p_filesz)) {
                search_notes(layouts, image, address, notes, segments[i].p_filesz, path);
            }
            free(notes);
        }
    }
    /* A root has none before its library's constructors have run. */
    for (; before < layouts->count; before++) {
        if (layouts->layouts[before].build_id[0] == '\0') {
            memcpy(layouts->layouts[before].build_id, image->build_id, sizeof image->build_id);
        }
    }
}

void layouts_find(struct layouts *layouts, struct target *target) {
    memset(layouts, 0, sizeof *layouts);
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (mapping->offset != 0 || mapping->path[0] == '[' || (!mapping->readable && target->kind == TARGET_LIVE)) {
            continue;
        }
        struct image image = {.target = target, .start = mapping->start, .end = mapping->end};
        char magic[SELFMAG];
        if (target->kind == TARGET_CORE && mapping->path[0] == '/' &&
            !target_read(target, mapping->start, magic, sizeof magic)) {
            image.file = fopen(mapping->path, "re");
        }
        search_module(layouts, &image, mapping->path);
        if (image.file != NULL) {
            fclose(image.file);
        }
    }
}

bool layouts_recognize(struct layouts *layouts, struct target *target) {
    if (target->denied == NULL) {
        layouts_find(layouts, target);
        return layouts->count != 0;
    }
    memset(layouts, 0, sizeof *layouts);
    for (size_t i = 0; i < target->mapping_count; i++) {
        if (strstr(target->mappings[i].path, "/libmems.so") != NULL ||
            strstr(target->mappings[i].path, "/libhmm.so") != NULL) {
            return true;
        }
    }
    return false;
}

void layouts_free(struct layouts *layouts) {
    for (size_t i = 0; i < layouts->count; i++) {
        free(layouts->layouts[i].rows);
        free(layouts->layouts[i].lacks);
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

static int compare_name(const void *name, const void *row) {
    return strcmp(name, ((const struct layout_row *)row)->name);
}

static const struct layout_row *find_row(const struct layout *layout, const char *name) {
    return bsearch(name, layout->rows, layout->row_count, sizeof *layout->rows, compare_name);
}

static bool is_told(const struct layout *layout, const char *report, const char *name) {
    for (size_t i = 0; i < layout->lack_count; i++) {
        if (layout->lacks[i].report == report && strcmp(layout->lacks[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void tell_lack(struct layout *layout, const char *report, const char *name) {
    warn("%s: %s does not describe %s; left out: %s", *layout->module != '\0' ? layout->module : "the program",
         root_name(layout->heap), name, report);
    layout->lacks = grow(layout->lacks, layout->lack_count, sizeof *layout->lacks);
    struct lack *lack = &layout->lacks[layout->lack_count++];
    lack->report = report;
    snprintf(lack->name, sizeof lack->name, "%s", name);
}

static bool has_row(struct layout *layout, const char *report, const char *name) {
    const bool has = find_row(layout, name) != NULL;
    if (!has && !is_told(layout, report, name)) {
        tell_lack(layout, report, name);
    }
    return has;
}

bool layout_has(struct layout *layout, const char *report, const char *names) {
    bool all = true;
    char *words = copy_text(names);
    char *rest = words;
    for (char *name; (name = strsep(&rest, " ")) != NULL;) {
        all &= has_row(layout, report, name);
    }
    free(words);
    return all;
}

bool layout_find(struct layout *layout, const char *report, const struct wanted *wanted, size_t count) {
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        all &= report == NULL || has_row(layout, report, wanted[i].name);
        *wanted[i].field = layout_field(layout, wanted[i].name);
    }
    return all;
}

struct field layout_field(const struct layout *layout, const char *name) {
    const struct layout_row *row = find_row(layout, name);
    /* No structure of the libraries is near a megabyte: the target is hostile. */
    if (row == NULL || row->offset > 1 << 20 || row->size > 1 << 20) {
        return (struct field){0};
    }
    return (struct field){row->offset, row->size};
}

uint64_t layout_constant(const struct layout *layout, const char *name, uint64_t fallback) {
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
