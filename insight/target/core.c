/* core.c - a core, or a file from `mems save`, which has the same form. libelf reads headers and notes; memory is read
 * on demand. Everything in a header is checked against the file's size. */
#include "target/core.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/sorted.h"
#include "support/support.h"
#include "target/registers.h"
#include "target/saved.h"
#include "target/target.h"

/* Memory that is in the file. Ascending and disjoint. */
struct segment {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
};

struct core {
    int file;
    uint64_t file_size;
    struct segment *segments;
    size_t segment_count;
    struct mapping *unsaved; /* of files, and not in the core */
    size_t unsaved_count;
    bool truncated;
    bool has_holes; /* for memory that was never touched, as the kernel writes, but debuggers do not */
};

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "no such processor"
#endif

static const char *machine_name(unsigned machine) {
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "32-bit x86";
    case EM_ARM:
        return "32-bit ARM";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390x";
    case EM_RISCV:
        return "RISC-V";
    default:
        return "another processor";
    }
}

/* --- Notes -------------------------------------------------------------------------------------------------------- */

/* The rest of a note, or of another segment of bytes. */
struct bytes {
    const char *at;
    size_t size;
};

static bool take(struct bytes *bytes, void *to, size_t size) {
    if (bytes->size < size) {
        return false;
    }
    memcpy(to, bytes->at, size);
    bytes->at += size;
    bytes->size -= size;
    return true;
}

/* Segments of the core get the name of a file's entry. A debugger leaves out segments that equal the file; then there
 * is only the entry. */
static void name_mapping(struct target *target, uint64_t start, uint64_t end, uint64_t offset, const char *path) {
    const struct mapping *first = target_mapping_from(target, start);
    if ((first == NULL || first->start >= end) && start < end) {
        struct core *core = target->core;
        core->unsaved = grow(core->unsaved, core->unsaved_count, sizeof *core->unsaved);
        core->unsaved[core->unsaved_count++] =
            (struct mapping){.start = start, .end = end, .offset = offset, .readable = true, .path = copy_text(path)};
        return;
    }
    for (struct mapping *mapping = target_mapping_from(target, start);
         mapping != NULL && mapping < target->mappings + target->mapping_count && mapping->start < end; mapping++) {
        if (mapping->start >= start && *mapping->path == '\0') {
            free(mapping->path);
            mapping->path = copy_text(path);
            mapping->offset = offset + (mapping->start - start);
        }
    }
}

/* NT_FILE: count, page size, {start, end, offset in pages} for each, then the names. */
static void read_files(struct target *target, struct bytes note) {
    uint64_t head[2];
    if (!take(&note, head, sizeof head) || head[1] == 0 || head[0] > note.size / 24) {
        return;
    }
    struct bytes names = {.at = note.at + head[0] * 24, .size = note.size - head[0] * 24};
    for (uint64_t i = 0; i < head[0]; i++) {
        uint64_t file[3];
        size_t length = strnlen(names.at, names.size);
        if (!take(&note, file, sizeof file) || length == names.size) {
            return;
        }
        name_mapping(target, file[0], file[1], file[2] * head[1], names.at);
        names.at += length + 1;
        names.size -= length + 1;
    }
}

/* gdb's gcore stops a process, and notes the signal that did, which ends none. */
static int ending(int signal) {
    return signal != SIGSTOP ? signal : 0;
}

static void read_thread(struct target *target, struct bytes note) {
    struct elf_prstatus status;
    if (!take(&note, &status, sizeof status)) {
        return;
    }
    if (target->thread_count == 0) {
        target->signal = ending(status.pr_cursig);
    }
    target->threads = grow(target->threads, target->thread_count, sizeof *target->threads);
    struct thread *thread = &target->threads[target->thread_count++];
    *thread = (struct thread){.id = status.pr_pid};
    registers_add(thread, status.pr_reg, sizeof status.pr_reg);
}

/* Further registers of the thread whose note came last. */
static void read_registers(struct target *target, struct bytes note) {
    if (target->thread_count != 0) {
        registers_add(&target->threads[target->thread_count - 1], note.at, note.size);
    }
}

static bool is_register_set(const char *name, unsigned type) {
    return strcmp(name, "CORE") == 0
               ? type == NT_FPREGSET
               : strcmp(name, "LINUX") == 0 && (type == NT_X86_XSTATE || type == NT_ARM_TLS || type == NT_ARM_SVE);
}

static void read_process(struct target *target, struct bytes note) {
    struct elf_prpsinfo process;
    if (take(&note, &process, sizeof process)) {
        target->pid = process.pr_pid;
        free(target->program);
        target->program = make_printable(make_text("%.*s", (int)sizeof process.pr_fname, process.pr_fname));
    }
}

static void read_signal(struct target *target, struct bytes note) {
    siginfo_t info;
    if (take(&note, &info, sizeof info)) {
        target->signal = ending(info.si_signo);
        target->blow = target_blow(&info);
    }
}

