/* target.h - the target: a live process, a core, or a file from `mems save`. It is read without running any code in it.
 * No data from a target is trusted: an address may not be mapped, and data may have changed or be forged. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The numbers from `rss` on are smaps', in bytes; valid only with `has_usage`. */
struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset; /* in its file */
    uint64_t inode;
    bool readable;
    bool writable;
    bool executable;
    bool shared;
    bool uncounted; /* in no Rss: a device, or hugetlbfs; known if smaps has been read */
    bool unwritten; /* writable, but not in the core, because it was never written */
    char *path;     /* of the file, or a name in brackets, or "" */
    uint64_t rss;
    uint64_t shared_rss; /* also mapped by others: after a fork, or of a file */
    uint64_t huge;       /* in transparent huge pages */
    uint64_t swap;
};

struct thread {
    pid_t id;
    uint64_t stack;      /* the stack pointer; 0: not known */
    uint64_t *registers; /* the general ones first (registers.h); NULL: not known */
    size_t register_count;
};

/* A signal that ends programs. */
struct blow {
    int signal;     /* 0: none */
    pid_t sender;   /* the sending process; 0: none, or unknown */
    bool has_fault; /* it is about an address; x86 does not give one that no process can have */
    uint64_t fault;
};

enum target_kind { TARGET_LIVE, TARGET_CORE, TARGET_SAVED };

struct core;
struct image;

/* Pages in one state (residency.h). */
struct page_run {
    uint64_t start;
    uint64_t end;
    uint64_t state;
};

/* The reads from a target, so that they can be saved. */
struct record {
    struct piece {
        uint64_t start;
        uint64_t end;
    } *pieces;
    size_t piece_count;
    struct page_run *runs;
    size_t run_count;
};

/* Memory as it was when it was copied. */
struct copy {
    uint64_t start;
    uint64_t end;
    char *bytes;
};

struct target {
    enum target_kind kind;
    const char *name;         /* as the user has given it */
    pid_t pid;                /* 0: not known */
    char *program;            /* "" where it is not known */
    struct mapping *mappings; /* in ascending order */
    size_t mapping_count;
    bool has_usage; /* the mappings' numbers from rss on are known */
    struct thread *threads;
    size_t thread_count;
    uint64_t page_size;
    int signal; /* that ended it; 0: none, or not known */
    struct blow blow;
    const char *denied;     /* why its memory cannot be read; NULL: it can */
    struct core *core;      /* of a core, or a saved file */
    struct record *record;  /* for `mems save`; otherwise NULL */
    struct page_run *pages; /* resident ones: in a saved file, or when the process was measured */
    size_t page_count;
    bool measured;       /* `pages` are those of a process (residency_measure) */
    uint64_t saved_now;  /* and its time, in seconds; */
    bool saved_stopped;  /* and all of it is of one moment */
    struct copy *copies; /* of a live process: read instead of it */
    size_t copy_count;
    struct image *image; /* pages that were in memory (image.h), or NULL */
    int memory;          /* file descriptor of /proc/PID/mem; -1: not open */
    int pagemap;         /* and of /proc/PID/pagemap */
    int maps;            /* and of /proc/PID/maps */
    double usage_read;   /* when smaps was read last; 0: never */
};

/* Opens what the user named: a process by its number (see target_glance), or a file. Ends the program with a clear line
 * on failure. A process whose mappings may be seen, but not its memory, is opened with `denied`. */
void target_open(struct target *target, const char *name);
void target_close(struct target *target);

/* False, and *why, if there is no such process or it may not be read. */
bool target_open_live(struct target *target, pid_t pid, const char **why);

/* The same, cheaper: its mappings have no numbers. */
bool target_glance(struct target *target, pid_t pid, const char **why);

bool target_open_core(struct target *target, const char *path);

struct blow target_blow(const siginfo_t *info);

/* A blow without an address, as a sentence; NULL: unknown. The caller frees it. */
char *target_blow_told(const struct blow *blow);

/* Reads a living process's mappings with their numbers by smaps; other targets' have been read. These three are false
 * if it has ended, or executed another program. */
bool target_read_mappings(struct target *target);

/* Without the numbers, for which the kernel looks at every page: 30 ms a GiB and more. */
bool target_read_places(struct target *target);

/* With numbers counted from the page map, for a look each second: a third of the cost. What it does not tell,
 * shared_rss and uncounted, is as old as the last reading of smaps: up to a minute. */
bool target_update_mappings(struct target *target);

/* Finds out where the threads' stacks are, once. */
void target_read_threads(struct target *target);

/* Threads come and go, but each stays on its stack. */
void target_update_threads(struct target *target);

/* The thread of a thread pointer; 0: unknown. The C library puts the control block on the thread's stack, except for
 * the first thread, which is known if all others' stacks are. */
pid_t target_thread_of(struct target *target, uint64_t pointer);

/* False if not all of it is there; then the result is undefined. */
bool target_read(struct target *target, uint64_t address, void *to, size_t size);

/* `read`: all of it was there. */
struct reading {
    uint64_t address;
    void *to;
    size_t size;
    bool read;
};

/* In as few system calls as possible. */
void target_read_many(struct target *target, struct reading *readings, size_t count);

/* As far as it goes: returns the bytes from `address` on. */
size_t target_read_some(struct target *target, uint64_t address, void *to, size_t size);

/* Little-endian, of 1, 2, 4 or 8 bytes. */
bool target_read_number(struct target *target, uint64_t address, unsigned size, uint64_t *value);
bool target_read_pointer(struct target *target, uint64_t address, uint64_t *value);

/* Less than `size` bytes, cut and ended by '\0'; false if nothing can be read. */
bool target_read_text(struct target *target, uint64_t address, char *text, size_t size);

/* The mapping that holds an address; the first one that ends after it; or NULL. */
const struct mapping *target_mapping(const struct target *target, uint64_t address);
struct mapping *target_mapping_from(struct target *target, uint64_t address);

/* Whether all threads of a living process are stopped. */
bool target_is_stopped(const struct target *target);

/* Stops all threads of a living process; lets them go on. False, and *why, if that is impossible. */
bool target_stop(struct target *target, const char **why);

/* The stopped threads become the target's, with their registers. */
void target_read_registers(struct target *target);
void target_continue(struct target *target);

/* Copies the mapped parts of start .. end, which are then read from the copy. */
void target_copy(struct target *target, uint64_t start, uint64_t end);

/* The ranges are read from the process again. */
void target_drop_copies(struct target *target);

/* --- For core.c and live.c ---------------------------------------------------------------------------------------- */

size_t live_read(struct target *target, uint64_t address, void *to, size_t size);
void live_read_many(struct target *target, struct reading *readings, size_t count);

/* Reads pages that the process has; several threads may do so at once. */
size_t live_read_resident(struct target *target, uint64_t address, void *to, size_t size);
size_t core_read(struct target *target, uint64_t address, void *to, size_t size);
void core_close(struct target *target);

/* Empty the lists of threads and mappings. */
void target_forget_threads(struct target *target);
void target_forget_mappings(struct target *target);

/* Adds a mapping behind the others. */
struct mapping *target_add_mapping(struct target *target);
