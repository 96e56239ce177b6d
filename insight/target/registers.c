#include "target/registers.h"

#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "support/support.h"

/* In bytes: AVX-512 takes 2.7 KiB, AMX 11 KiB, SVE up to 17 KiB. */
#define SET_MAX ((size_t)32 << 10)

/* The maximum of words in a thread's sets. */
#define REGISTERS_MAX (4 * SET_MAX / sizeof(uint64_t))

#if defined(__x86_64__)
static const char *const general_names[] = {
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8",      "rax",     "rcx",
    "rdx", "rsi", "rdi", "",    "rip", "",    "",    "rsp", "",   "fs base", "gs base",
};
enum { STACK_REGISTER = 19, CALL_REGISTER = 15 };
#define HAS_CALL_REGISTER 1
static const unsigned sets[] = {NT_PRSTATUS, NT_X86_XSTATE, NT_FPREGSET};
#elif defined(__aarch64__)
static const char *const general_names[] = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
    "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
    "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",
};
enum { STACK_REGISTER = 31, CALL_REGISTER = 0 };
#define HAS_CALL_REGISTER 0
static const unsigned sets[] = {NT_PRSTATUS, NT_FPREGSET, NT_ARM_TLS, NT_ARM_SVE};
#else
#error "no such processor"
#endif

void registers_add(struct thread *thread, const void *bytes, size_t size) {
    const size_t words = smaller(size, SET_MAX) / sizeof *thread->registers;
    if (thread->register_count > REGISTERS_MAX) {
        return; /* a hostile core's */
    }
    thread->registers = remake(thread->registers, (thread->register_count + words) * sizeof *thread->registers);
    memcpy(thread->registers + thread->register_count, bytes, words * sizeof *thread->registers);
    if (thread->register_count == 0 && words > STACK_REGISTER) {
        thread->stack = thread->registers[STACK_REGISTER];
    }
    thread->register_count += words;
}

bool registers_read(struct thread *thread) {
    static uint64_t set[SET_MAX / sizeof(uint64_t)];
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        struct iovec place = {.iov_base = set, .iov_len = sizeof set};
        if (ptrace(PTRACE_GETREGSET, thread->id, (void *)(uintptr_t)sets[i], &place) == 0) {
            registers_add(thread, set, place.iov_len);
        } else if (i == 0) {
            return false; /* not every processor has the other sets */
        }
    }
    return true;
}

size_t registers_general(const struct thread *thread) {
    return smaller(thread->register_count, COUNT_OF(general_names));
}

const char *register_name(size_t index) {
    return index < COUNT_OF(general_names) && general_names[index][0] != '\0' ? general_names[index]
           : index < COUNT_OF(general_names)                                  ? "a general register"
                                                                              : "a vector register";
}

bool registers_in_call(const struct thread *thread) {
    return HAS_CALL_REGISTER && thread->register_count > CALL_REGISTER &&
           (int64_t)thread->registers[CALL_REGISTER] >= 0;
}
