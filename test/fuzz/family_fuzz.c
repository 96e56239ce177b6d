/*
 * family_fuzz.c - the malloc family under libFuzzer: programs of two threads (program.h) call it with anything a
 * program may pass, including impossible sizes and alignments. Built once for each heap behind the family.
 *
 * It also checks what each function promises: zeros, errno, EINVAL for a bad alignment, and that realloc to 0 frees.
 */
#include "family.h"

#include <malloc.h>

#include "api/family/backend.h"
#include "program.h"

/* Bytes used by a heap without blocks: the ends of HMM's region. */
#ifdef BACKEND_HMM
#include "valid/hmm_valid.h"
#define backend_valid(why) hmm_valid(&hmm_heap, why)
#define IDLE_BYTES_MAX 32
#else
#include "valid/engine_valid.h"
#define backend_valid engine_valid
#define IDLE_BYTES_MAX 0
#endif

void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum operation {
    MALLOC,
    CALLOC,
    REALLOC,
    REALLOCARRAY,
    ALIGNED_ALLOC,
    POSIX_MEMALIGN,
    MEMALIGN,
    VALLOC,
    PVALLOC,
    FREE,
    CFREE,
    FREE_SIZED,
    USABLE_SIZE,
    TRIM,
    INFO,
};
_Static_assert(INFO < PROGRAM_OPERATIONS, "a program can ask for each; what is left over asks for malloc");

