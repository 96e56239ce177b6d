/*
 * work.c - what a device does with HMM. It ends with status 0, or with the number of the first thing that went wrong.
 *
 * MISTAKE selects the mistake it makes in the end, and the report that the fault handler expects.
 */
#include "device.h"

#include "../../valid/hmm_valid.h"
#include "hmm.h"

#ifndef MISTAKE
#define MISTAKE 0
#endif

#define BLOCKS 300

static _Alignas(16) unsigned char buffer[32768];
static _Alignas(16) unsigned char fast[6000]; /* like a device's memories: separate, of different sizes */
static _Alignas(16) unsigned char slow[20000];
static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static uint32_t state = 1;
static int told; /* the expected fault comes next */

static unsigned below(unsigned limit) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) & (limit - 1); /* a power of two */
}

/* --- Faults --------------------------------------------------------------------------------------------------- */

static const char *const lines[] = {
    "mems: HmmFree(0x*): double free: a * block of ",
    "mems: HmmFree(0x*): damaged neighbour: the header at 0x*: this block of * bytes was written past its end",
    "mems: alloc(0x*): damaged * block: written to after it was freed",
    "mems: HmmFree(0x*): not from this heap",
    "mems: HmmFree(0x*): not a block's start: * bytes into a used block of ",
};

/* Whether a line begins like a pattern, in which * is any text up to the character after it. */
static int begins(const char *line, const char *pattern) {
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            while (*line != '\0' && *line != pattern[1]) {
                line++;
            }
        } else if (*line++ != *pattern) {
            return 0;
        }
    }
    return 1;
}

static void tell(const char *line) {
    device_leave(!told ? 8 : begins(line, lines[MISTAKE]) ? 0 : 9);
}

static void make_mistake(void) {
    unsigned char *one = HmmAlloc(300);
    unsigned char *two = HmmAlloc(300);
    unsigned char *three = HmmAlloc(300);
    static int elsewhere;
    HmmSetFaultHandler(tell);
    told = 1;
    size_t room = HmmUsableSize(one);
    if (MISTAKE == 0) {
        HmmFree(two);
        HmmFree(two);
    } else if (MISTAKE == 1) {
        for (size_t i = 0; i < room + sizeof(void *); i++) {
            one[i] = 0;
        }
        HmmFree(one);
    } else if (MISTAKE == 2) {
        HmmFree(one);
        HmmFree(three);
        for (size_t i = 0; i < sizeof(void *); i++) {
            three[i] = 0;
        }
        (void)HmmAlloc(300);
        (void)HmmAlloc(300);
    } else if (MISTAKE == 3) {
        HmmFree(&elsewhere);
    } else {
        HmmFree(two + 2 * sizeof(void *));
    }
}

/* --- Any use of a heap ---------------------------------------------------------------------------------------- */

static int intact(unsigned i) {
    for (size_t at = 0; at < sizes[i]; at++) {
        if (blocks[i][at] != (unsigned char)i) {
            return 0;
        }
    }
    return 1;
}

static void *take(struct HmmHeap *heap, unsigned i, size_t size) {
    unsigned what = below(8);
    if (blocks[i] != NULL) {
        return HmmHeapRealloc(heap, blocks[i], size);
    }
    if (what == 0) {
        return HmmHeapAlignedAlloc(heap, (size_t)1 << below(8), size);
    }
    return what == 1 ? HmmHeapCalloc(heap, size, 1) : HmmHeapAlloc(heap, size);
}

/* Random operations on blocks that must keep their contents, until all is freed. Returns 0, or what went wrong. */
static int use(struct HmmHeap *heap, unsigned rounds) {
    const char *why;
    unsigned served = 0;
    for (unsigned n = 0; n < rounds; n++) {
        unsigned i = below(256);
        size_t size = below(2u << below(8)) + 1;
        if (blocks[i] != NULL && (!intact(i) || below(2) == 0)) {
            if (!intact(i)) {
                return 30;
            }
            HmmHeapFree(heap, blocks[i]);
            blocks[i] = NULL;
            sizes[i] = 0;
            continue;
        }
        unsigned char *block = take(heap, i, size);
        if (block != NULL) {
            for (size_t at = 0; at < (sizes[i] < size ? sizes[i] : size); at++) {
                if (block[at] != (unsigned char)i) {
                    return 31;
                }
            }
            for (size_t at = 0; at < size; at++) {
                block[at] = (unsigned char)i;
            }
            blocks[i] = block;
            sizes[i] = size;
            served++;
        }
        if (n % 16 == 0 && !hmm_valid(heap, &why)) {
            return 32;
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!intact(i)) {
            return 33;
        }
        HmmHeapFree(heap, blocks[i]);
        blocks[i] = NULL;
        sizes[i] = 0;
    }
    HmmHeapTrim(heap);
    return served < rounds / 4 ? 34 : hmm_valid(heap, &why) ? 0 : 35;
}

