/*
 * reader_fuzz.c - the command mems under libFuzzer: the input changes words of a heap that it reads, in a living
 * process, in a core, or in what `mems save` has written; then a verb looks at it. It must end by itself within some
 * seconds, with a status of its own.
 *
 * The process is fuzz_reader_target, and the files are made from it at the start. Inputs name places by the parts of
 * the heap, not by their addresses: so they remain good when the heap changes its layout. Each verb runs in a child,
 * which hands back what libFuzzer has counted.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "input.h"
#include "support/support.h"
#include "verbs.h"
#include "walk/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***words);
const char *__asan_default_options(void);
void __real___sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
void __wrap___sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count, unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count, unsigned long flags);

/* libFuzzer's counters, one for each edge of the program. */
static uint8_t *counters_start;
static uint8_t *counters_stop;

/* The compiler tells libFuzzer of them before main. */
void __wrap___sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop) {
    if (start != stop) {
        counters_start = start;
        counters_stop = stop;
    }
    __real___sanitizer_cov_8bit_counters_init(start, stop);
}

/* The most processor time that a verb may take, with all sanitizers. */
#define SECONDS 30u

/* No block that the command asks for may be larger. */
const char *__asan_default_options(void) {
    return "detect_leaks=0:abort_on_error=1:max_allocation_size_mb=2048";
}

/* --- What is looked at -------------------------------------------------------------------------------------------- */

/* Part of the heap, by the addresses of the process. */
struct part {
    uint64_t start;
    uint64_t size;
};

#define PARTS_MAX 64u
#define EDITS_MAX 16u

enum medium { MEDIUM_LIVE, MEDIUM_CORE, MEDIUM_SAVED, MEDIA };

static struct {
    pid_t process;
    char name[24]; /* its number, as a word */
    struct part parts[PARTS_MAX];
    size_t part_count;
    char paths[MEDIA][64];
    int files[MEDIA];
    uint8_t *counters; /* shared with the child */
} fuzz;

/* A word that has been changed. In a file: at an offset. */
struct edit {
    uint64_t place;
    unsigned size;
    uint64_t before;
    uint64_t after;
};

static struct edit edits[EDITS_MAX];
static size_t edit_count;

static void add_part(uint64_t start, uint64_t size) {
    if (start != 0 && size != 0 && fuzz.part_count < PARTS_MAX) {
        fuzz.parts[fuzz.part_count++] = (struct part){start, size};
    }
}

static void add_structure(struct session *session, const struct layout *layout, const char *member, const char *name) {
    uint64_t at = 0;
    field_read(&session->target, layout->start, layout_field(layout, member), &at);
    add_part(at, layout_field(layout, name).size);
}

static void find_parts(void) {
    struct session session;
    session_open(&session, fuzz.name, true);
    const struct engine *engine = &session.engine;
    for (size_t i = 0; i < session.layouts.count; i++) {
        const struct layout *layout = &session.layouts.layouts[i];
        add_part(layout->root, 64);
        add_part(layout->start, 1024);
    }
    for (unsigned i = 0; i <= TABLE_METADATA; i++) {
        add_part(engine->tables[i].start, 2048);
    }
    add_part(engine->tables[TABLE_METADATA].start, 1 << 16);
    add_part(engine->tables[TABLE_METADATA].start, smaller(engine->tables[TABLE_METADATA].accessible, 1 << 20));
    add_part(engine->base, engine->top * engine->unit);
    const struct layout *layout = engine->layout;
    add_structure(&session, layout, "mems_root.window", "window");
    add_structure(&session, layout, "mems_root.spans", "spans");
    add_structure(&session, layout, "mems_root.heaps", "heaps");
    add_structure(&session, layout, "mems_root.samples", "samples");
    add_structure(&session, layout, "mems_root.huge_table", "huge_table");
    for (size_t i = 0; i < session.target.mapping_count; i++) {
        const struct mapping *mapping = &session.target.mappings[i];
        if (mapping->writable && mapping->path[0] == '/') {
            add_part(mapping->start, mapping->end - mapping->start);
        }
    }
    session_close(&session);
}

/* --- Files -------------------------------------------------------------------------------------------------------- */

static void write_at(int file, const void *bytes, size_t size, uint64_t offset) {
    if (pwrite(file, bytes, size, (off_t)offset) != (ssize_t)size) {
        abort();
    }
}

/* Notes behind each other. */
struct notes {
    char bytes[1 << 16];
    size_t size;
};

