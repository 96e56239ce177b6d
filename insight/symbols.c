#include "symbols.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

struct symbols {
    Dwfl *dwfl;
    Elf *elf; /* of a core */
    int file;
};

static pid_t live_process;

/* A module's file as the process sees it, which may be in a container. */
static int find_in_its_root(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **path,
                            Elf **elf) {
    if (name[0] == '/') {
        char *there = make_text("/proc/%d/root%s", live_process, name);
        int file = open(there, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            *path = there;
            return file;
        }
        free(there);
    }
    return dwfl_linux_proc_find_elf(module, data, name, base, path, elf);
}

/* Without debuginfod and separate debugging information, which may take minutes: names come from the symbol tables. */
static const Dwfl_Callbacks live_callbacks = {
    .find_elf = find_in_its_root,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

static const Dwfl_Callbacks core_callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

static bool report_live(struct symbols *symbols, pid_t pid) {
    live_process = pid;
    symbols->dwfl = dwfl_begin(&live_callbacks);
    return symbols->dwfl != NULL && dwfl_linux_proc_report(symbols->dwfl, pid) == 0;
}

static bool report_core(struct symbols *symbols, const char *path) {
    symbols->file = open(path, O_RDONLY | O_CLOEXEC);
    symbols->elf = symbols->file >= 0 ? elf_begin(symbols->file, ELF_C_READ_MMAP, NULL) : NULL;
    symbols->dwfl = dwfl_begin(&core_callbacks);
    return symbols->elf != NULL && symbols->dwfl != NULL &&
           dwfl_core_file_report(symbols->dwfl, symbols->elf, NULL) >= 0;
}

struct symbols *symbols_open(struct target *target) {
    struct symbols *symbols = make_zeroed(1, sizeof *symbols);
    symbols->file = -1;
    elf_version(EV_CURRENT);
    unsetenv("DEBUGINFOD_URLS");
    bool reported =
        target->kind == TARGET_LIVE ? report_live(symbols, target->pid) : report_core(symbols, target->name);
    if (symbols->dwfl != NULL && (!reported || dwfl_report_end(symbols->dwfl, NULL, NULL) != 0)) {
        dwfl_end(symbols->dwfl);
        symbols->dwfl = NULL;
    }
    return symbols;
}

void symbols_close(struct symbols *symbols) {
    if (symbols->dwfl != NULL) {
        dwfl_end(symbols->dwfl);
    }
    if (symbols->elf != NULL) {
        elf_end(symbols->elf);
    }
    if (symbols->file >= 0) {
        close(symbols->file);
    }
    free(symbols);
}

/*
 * A C++ name as people write it; others as they are. Programs in C++ come with their runtime library, which knows how;
 * where it is not installed, names stay as the linker has them.
 */
static char *demangled(const char *name) {
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool looked;
    if (!looked) {
        looked = true;
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY);
        if (library != NULL) {
            *(void **)&demangle = dlsym(library, "__cxa_demangle");
        }
    }
    int status = -1;
    char *plain = demangle != NULL && strncmp(name, "_Z", 2) == 0 ? demangle(name, NULL, NULL, &status) : NULL;
    return plain != NULL ? plain : copy_text(name);
}

char *symbols_name(struct symbols *symbols, uint64_t address) {
    Dwfl_Module *module = symbols->dwfl != NULL ? dwfl_addrmodule(symbols->dwfl, address) : NULL;
    if (module == NULL) {
        return NULL;
    }
    GElf_Off distance;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, address, &distance, &symbol, NULL, NULL, NULL);
    if (name == NULL) {
        return NULL;
    }
    char *plain = demangled(name);
    char *text = distance != 0 ? make_text("%s+%lu", plain, (unsigned long)distance) : copy_text(plain);
    free(plain);
    return text;
}
