/*
 * For lib.sh: preloaded beside a library, it records at the end of a process whose malloc the process had:
 * $WITNESS_RECORDS/PID gets the bytes in use if mallinfo2 belongs to the library $WITNESS_LIBRARY.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mallinfo2_result {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

static char records[2048];
static char library[2048];

/* At the end a program may have freed its environment, as php does. */
__attribute__((constructor)) static void read_environment(void) {
    const char *folder = getenv("WITNESS_RECORDS");
    const char *file = getenv("WITNESS_LIBRARY");
    if (folder != NULL && file != NULL) {
        snprintf(records, sizeof records, "%s", folder);
        snprintf(library, sizeof library, "%s", file);
    }
}

__attribute__((destructor)) static void record(void) {
    struct mallinfo2_result (*mallinfo2)(void) = NULL;
    *(void **)&mallinfo2 = dlsym(RTLD_DEFAULT, "mallinfo2");
    Dl_info from;
    if (*records == '\0' || mallinfo2 == NULL || dladdr(*(void **)&mallinfo2, &from) == 0 ||
        strcmp(from.dli_fname, library) != 0) {
        return;
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/%ld", records, (long)getpid());
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        struct mallinfo2_result info = mallinfo2();
        fprintf(file, "%zu\n", info.uordblks + info.hblkhd);
        fclose(file);
    }
}
