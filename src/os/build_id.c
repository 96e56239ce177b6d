#include <elf.h>
#include <string.h>

#include "base/layout.h"
#include "os.h"

/* The file that contains this code, as loaded. The linker defines this if it loads the headers. */
extern const unsigned char __ehdr_start[] __attribute__((weak, visibility("hidden")));

/* False if the notes contain no build id. */
static bool find_id(const unsigned char *notes, size_t size, struct build_id *id) {
    for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof note);
        const unsigned char *name = notes + at + sizeof note;
        const size_t name_size = ((size_t)note.n_namesz + 3) / 4 * 4;
        const size_t text_size = ((size_t)note.n_descsz + 3) / 4 * 4;
        if (name_size + text_size > size - at - sizeof note) {
            return false;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
            id->size = (uint8_t)(note.n_descsz <= sizeof id->bytes ? note.n_descsz : sizeof id->bytes);
            memcpy(id->bytes, name + name_size, id->size);
            return true;
        }
        at += sizeof note + name_size + text_size;
    }
    return false;
}

void os_build_id(struct build_id *id) {
    const unsigned char *start = __ehdr_start;
    const Elf64_Ehdr *header = (const void *)start;
    if (start == NULL || memcmp(start, ELFMAG, SELFMAG) != 0) {
        return;
    }
    const Elf64_Phdr *segments = (const void *)(start + header->e_phoff);
    const Elf64_Phdr *first = NULL; /* the segment at `start` */
    for (size_t i = 0; i < header->e_phnum && first == NULL; i++) {
        first = segments[i].p_type == PT_LOAD ? &segments[i] : NULL;
    }
    for (size_t i = 0; i < header->e_phnum && first != NULL; i++) {
        const Elf64_Phdr *segment = &segments[i];
        if (segment->p_type == PT_NOTE &&
            find_id(start + first->p_offset + (segment->p_vaddr - first->p_vaddr), segment->p_memsz, id)) {
            return;
        }
    }
}