static void add_note(struct notes *notes, unsigned type, const void *content, size_t size) {
    const Elf64_Nhdr head = {.n_namesz = 5, .n_descsz = (unsigned)size, .n_type = type};
    memcpy(notes->bytes + notes->size, &head, sizeof head);
    memcpy(notes->bytes + notes->size + sizeof head, "CORE\0\0\0", 8);
    memcpy(notes->bytes + notes->size + sizeof head + 8, content, size);
    notes->size += sizeof head + 8 + ((size + 3) & ~(size_t)3);
}

static void add_files(struct notes *notes, const struct target *target) {
    static uint64_t numbers[2 + 3 * 512];
    static char content[1 << 15];
    size_t count = 0;
    size_t length = 0;
    char names[1 << 14];
    for (size_t i = 0; i < target->mapping_count && count < 512; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (mapping->path[0] == '/' && length + strlen(mapping->path) + 1 < sizeof names) {
            uint64_t *file = numbers + 2 + 3 * count++;
            file[0] = mapping->start;
            file[1] = mapping->end;
            file[2] = mapping->offset / 4096;
            strcpy(names + length, mapping->path);
            length += strlen(mapping->path) + 1;
        }
    }
    numbers[0] = count;
    numbers[1] = 4096;
    memcpy(content, numbers, (2 + 3 * count) * sizeof *numbers);
    memcpy(content + (2 + 3 * count) * sizeof *numbers, names, length);
    add_note(notes, NT_FILE, content, (2 + 3 * count) * sizeof *numbers + length);
}

static void add_auxiliary(struct notes *notes) {
    char content[1024];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/auxv", fuzz.process);
    int file = open(path, O_RDONLY);
    ssize_t got = file >= 0 ? read(file, content, sizeof content) : 0;
    add_note(notes, NT_AUXV, content, got > 0 ? (size_t)got : 0);
    close(file);
}

/* A core with all that is resident, as a debugger writes it. */
static void write_core(int file) {
    struct target target;
    static struct notes notes;
    static Elf64_Phdr headers[2000];
    static char page[4096];
    size_t count = 1;
    target_open(&target, fuzz.name);
    add_note(&notes, NT_PRSTATUS, &(struct elf_prstatus){.pr_pid = fuzz.process}, sizeof(struct elf_prstatus));
    add_note(&notes, NT_PRPSINFO, &(struct elf_prpsinfo){.pr_pid = fuzz.process}, sizeof(struct elf_prpsinfo));
    add_auxiliary(&notes);
    add_files(&notes, &target);
    uint64_t offset = (sizeof(Elf64_Ehdr) + sizeof headers + notes.size + 4095) & ~UINT64_C(4095);
    headers[0] =
        (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = sizeof(Elf64_Ehdr) + sizeof headers, .p_filesz = notes.size};
    for (size_t i = 0; i < target.mapping_count && count < 2000; i++) {
        const struct mapping *mapping = &target.mappings[i];
        const unsigned flags =
            (mapping->readable ? PF_R : 0u) | (mapping->writable ? PF_W : 0u) | (mapping->executable ? PF_X : 0u);
        const bool kept = mapping->writable && mapping->readable;
        const uint64_t size = kept ? mapping->end - mapping->start : mapping->readable ? 4096 : 0;
        headers[count++] = (Elf64_Phdr){.p_type = PT_LOAD,
                                        .p_flags = flags,
                                        .p_offset = offset,
                                        .p_vaddr = mapping->start,
                                        .p_filesz = size,
                                        .p_memsz = mapping->end - mapping->start};
        for (uint64_t at = 0; at < size; at += sizeof page) {
            if (target_read(&target, mapping->start + at, page, sizeof page) &&
                (page[0] != 0 || memcmp(page, page + 1, sizeof page - 1) != 0)) {
                write_at(file, page, sizeof page, offset + at);
            }
        }
        offset += size;
    }
    const Elf64_Ehdr head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                             .e_type = ET_CORE,
                             .e_machine = EM_X86_64,
                             .e_version = EV_CURRENT,
                             .e_phoff = sizeof head,
                             .e_ehsize = sizeof head,
                             .e_phentsize = sizeof *headers,
                             .e_phnum = (Elf64_Half)count};
    write_at(file, &head, sizeof head, 0);
    write_at(file, headers, sizeof headers, sizeof head);
    write_at(file, notes.bytes, notes.size, headers[0].p_offset);
    if (ftruncate(file, (off_t)offset) != 0) {
        abort();
    }
    target_close(&target);
}

