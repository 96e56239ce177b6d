#include "target/image.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/memory.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/text.h"
#include "target/residency.h"

/* Beyond the count: the target runs on until it is stopped. */
#define SPARE_PAGES ((uint64_t)4096)

/* Pages copied in one call; the unit that threads share. */
#define RUN_PAGES ((uint64_t)1024)

#define COPIERS_MAX 4u

/* A smaller part is not worth a thread. */
#define TOUCH_LEAST ((uint64_t)32 << 20)

/* The most pages that a table can number. */
#define PAGES_LIMIT ((uint64_t)UINT32_MAX)

static void *map_memory(uint64_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fail("no address space for a copy of its memory, %s", text_size(size));
    }
    return memory;
}

/* Memory is the limit for copying and for page faults, so more threads are no faster. */
static size_t threads_wanted(void) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 1 ? (size_t)smaller((uint64_t)processors, COPIERS_MAX) : 1;
}

#ifdef MADV_POPULATE_WRITE
struct touching {
    char *start;
    size_t size;
};

static void *touch_part(void *context) {
    const struct touching *part = context;
    madvise(part->start, part->size, MADV_POPULATE_WRITE);
    return NULL;
}

/* Prefaults before the target is stopped: each thread a part, in whole huge pages. */
static void touch(char *memory, uint64_t size) {
    struct touching parts[COPIERS_MAX];
    pthread_t threads[COPIERS_MAX];
    const size_t wanted = threads_wanted();
    const uint64_t step = (size / wanted | (TOUCH_LEAST - 1)) + 1;
    size_t started = 0;
    for (uint64_t at = step; at < size; at += step) {
        parts[started] = (struct touching){memory + at, smaller(size - at, step)};
        if (pthread_create(&threads[started], NULL, touch_part, &parts[started]) != 0) {
            break;
        }
        started++;
    }
    touch_part(&(struct touching){memory, smaller(size, step)});
    while (started != 0) {
        pthread_join(threads[--started], NULL);
    }
}
#else
/* Before Linux 5.14 the pause is longer. */
static void touch(char *memory, uint64_t size) {
    (void)memory;
    (void)size;
}
#endif

void image_prepare(struct image *image, uint64_t page_size, uint64_t pages) {
    memset(image, 0, sizeof *image);
    image->page_size = page_size;
    image->page_shift = (unsigned)__builtin_ctzll(page_size);
    uint64_t available = memory_available();
    if (pages > PAGES_LIMIT / 2 || pages << image->page_shift > available) {
        fail("copying its memory takes %s, and only %s are available: write a core, and look at it on a machine with "
             "more memory",
             text_size(pages << image->page_shift), text_size(available));
    }
    image->room = pages + pages / 4 + SPARE_PAGES;
    image->arena = map_memory(image->room << image->page_shift);
    madvise(image->arena, image->room << image->page_shift, MADV_HUGEPAGE);
    /* The child that reads symbols does without it. */
    madvise(image->arena, image->room << image->page_shift, MADV_DONTFORK);
    touch(image->arena, pages << image->page_shift);
}

void image_free(struct image *image) {
    for (size_t i = 0; i < image->count; i++) {
        const struct image_range *range = &image->ranges[i];
        munmap(range->places, ((range->end - range->start) >> image->page_shift) * sizeof *range->places);
    }
    free(image->ranges);
    if (image->arena != NULL) {
        munmap(image->arena, image->room << image->page_shift);
    }
    memset(image, 0, sizeof *image);
}

/* The target has grown since it was counted. */
static void make_room(struct image *image, uint64_t pages) {
    if (image->pages + pages <= image->room) {
        return;
    }
    uint64_t room = 2 * image->room + pages;
    char *arena = room > PAGES_LIMIT ? MAP_FAILED
                                     : mremap(image->arena, image->room << image->page_shift, room << image->page_shift,
                                              MREMAP_MAYMOVE);
    if (arena == MAP_FAILED) {
        fail("no address space for a copy of its memory");
    }
    image->arena = arena;
    image->room = room;
}

/* Gives pages their places in the arena; image_copy fills them. */
static void add_run(struct image *image, uint64_t start, uint64_t end) {
    const struct image_range *range = &image->ranges[image->count - 1];
    while (start < end) {
        const uint64_t pages = smaller((end - start) >> image->page_shift, RUN_PAGES);
        uint32_t *places = range->places + ((start - range->start) >> image->page_shift);
        make_room(image, pages);
        image->runs = grow(image->runs, image->run_count, sizeof *image->runs);
        image->runs[image->run_count++] = (struct image_run){start, pages, places};
        for (uint64_t i = 0; i < pages; i++) {
            places[i] = (uint32_t)++image->pages;
        }
        start += pages << image->page_shift;
    }
}