/* The kernel puts random bytes where the first thread's stack begins, and gives their address. */
static void read_auxiliary(struct target *target, struct bytes note) {
    uint64_t entry[2];
    while (take(&note, entry, sizeof entry) && entry[0] != AT_NULL) {
        struct mapping *mapping = entry[0] == AT_RANDOM ? target_mapping_from(target, entry[1]) : NULL;
        if (mapping != NULL && mapping->start <= entry[1] && *mapping->path == '\0') {
            free(mapping->path);
            mapping->path = copy_text("[stack]");
        }
    }
}

static void read_note(struct target *target, const char *name, unsigned type, struct bytes note) {
    if (strcmp(name, "MEMS") == 0) {
        saved_read_note(target, type, note.at, note.size);
    } else if (is_register_set(name, type)) {
        read_registers(target, note);
    } else if (strcmp(name, "CORE") != 0) {
        return;
    } else if (type == NT_FILE) {
        read_files(target, note);
    } else if (type == NT_AUXV) {
        read_auxiliary(target, note);
    } else if (type == NT_PRSTATUS) {
        read_thread(target, note);
    } else if (type == NT_PRPSINFO) {
        read_process(target, note);
    } else if (type == NT_SIGINFO) {
        read_signal(target, note);
    }
}

static void read_notes(struct target *target, Elf *elf, const GElf_Phdr *header) {
    Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)header->p_offset, header->p_filesz, ELF_T_NHDR);
    size_t at = 0;
    size_t name;
    size_t content;
    GElf_Nhdr note;
    while (data != NULL && (at = gelf_getnote(data, at, &note, &name, &content)) != 0) {
        const char *bytes = data->d_buf;
        if (note.n_namesz != 0 && bytes[name + note.n_namesz - 1] == '\0') {
            read_note(target, bytes + name, note.n_type, (struct bytes){bytes + content, note.n_descsz});
        }
    }
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

static void add_segment(struct target *target, const GElf_Phdr *header) {
    struct core *core = target->core;
    if (header->p_memsz == 0 || header->p_vaddr + header->p_memsz < header->p_vaddr) {
        return;
    }
    struct mapping *mapping = target_add_mapping(target);
    mapping->start = header->p_vaddr;
    mapping->end = header->p_vaddr + header->p_memsz;
    mapping->readable = (header->p_flags & PF_R) != 0;
    mapping->writable = (header->p_flags & PF_W) != 0;
    mapping->executable = (header->p_flags & PF_X) != 0;
    mapping->path = copy_text("");
    mapping->unwritten = header->p_filesz == 0 && mapping->writable;
    uint64_t there = header->p_offset < core->file_size ? core->file_size - header->p_offset : 0;
    core->truncated |= there < header->p_filesz;
    uint64_t size = smaller(smaller(header->p_filesz, header->p_memsz), there);
    if (size != 0) {
        core->segments = grow(core->segments, core->segment_count, sizeof *core->segments);
        core->segments[core->segment_count++] =
            (struct segment){.start = header->p_vaddr, .end = header->p_vaddr + size, .offset = header->p_offset};
    }
}

/* Only hostile files have overlapping segments; later ones are left out. */
static void sort_segments(struct target *target) {
    struct core *core = target->core;
    sort(core->segments, core->segment_count, sizeof *core->segments);
    sort(target->mappings, target->mapping_count, sizeof *target->mappings);
    size_t kept = 0;
    for (size_t i = 0; i < core->segment_count; i++) {
        if (kept == 0 || core->segments[i].start >= core->segments[kept - 1].end) {
            core->segments[kept++] = core->segments[i];
        }
    }
    core->segment_count = kept;
    kept = 0;
    for (size_t i = 0; i < target->mapping_count; i++) {
        if (kept == 0 || target->mappings[i].start >= target->mappings[kept - 1].end) {
            target->mappings[kept++] = target->mappings[i];
        } else {
            free(target->mappings[i].path);
        }
    }
    target->mapping_count = kept;
}

/* Whether a page of a segment is all zero in the file. */
static bool is_zero(const struct core *core, uint64_t offset, uint64_t size) {
    static char page[65536];
    ssize_t got = pread(core->file, page, (size_t)smaller(size, sizeof page), (off_t)offset);
    return got <= 0 || (page[0] == 0 && memcmp(page, page + 1, (size_t)got - 1) == 0);
}

/* For a file without holes: all-zero pages take their place. */
static uint64_t data_without_holes(const struct core *core, const struct segment *segment, uint64_t address,
                                   uint64_t page_size, uint64_t *data_end) {
    const uint64_t end = segment->end;
    const uint64_t shift = segment->offset - segment->start;
    while (address < end && is_zero(core, address + shift, smaller(page_size, end - address))) {
        address += page_size;
    }
    for (*data_end = address; *data_end < end; *data_end += page_size) {
        if (is_zero(core, *data_end + shift, smaller(page_size, end - *data_end))) {
            break;
        }
    }
    *data_end = smaller(*data_end, end);
    return address;
}