static int save(void) {
    char folder[] = "/tmp/mems-fuzz.XXXXXX";
    char path[sizeof folder + 8];
    if (mkdtemp(folder) == NULL) {
        abort();
    }
    snprintf(path, sizeof path, "%s/saved", folder);
    char *words[] = {fuzz.name, path, NULL};
    verb_save(&(struct arguments){.words = words, .word_count = 2});
    const int file = open(path, O_RDWR);
    unlink(path);
    rmdir(folder);
    return file;
}

/* Files without a name, for nobody but this process and its children. */
static void make_files(void) {
    fuzz.files[MEDIUM_SAVED] = save();
    fuzz.files[MEDIUM_CORE] = memfd_create("core", 0);
    write_core(fuzz.files[MEDIUM_CORE]);
    for (unsigned i = MEDIUM_CORE; i < MEDIA; i++) {
        snprintf(fuzz.paths[i], sizeof fuzz.paths[i], "/proc/%d/fd/%d", getpid(), fuzz.files[i]);
    }
}

/* Where the file has an address; UINT64_MAX: nowhere. */
static uint64_t offset_of(int file, uint64_t address) {
    Elf64_Ehdr head;
    Elf64_Phdr header;
    for (unsigned i = 0; pread(file, &head, sizeof head, 0) == sizeof head && i < head.e_phnum; i++) {
        if (pread(file, &header, sizeof header, (off_t)(head.e_phoff + i * sizeof header)) == sizeof header &&
            header.p_type == PT_LOAD && address - header.p_vaddr < header.p_filesz) {
            return header.p_offset + (address - header.p_vaddr);
        }
    }
    return UINT64_MAX;
}

/* --- Changes ------------------------------------------------------------------------------------------------------ */

static uint64_t read_word(enum medium medium, uint64_t place, unsigned size) {
    uint64_t word = 0;
    if (medium != MEDIUM_LIVE) {
        return pread(fuzz.files[medium], &word, size, (off_t)place) > 0 ? word : 0;
    }
    struct iovec local = {&word, size};
    struct iovec remote = {(void *)(uintptr_t)place, size};
    return __real_process_vm_readv(fuzz.process, &local, 1, &remote, 1, 0) > 0 ? word : 0;
}

/* A byte says what becomes of the word: a limit, a number, another bit, more or less, another word of the heap. */
static uint64_t change(struct input *input, enum medium medium, uint64_t before, uint64_t place) {
    static const uint64_t limits[] = {0, 1, 255, 4096, 65535, UINT32_MAX, (uint64_t)1 << 47, UINT64_MAX};
    const uint8_t how = input_byte(input);
    const size_t number = input_number(input);
    switch (how % 5) {
    case 0:
        return limits[how / 5 % COUNT_OF(limits)];
    case 1:
        return number;
    case 2:
        return before ^ (uint64_t)1 << how / 5 % 64;
    case 3:
        return before + (uint64_t)(int64_t)(int16_t)number;
    default:
        return read_word(medium, place + (uint64_t)(int64_t)(int16_t)number * 8, 8);
    }
}

/* The next place: in the file's headers, or in a part of the heap. */
static uint64_t next_place(struct input *input, enum medium medium) {
    const size_t which = input_byte(input) % (fuzz.part_count + (medium != MEDIUM_LIVE ? 4 : 0));
    const uint64_t number = input_number(input);
    if (which >= fuzz.part_count) {
        return number * (which - fuzz.part_count + 1);
    }
    const struct part *part = &fuzz.parts[which];
    const uint64_t address = part->start + number * 8 % part->size;
    return medium == MEDIUM_LIVE ? address : offset_of(fuzz.files[medium], address);
}

static void make_edits(struct input *input, enum medium medium) {
    for (edit_count = 0; input->next < input->end && edit_count < EDITS_MAX;) {
        const uint64_t place = next_place(input, medium);
        const unsigned size = 1u << input_byte(input) % 4;
        if (place == UINT64_MAX) {
            continue;
        }
        const uint64_t before = read_word(medium, place, size);
        edits[edit_count++] = (struct edit){place, size, before, change(input, medium, before, place)};
    }
}

/* Changes a file, or takes the changes back. */
static void edit_file(int file, bool back) {
    for (size_t i = 0; i < edit_count; i++) {
        const struct edit *edit = &edits[back ? edit_count - 1 - i : i];
        write_at(file, back ? &edit->before : &edit->after, edit->size, edit->place);
    }
}

