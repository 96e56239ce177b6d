/*
 * symbols.c - preloaded into the command mems: libdw as a hostile file could make it behave, in the way that HOSTILE
 * says. Where it hangs, waiting for an answer takes a tenth of a second at most.
 */
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int poll(struct pollfd *files, nfds_t count, int timeout) {
    int (*other)(struct pollfd *, nfds_t, int);
    *(void **)&other = dlsym(RTLD_NEXT, "poll");
    return other(files, count, strcmp(getenv("HOSTILE"), "hang") == 0 && timeout > 100 ? 100 : timeout);
}

const char *dwfl_module_addrinfo(Dwfl_Module *module, GElf_Addr address, GElf_Off *offset, GElf_Sym *symbol,
                                 GElf_Word *section, Elf **elf, Dwarf_Addr *bias) {
    const char *how = getenv("HOSTILE");
    (void)module, (void)address, (void)symbol, (void)section, (void)elf, (void)bias;
    *offset = 0;
    if (strcmp(how, "crash") == 0) {
        __builtin_trap();
    }
    while (strcmp(how, "hang") == 0) {
        pause();
    }
    for (size_t taken = 0; strcmp(how, "grow") == 0; taken += 1 << 20) {
        char *block = malloc(1 << 20);
        if (block == NULL || taken > (size_t)8 << 30) {
            return block == NULL ? "limited" : "unlimited";
        }
    }
    if (strcmp(how, "long") == 0) {
        return memset(calloc(1, 3 << 20), 'a', 2 << 20);
    }
    return "evil\033[31m\n\302\233name";
}