static bool is_wanted(const struct residency *residency, unsigned state) {
    return !residency->known || ((state & (PAGE_PRESENT | PAGE_SWAPPED)) != 0 && (state & PAGE_ZERO) == 0);
}

/* Finds the next run of pages with contents from *start on; false if there is none before `end`. If residency is
 * unknown, all pages count. */
static bool next_run(struct residency *residency, uint64_t *start, uint64_t *run_end, uint64_t end) {
    const uint64_t size = residency->target->page_size;
    uint64_t page = *start;
    if (!residency->known) {
        *run_end = end;
        return page < end;
    }
    while ((page = residency_next(residency, page, end)) < end &&
           !is_wanted(residency, residency_of(residency, page))) {
        page += size;
    }
    *start = page;
    while (page < end && is_wanted(residency, residency_of(residency, page))) {
        page += size;
    }
    *run_end = page;
    return *start < end;
}

void image_add(struct image *image, struct target *target, uint64_t start, uint64_t end) {
    image->ranges = grow(image->ranges, image->count, sizeof *image->ranges);
    struct image_range *range = &image->ranges[image->count++];
    const uint64_t pages = (end - start) >> image->page_shift;
    *range = (struct image_range){.start = start, .end = end, .places = map_memory(pages * sizeof *range->places)};
    struct residency residency;
    residency_start(&residency, target, start, end);
    uint64_t run_end;
    for (uint64_t run = start; next_run(&residency, &run, &run_end, end); run = run_end) {
        add_run(image, run, run_end);
    }
    residency_end(&residency);
}

/* --- Copying ------------------------------------------------------------------------------------------------------ */

/* Threads take runs in turn and copy them. */
struct copying {
    struct image *image;
    struct target *target;
    _Atomic size_t next;
};

/* A page that cannot be read, such as a device's, is left out. */
static void copy_run(struct image *image, struct target *target, const struct image_run *run) {
    for (uint64_t page = 0; page < run->pages;) {
        char *to = image->arena + ((uint64_t)(run->places[page] - 1) << image->page_shift);
        const uint64_t from = run->start + (page << image->page_shift);
        const size_t size = (run->pages - page) << image->page_shift;
        page += (target->kind == TARGET_LIVE ? live_read_resident(target, from, to, size)
                                             : core_read(target, from, to, size)) >>
                image->page_shift;
        if (page < run->pages) {
            run->places[page++] = 0;
        }
    }
}

static void *copy_runs(void *context) {
    struct copying *copying = context;
    struct image *image = copying->image;
    /* Relaxed: the runs existed before the threads, and the copy is read after they have been joined. */
    for (size_t i; (i = atomic_fetch_add_explicit(&copying->next, 1, memory_order_relaxed)) < image->run_count;) {
        copy_run(image, copying->target, &image->runs[i]);
    }
    return NULL;
}

void image_copy(struct image *image, struct target *target) {
    struct copying copying = {.image = image, .target = target};
    pthread_t threads[COPIERS_MAX - 1];
    const size_t wanted = target->kind == TARGET_LIVE ? (size_t)smaller(threads_wanted(), image->run_count) : 1;
    size_t started = 0;
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, copy_runs, &copying) == 0) {
        started++;
    }
    copy_runs(&copying);
    while (started != 0) {
        pthread_join(threads[--started], NULL);
    }
    free(image->runs);
    image->runs = NULL;
    image->run_count = 0;
}

uint64_t image_resident(struct target *target, uint64_t start, uint64_t end) {
    struct residency residency;
    uint64_t run_end;
    uint64_t bytes = 0;
    residency_start(&residency, target, start, end);
    for (uint64_t run = start; next_run(&residency, &run, &run_end, end); run = run_end) {
        bytes += run_end - run;
    }
    residency_end(&residency);
    return bytes / target->page_size;
}

const struct image_range *image_range_from(const struct image *image, uint64_t address) {
    const size_t index = ranges_from(image->ranges, image->count, sizeof *image->ranges, address);
    return index < image->count ? &image->ranges[index] : NULL;
}

bool image_has(const struct image *image, uint64_t start, size_t size) {
    const struct image_range *range = image_range_from(image, start);
    return range != NULL && range->start <= start && size <= range->end - start;
}

void image_read(const struct image *image, uint64_t address, void *to, size_t size) {
    const struct image_range *range = image_range_from(image, address);
    for (size_t done = 0; done < size;) {
        size_t offset = (size_t)((address + done) & (image->page_size - 1));
        size_t part = (size_t)smaller(size - done, image->page_size - offset);
        const char *page = image_page(image, range, address + done);
        if (page != NULL) {
            memcpy((char *)to + done, page + offset, part);
        } else {
            memset((char *)to + done, 0, part);
        }
        done += part;
    }
}
