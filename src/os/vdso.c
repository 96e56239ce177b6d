#include "vdso.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

/* `bias` is the image's address minus the one it was linked for. */
struct image {
    const unsigned char *bias;
    const Elf64_Dyn *dynamic;
    const Elf64_Sym *symbols;
    const char *names;
    const uint32_t *hash;     /* System V's, or NULL */
    const uint32_t *gnu_hash; /* GNU's, or NULL */
};

/* False without a loaded segment or a dynamic section. */
static bool read_segments(struct image *image, const unsigned char *start) {
    const Elf64_Ehdr *header = (const void *)start;
    const Elf64_Phdr *segments = (const void *)(start + header->e_phoff);
    bool loaded = false;
    for (size_t i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && !loaded) {
            image->bias = start + segments[i].p_offset - segments[i].p_vaddr;
            loaded = true;
        } else if (segments[i].p_type == PT_DYNAMIC) {
            image->dynamic = (const void *)(start + segments[i].p_offset);
        }
    }
    return loaded && image->dynamic != NULL;
}

static bool read_dynamic(struct image *image) {
    for (const Elf64_Dyn *entry = image->dynamic; entry->d_tag != DT_NULL; entry++) {
        const void *value = image->bias + entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB) {
            image->symbols = value;
        } else if (entry->d_tag == DT_STRTAB) {
            image->names = value;
        } else if (entry->d_tag == DT_HASH) {
            image->hash = value;
        } else if (entry->d_tag == DT_GNU_HASH) {
            image->gnu_hash = value;
        }
    }
    return image->symbols != NULL && image->names != NULL;
}

/* System V's hash table has one chain word per symbol; GNU's last chain ends with the last symbol. */
static uint32_t count_symbols(const struct image *image) {
    if (image->hash != NULL) {
        return image->hash[1];
    }
    if (image->gnu_hash == NULL) {
        return 0;
    }
    const uint32_t buckets = image->gnu_hash[0];
    const uint32_t first = image->gnu_hash[1];
    const uint32_t bloom_words = 2 * image->gnu_hash[2];
    const uint32_t *bucket = image->gnu_hash + 4 + bloom_words;
    const uint32_t *chain = bucket + buckets;
    uint32_t last = 0;
    for (uint32_t i = 0; i < buckets; i++) {
        last = bucket[i] > last ? bucket[i] : last;
    }
    if (last < first) {
        return first;
    }
    while ((chain[last - first] & 1) == 0) {
        last++;
    }
    return last + 1;
}

/* Linear: there are about ten symbols. */
uintptr_t vdso_find_in(const void *start, const char *name) {
    struct image image = {.dynamic = NULL};
    if (!read_segments(&image, start) || !read_dynamic(&image)) {
        return 0;
    }
    uint32_t count = count_symbols(&image);
    for (uint32_t i = 0; i < count; i++) {
        const Elf64_Sym *symbol = &image.symbols[i];
        if (symbol->st_shndx != SHN_UNDEF && strcmp(image.names + symbol->st_name, name) == 0) {
            return (uintptr_t)(image.bias + symbol->st_value);
        }
    }
    return 0;
}

uintptr_t vdso_find(const char *name) {
    int saved = errno; /* without an image getauxval sets errno */
    const void *start = (const void *)getauxval(AT_SYSINFO_EHDR);
    errno = saved;
    return start != NULL ? vdso_find_in(start, name) : 0;
}