static int count(const struct HmmBlock *block, void *context) {
    *(int *)context += block->state == HMM_USED;
    return 0;
}

/* The heap of the functions that name none, in a buffer. */
static int use_buffer(void) {
    if (HmmAlloc(10) != NULL) {
        return 1; /* there is no memory yet */
    }
    if (HmmUseBuffer(buffer, sizeof buffer) != 0) {
        return 2;
    }
    int status = use(&hmm_heap, 20000);
    struct HmmStats stats;
    HmmStats(&stats);
    int used = 0;
    if (status != 0 || HmmWalk(count, &used) != 0 || used != 0) {
        return status != 0 ? status : 3;
    }
    return stats.used_blocks != 0 || stats.free_blocks > 1 || stats.region > 64 ? 4 : 0;
}

/* --- A heap of its own ---------------------------------------------------------------------------------------- */

static int locked, locks;

static void lock(void *context) {
    locked += context == &locks ? 1 : 100;
    locks++;
}

static void unlock(void *context) {
    (void)context;
    locked--;
}

static uint64_t entropy(void *context) {
    return context == &locks ? 0x123456789 : 0;
}

static int use_own_heap(void) {
    const struct HmmHooks hooks = {.lock = lock, .unlock = unlock, .entropy = entropy, .context = &locks};
    const struct HmmHooks half = {.lock = lock};
    if (HmmHeapCreate(fast, sizeof fast, &half) != NULL || HmmHeapCreate(fast, 100, NULL) != NULL) {
        return 10;
    }
    struct HmmHeap *heap = HmmHeapCreate(fast, sizeof fast, &hooks);
    if (heap == NULL || HmmHeapAddRegion(heap, slow, sizeof slow) != 0) {
        return 11;
    }
    if (HmmHeapAddRegion(heap, slow + 100, 200) == 0 || HmmHeapAddRegion(heap, NULL, 200) == 0 ||
        HmmHeapAddRegion(heap, buffer, 8) == 0) {
        return 12; /* overlapping, NULL, too small */
    }
    if (HmmHeapAlloc(heap, sizeof slow + 1) != NULL) {
        return 13;
    }
    int status = use(heap, 20000);
    struct HmmStats stats;
    HmmHeapStats(heap, &stats);
    if (status != 0 || stats.regions != 2 || stats.used_blocks != 0 || stats.free_blocks != 2 || stats.failures == 0) {
        return status != 0 ? status : 14;
    }
    return locked != 0 || locks < 20000 || stats.most == 0 || stats.least_free + stats.most < stats.free ? 15 : 0;
}

#ifdef HMM_TAGS
#define TAG_WORDS 1
#else
#define TAG_WORDS 0
#endif

/* The smallest block is four words: one of header, one for tags if there are any; the rest is the user's. */
static int use_smallest_blocks(void) {
    struct HmmHeap *heap = HmmHeapCreate(slow, sizeof slow, NULL);
    struct HmmStats stats;
    HmmHeapStats(heap, &stats);
    size_t free = stats.free;
    size_t number = 0;
    while (HmmHeapAlloc(heap, (3 - TAG_WORDS) * sizeof(void *)) != NULL) {
        number++;
    }
    return number < free / (4 * sizeof(void *)) ? 20 : 0;
}

#ifdef HMM_TAGS
static int find_site(const struct HmmBlock *block, void *context) {
    const char *site = block->site;
    for (; site != NULL && *site != '\0'; site++) {
        *(int *)context += begins(site, "work.c:");
    }
    return 0;
}

/* Each block knows where it was allocated. */
static int use_tags(void) {
    struct HmmHeap *heap = HmmHeapCreate(slow, sizeof slow, NULL);
    void *block = HmmHeapAlloc(heap, 100);
    block = HmmHeapRealloc(heap, block, 3000);
    HmmHeapFree(heap, HmmHeapCalloc(heap, 10, 10));
    int found = 0;
    HmmHeapWalk(heap, find_site, &found);
    return block == NULL || found != 1 ? 40 : 0;
}
#else
static int use_tags(void) {
    return 0;
}
#endif

int device_work(void) {
    int status = use_own_heap();
    status = status != 0 ? status : use_smallest_blocks();
    status = status != 0 ? status : use_tags();
    status = status != 0 ? status : use_buffer();
    if (status != 0) {
        return status;
    }
    make_mistake();
    return 6;
}
