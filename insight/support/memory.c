#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

/* The number in the first line of a file, or UINT64_MAX. */
static uint64_t read_number(const char *folder, const char *name) {
    char line[64];
    uint64_t number = UINT64_MAX;
    char *path = make_text("/sys/fs/cgroup%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            if (!parse_number(line, &number)) {
                number = UINT64_MAX; /* "max" */
            }
        }
        fclose(file);
    }
    free(path);
    return number;
}

/* The least that this process's control groups still allow. */
static uint64_t group_available(void) {
    char line[4096];
    uint64_t least = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, "0::/", 4) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    char *folder = line + 3;
    folder[strcspn(folder, "\n")] = '\0';
    for (char *slash = found ? folder : NULL; slash != NULL;) {
        uint64_t limit = read_number(folder, "memory.max");
        uint64_t used = read_number(folder, "memory.current");
        if (limit != UINT64_MAX && used != UINT64_MAX) {
            least = smaller(least, limit > used ? limit - used : 0);
        }
        slash = strrchr(folder, '/');
        if (slash != NULL) {
            *slash = '\0'; /* the group above */
        }
    }
    return least;
}

uint64_t memory_available(void) {
    char line[128];
    uint64_t available = UINT64_MAX;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            available = strtoull(line + 13, NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return smaller(available, group_available());
}

uint64_t memory_own(void) {
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