/* What a piece of a living process is read as. */
static void change_piece(uint64_t start, char *bytes, size_t size) {
    for (size_t i = 0; i < edit_count; i++) {
        const char *word = (const char *)&edits[i].after;
        for (unsigned byte = 0; byte < edits[i].size; byte++) {
            const uint64_t offset = edits[i].place + byte - start;
            if (offset < size) {
                bytes[offset] = word[byte];
            }
        }
    }
}

/* Local and remote pieces are alike, as the command has them. */
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count, unsigned long flags) {
    const ssize_t got = __real_process_vm_readv(pid, local, local_count, remote, remote_count, flags);
    size_t rest = got > 0 ? (size_t)got : 0;
    for (unsigned long piece = 0; piece < remote_count && rest != 0; piece++) {
        const size_t size = smaller(rest, remote[piece].iov_len);
        change_piece((uintptr_t)remote[piece].iov_base, local[piece].iov_base, size);
        rest -= size;
    }
    return got;
}

/* --- Looking ------------------------------------------------------------------------------------------------------ */

/* The end of the child, before libFuzzer's own handler. */
static void hand_back(int status, void *unused) {
    (void)unused;
    memcpy(fuzz.counters, counters_start, (size_t)(counters_stop - counters_start));
    _exit(status);
}

static int run_verb(unsigned verb, char *target, bool json) {
    char address[24];
    snprintf(address, sizeof address, "%#lx", (unsigned long)(fuzz.parts[fuzz.part_count / 2].start + 100));
    char *words[] = {target, NULL, NULL};
    struct arguments arguments = {.words = words, .word_count = 1, .json = json, .rows = 10, .no_suppressions = true};
    switch (verb) {
    case 0:
        return verb_stats(&arguments);
    case 1:
        return verb_check(&arguments);
    case 2:
        return verb_map(&arguments);
    case 3:
        arguments.why = address;
        return verb_leaks(&arguments);
    case 4:
        return verb_leaks(&arguments);
    case 5:
        return verb_profile(&arguments);
    default:
        words[0] = address;
        words[1] = target;
        arguments.word_count = 2;
        return verb_whatis(&arguments);
    }
}

static void look(unsigned verb, char *target, bool json) {
    on_exit(hand_back, NULL);
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
    if (freopen("/dev/null", "w", stdout) == NULL || (stderr = fopen("/dev/null", "w")) == NULL) {
        abort(); /* the sanitizers write to the descriptor */
    }
    exit(run_verb(verb, target, json));
}

static void fail_with(const char *what, int number) {
    fprintf(stderr, "the verb ended by %s %d\n", what, number);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, data + size};
    const enum medium medium = input_byte(&input) % MEDIA;
    const uint8_t verb = input_byte(&input);
    make_edits(&input, medium);
    if (medium != MEDIUM_LIVE) {
        edit_file(fuzz.files[medium], false);
    }
    pid_t child = fork();
    if (child == 0) {
        look(verb % 7, medium == MEDIUM_LIVE ? fuzz.name : fuzz.paths[medium], verb / 7 % 2 != 0);
    }
    int status;
    while (waitpid(child, &status, 0) != child) {
    }
    if (medium != MEDIUM_LIVE) {
        edit_file(fuzz.files[medium], true);
    }
    edit_count = 0;
    if (WIFSIGNALED(status)) {
        fail_with("signal", WTERMSIG(status));
    } else if (WEXITSTATUS(status) > EXIT_TROUBLE) {
        fail_with("status", WEXITSTATUS(status));
    }
    memcpy(counters_start, fuzz.counters, (size_t)(counters_stop - counters_start));
    return 0;
}

static void start_process(void) {
    int line[2];
    char byte;
    if (pipe(line) != 0 || (fuzz.process = fork()) < 0) {
        abort();
    }
    if (fuzz.process == 0) {
        dup2(line[1], STDOUT_FILENO);
        close(line[0]);
        execl(READER_TARGET, READER_TARGET, (char *)NULL);
        _exit(127);
    }
    close(line[1]);
    if (read(line[0], &byte, 1) != 1) {
        abort();
    }
    snprintf(fuzz.name, sizeof fuzz.name, "%d", fuzz.process);
}

static void stop_process(void) {
    kill(fuzz.process, SIGKILL);
}

int LLVMFuzzerInitialize(int *count, char ***words) {
    (void)count;
    (void)words;
    const size_t counters = (size_t)(counters_stop - counters_start);
    fuzz.counters = mmap(NULL, counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setenv("MEMS_OPTIONS", "sample=4k,decay_ms=600000", 1);
    start_process();
    find_parts();
    make_files();
    atexit(stop_process);
    return 0;
}