/* The first byte from an address on that the file has a block for, and where the blocks end. */
static uint64_t data_between_holes(const struct core *core, const struct segment *segment, uint64_t address,
                                   uint64_t *data_end) {
    const uint64_t end = segment->end;
    const uint64_t shift = segment->offset - segment->start;
    off_t data = lseek(core->file, (off_t)(address + shift), SEEK_DATA);
    if (data < 0 || (uint64_t)data - shift >= end) {
        return end;
    }
    off_t hole = lseek(core->file, data, SEEK_HOLE);
    *data_end = hole < 0 ? end : smaller((uint64_t)hole - shift, end);
    return (uint64_t)data - shift;
}

/* The segment that holds an address, or the next one, or NULL. */
static const struct segment *segment_from(const struct core *core, uint64_t address) {
    const size_t index = ranges_from(core->segments, core->segment_count, sizeof *core->segments, address);
    return index < core->segment_count ? &core->segments[index] : NULL;
}

static const struct segment *segment_of(const struct core *core, uint64_t address) {
    const struct segment *segment = segment_from(core, address);
    return segment != NULL && segment->start <= address ? segment : NULL;
}

uint64_t core_data_from(struct target *target, uint64_t address, uint64_t end, uint64_t *data_end) {
    const struct core *core = target->core;
    while (address < end) {
        const struct segment *segment = segment_from(core, address);
        if (segment == NULL || segment->start >= end) {
            break;
        }
        address = larger(address, segment->start);
        uint64_t data = core->has_holes ? data_between_holes(core, segment, address, data_end)
                                        : data_without_holes(core, segment, address, target->page_size, data_end);
        if (data < segment->end) {
            *data_end = smaller(*data_end, end);
            return smaller(data, end);
        }
        address = segment->end;
    }
    *data_end = end;
    return end;
}

size_t core_read(struct target *target, uint64_t address, void *to, size_t size) {
    const struct core *core = target->core;
    size_t done = 0;
    while (done < size) {
        const struct segment *segment = segment_of(core, address + done);
        if (segment == NULL) {
            break;
        }
        uint64_t skip = address + done - segment->start;
        size_t part = (size_t)smaller(size - done, segment->end - segment->start - skip);
        ssize_t got = pread(core->file, (char *)to + done, part, (off_t)(segment->offset + skip));
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return done;
}

bool core_truncated(const struct target *target) {
    return target->core != NULL && target->core->truncated;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static void check_header(const char *path, Elf *elf) {
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == NULL) {
        fail("%s: not a core, and nothing that `mems save` has written", path);
    }
    if (header.e_type != ET_CORE) {
        fail("%s: a program or a library, not a core: start it with `mems run`, or give the number of its process",
             path);
    }
    if (header.e_machine != OWN_MACHINE || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB) {
        fail("%s: a core of %s; this mems reads those of %s", path, machine_name(header.e_machine),
             machine_name(OWN_MACHINE));
    }
}

bool target_open_core(struct target *target, const char *path) {
    memset(target, 0, sizeof *target);
    target->kind = TARGET_CORE;
    target->memory = target->pagemap = target->maps = -1;
    target->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    target->program = copy_text("");
    struct core *core = target->core = make_zeroed(1, sizeof *core);
    struct stat status;
    core->file = open(path, O_RDONLY | O_CLOEXEC);
    if (core->file < 0 || fstat(core->file, &status) != 0) {
        fail("%s: %s", path, strerror(errno));
    }
    core->file_size = (uint64_t)status.st_size;
    core->has_holes = (uint64_t)status.st_blocks * 512 < core->file_size;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(core->file, ELF_C_READ, NULL);
    if (elf == NULL) {
        fail("%s: %s", path, elf_errmsg(-1));
    }
    check_header(path, elf);
    size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0 || count > core->file_size / sizeof(Elf64_Phdr)) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, (int)i, &header) != NULL && header.p_type == PT_LOAD) {
            add_segment(target, &header);
        }
    }
    sort_segments(target);
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, (int)i, &header) != NULL && header.p_type == PT_NOTE) {
            read_notes(target, elf, &header);
        }
    }
    elf_end(elf);
    for (size_t i = 0; i < core->unsaved_count; i++) {
        *target_add_mapping(target) = core->unsaved[i];
    }
    sort_segments(target);
    if (core->truncated) {
        warn("%s: this core is cut short; what follows is about the part that is there", path);
    }
    return true;
}

void core_close(struct target *target) {
    close(target->core->file);
    free(target->core->segments);
    free(target->core->unsaved);
    free(target->core);
    target->core = NULL;
}