static bool is_alignment(size_t alignment) {
    return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

/* Powers of two, most of them sensible, and other numbers. */
static size_t odd_alignment(const struct request *request) {
    return request->choice < 192 ? program_alignment(request) : request->choice - (size_t)192;
}

static void release(struct holding *block) {
    free(holding_end(block).written.memory);
}

static void hold(struct holding *block, const struct request *request, void *memory, size_t size, size_t alignment) {
    check_granted(request, memory, size, alignment);
    if (memory != NULL) {
        CHECK(malloc_usable_size(memory) >= size);
        holding_begin(block, memory, size, size, alignment);
    }
}

/* --- New blocks ----------------------------------------------------------------------------------------------- */

/* `size` bytes in up to 16 elements, or an overflowing product if `size` is impossible. */
static void split(const struct request *request, size_t *count, size_t *size) {
    *count = 1 + request->choice % 16;
    *size = size_granted(request->size) ? request->size / *count : request->size;
}

/* The size that a product amounts to. */
static size_t product(size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

static void allocate_zeroed(struct holding *block, const struct request *request) {
    size_t count;
    size_t size;
    split(request, &count, &size);
    unsigned char *memory = calloc(count, size);
    CHECK(memory == NULL || marked_zero(&(struct marked){.memory = memory, .size = count * size}));
    hold(block, request, memory, product(count, size), 0);
}

static void allocate_aligned(struct holding *block, const struct request *request) {
    size_t alignment = odd_alignment(request);
    void *memory = aligned_alloc(alignment, request->size);
    if (is_alignment(alignment)) {
        hold(block, request, memory, request->size, alignment);
    } else {
        CHECK(memory == NULL && errno == EINVAL);
    }
}

static void allocate_posix(struct holding *block, const struct request *request) {
    size_t alignment = odd_alignment(request);
    void *before = &before;
    void *memory = before;
    int error = posix_memalign(&memory, alignment, request->size);
    CHECK(errno == EDOM);
    if (error != 0) {
        CHECK(memory == before);
        memory = NULL;
    }
    if (!is_alignment(alignment) || alignment % sizeof(void *) != 0) {
        CHECK(error == EINVAL);
    } else {
        CHECK(error == 0 || error == ENOMEM);
        errno = error == 0 ? EDOM : error;
        hold(block, request, memory, request->size, alignment);
    }
}

/* memalign uses the next power of two. Called where the compiler cannot see it, because it believes that alignments
 * are powers of two. */
static void *(*volatile const hidden_memalign)(size_t alignment, size_t size) = memalign;

static void allocate_rounded(struct holding *block, const struct request *request) {
    size_t asked = odd_alignment(request);
    size_t alignment = 1;
    while (alignment < asked) {
        alignment *= 2;
    }
    hold(block, request, hidden_memalign(asked, request->size), request->size, alignment);
}

static void allocate_pages(struct holding *block, const struct request *request) {
    size_t page = os_page_size();
    if (request->operation == VALLOC) {
        hold(block, request, valloc(request->size), request->size, page);
        return;
    }
    bool rounds = request->size <= PTRDIFF_MAX;
    size_t size = rounds ? (request->size + page - 1) / page * page : SIZE_MAX;
    hold(block, request, pvalloc(request->size), size, page);
}

static void allocate(struct holding *block, const struct request *request) {
    release(block);
    switch (request->operation) {
    case CALLOC:
        allocate_zeroed(block, request);
        break;
    case ALIGNED_ALLOC:
        allocate_aligned(block, request);
        break;
    case POSIX_MEMALIGN:
        allocate_posix(block, request);
        break;
    case MEMALIGN:
        allocate_rounded(block, request);
        break;
    case VALLOC:
    case PVALLOC:
        allocate_pages(block, request);
        break;
    default:
        hold(block, request, malloc(request->size), request->size, 0);
    }
}

/* --- Existing blocks ----------------------------------------------------------------------------------------- */

static void resize(struct holding *block, const struct request *request) {
    size_t count = 1;
    size_t size = request->size;
    if (request->operation == REALLOCARRAY) {
        split(request, &count, &size);
    }
    size_t bytes = product(count, size);
    bool frees = block->written.memory != NULL && bytes == 0;
    void *before = frees ? holding_end(block).written.memory : block->written.memory;
    void *memory = request->operation == REALLOCARRAY ? reallocarray(before, count, size) : realloc(before, size);
    if (frees) {
        CHECK(memory == NULL && errno == EDOM);
        return;
    }
    if (memory != NULL) {
        holding_move(block, memory, bytes);
    }
    hold(block, request, memory, bytes, 0);
}

static void release_sized(struct holding *block) {
    struct holding ended = holding_end(block);
    if (ended.alignment == 0) {
        free_sized(ended.written.memory, ended.size);
    } else {
        free_aligned_sized(ended.written.memory, ended.alignment, ended.size);
    }
}

/* The program writes everything it may. */
static void fill_usable(struct holding *block) {
    size_t usable = malloc_usable_size(block->written.memory);
    CHECK(usable >= block->size);
    if (block->written.memory == NULL) {
        CHECK(usable == 0);
        return;
    }
    check_apart(block, block->written.memory, usable);
    block->written.size = usable;
    marked_fill(&block->written);
}

static void write_info(void) {
    static FILE *nowhere;
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
    }
    errno = EDOM;
    CHECK(malloc_info(0, nowhere) == 0);
}

static void ask(const struct request *request) {
    if ((request->choice & 1) != 0) {
        write_info();
    }
    struct mallinfo2 info = mallinfo2();
    CHECK(info.arena == info.uordblks + info.fordblks);
    CHECK(info.uordblks + info.hblkhd >= program.held);
}

static void perform(struct holding *block, const struct request *request) {
    switch (request->operation) {
    case REALLOC:
    case REALLOCARRAY:
        resize(block, request);
        return;
    case FREE:
        release(block);
        break;
    case CFREE:
        cfree(holding_end(block).written.memory);
        break;
    case FREE_SIZED:
        release_sized(block);
        break;
    case USABLE_SIZE:
        fill_usable(block);
        break;
    case TRIM:
        (void)malloc_trim(request->choice * (size_t)1024);
        break;
    case INFO:
        ask(request);
        break;
    default:
        allocate(block, request);
        return;
    }
    CHECK(errno == EDOM);
}

static void trim(void) {
    (void)malloc_trim(0);
}

static void check(void) {
    const char *why = "no reason given";
    CHECK_OR_SAY(backend_valid(&why), why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct heap_calls heap = {perform, release, trim, check};
    program_run(&heap, data, size);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks + info.hblkhd <= IDLE_BYTES_MAX);
    return 0;
}
