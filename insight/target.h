/*
 * target.h - whose heap is looked at: a living process, a core, or what `mems save` has kept. Its memory and its
 * mappings, read without running any code in it.
 *
 * Nothing that a target says is believed: an address is read only if it is there, and what is read may have changed, or
 * have been made up.
 */
#ifndef MEMS_INSIGHT_TARGET_H
#define MEMS_INSIGHT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A mapping of the target. The numbers from `rss` on are smaps', in bytes, and only there with `has_usage`. */
struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset; /* in its file */
    uint64_t inode;
    bool readable;
    bool writable;
    bool executable;
    bool shared;
    char *path; /* of the file, or a name in brackets; "" where there is none */
    uint64_t rss;
    uint64_t shared_rss; /* of it also mapped by others: after a fork, or of a file */
    uint64_t anonymous;
    uint64_t huge; /* in transparent huge pages */
    uint64_t swap;
    uint64_t locked;
};

struct thread {
    pid_t id;
    uint64_t stack; /* the stack pointer; 0: not known */
};

enum target_kind { TARGET_LIVE, TARGET_CORE, TARGET_SAVED };

struct core;

/* Pages in one state (residency.h). */
struct page_run {
    uint64_t start;
    uint64_t end;
    uint64_t state;
};

/* What has been read of a target, so that it can be saved. */
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
    int signal;             /* that ended it; 0: none, or not known */
    uint64_t fault_address; /* of that signal, where it has one */
    const char *denied;     /* why its memory cannot be read; NULL: it can */
    struct core *core;      /* of a core, or of what was saved */
    struct record *record;  /* NULL: nobody wants to save it */
    struct page_run *saved; /* of what was saved: which pages were resident */
    size_t saved_count;
    uint64_t saved_now;  /* and its time, in seconds */
    struct copy *copies; /* of a living process: what is read from them, not from it */
    size_t copy_count;
    int memory;  /* file descriptor of /proc/PID/mem; -1: not open */
    int pagemap; /* and of /proc/PID/pagemap */
};

/* Opens what the user has named: a process by its number, or a file. Ends the program with a clear line if that does
 * not work. A process whose mappings may be seen, but not its memory, is opened with `denied`. */
void target_open(struct target *target, const char *name);
void target_close(struct target *target);

/* Opens a process; false, and *why, when there is none or it must not be looked at. */
bool target_open_live(struct target *target, pid_t pid, const char **why);
bool target_open_core(struct target *target, const char *path);

/* Reads the mappings of a living process once more, with their numbers. */
bool target_read_mappings(struct target *target);

/* Finds out where the threads' stacks are. */
void target_read_threads(struct target *target);

/*
 * The thread that a thread pointer belongs to; 0: not known. The C library puts what it points at where the thread's
 * stack is, but for the first thread, which is told as long as the stacks of all others are known.
 */
pid_t target_thread_of(struct target *target, uint64_t pointer);

/* Copies memory; false when not all of it is there. What was asked for is then undefined. */
bool target_read(struct target *target, uint64_t address, void *to, size_t size);

/* The same as far as it goes: the number of bytes from `address` on. */
size_t target_read_some(struct target *target, uint64_t address, void *to, size_t size);

/* A little-endian number of 1, 2, 4 or 8 bytes. */
bool target_read_number(struct target *target, uint64_t address, unsigned size, uint64_t *value);
bool target_read_pointer(struct target *target, uint64_t address, uint64_t *value);

/* A text of less than `size` bytes, cut and ended by '\0'; false when nothing can be read. */
bool target_read_text(struct target *target, uint64_t address, char *text, size_t size);

/* The mapping that holds an address, and the first one that ends behind it; NULL when there is none. */
const struct mapping *target_mapping(const struct target *target, uint64_t address);
struct mapping *target_mapping_from(struct target *target, uint64_t address);

/* Stops all threads of a living process and lets them go on. False, and *why, when that cannot be done. */
bool target_stop(struct target *target, const char **why);
void target_continue(struct target *target);

/* Copies start .. end, as far as it is there: from then on it is read from the copy. */
void target_copy(struct target *target, uint64_t start, uint64_t end);

/* --- For core.c and live.c ---------------------------------------------------------------------------------------- */

size_t live_read(struct target *target, uint64_t address, void *to, size_t size);
size_t core_read(struct target *target, uint64_t address, void *to, size_t size);
void core_close(struct target *target);

/* Adds a mapping behind the others. */
struct mapping *target_add_mapping(struct target *target);

#endif
