/* memory_allowed.c - how much memory the machine and the control groups allow, and how scarce it is. Reading one
 * of the kernel's files takes three system calls: too slow for malloc and free. */
#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os.h"

#define PATH_MOST 512u

/* The leading number; `otherwise` if there is none ("max"). */
static size_t number_at(const char *text, size_t otherwise) {
    size_t number = 0;
    if (*text < '0' || *text > '9') {
        return otherwise;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        number = number > SIZE_MAX / 10 - 1 ? SIZE_MAX / 10 - 1 : number * 10 + (size_t)(*text - '0');
    }
    return number;
}

static size_t limit_in(const char *root, const char *group, size_t length, const char *file) {
    char storage[PATH_MOST];
    char text[32];
    struct fmt path = fmt_of(storage, sizeof storage);
    fmt_text(&path, root);
    for (size_t i = 0; i < length; i++) {
        fmt_char(&path, group[i]);
    }
    fmt_text(&path, file);
    return !path.full && os_read_text(path.text, text, sizeof text) == 0 ? number_at(text, SIZE_MAX) : SIZE_MAX;
}

/* The lowest limit of a group, whose name ends at a newline, and its parents. */
static size_t least_limit(const char *root, const char *group, const char *file) {
    size_t length = strcspn(group, "\n");
    size_t least = SIZE_MAX;
    for (;;) {
        least = min_size(least, limit_in(root, group, length, file));
        if (length <= 1) {
            return least;
        }
        while (length > 0 && group[length - 1] != '/') {
            length--;
        }
        length -= length > 0;
    }
}

size_t os_groups_limit(const char *proc_file, const char *root) {
    char groups[1024];
    size_t least = SIZE_MAX;
    if (os_read_text(proc_file, groups, sizeof groups) != 0) {
        return SIZE_MAX;
    }
    for (const char *line = groups; line != NULL && *line != '\0';) {
        const char *names = strchr(line, ':');
        const char *group = names != NULL ? strchr(names + 1, ':') : NULL;
        if (group != NULL && group == names + 1) {
            least = min_size(least, least_limit(root, group + 1, "/memory.max"));
        } else if (group != NULL && strncmp(names, ":memory:", 8) == 0) {
            char v1[PATH_MOST];
            struct fmt path = fmt_of(v1, sizeof v1);
            fmt_text(&path, root);
            fmt_text(&path, "/memory");
            least = min_size(least, least_limit(path.text, group + 1, "/memory.limit_in_bytes"));
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return least;
}

size_t os_memory_allowed(void) {
    const size_t physical = os_physical_memory();
    return min_size(physical != 0 ? physical : SIZE_MAX, os_groups_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}

/* "some avg10=1.23 ...": percent of the last ten seconds. */
unsigned os_memory_pressure(void) {
    char text[128];
    if (os_read_text("/proc/pressure/memory", text, sizeof text) != 0) {
        return 0;
    }
    const char *average = strstr(text, "avg10=");
    return average != NULL ? (unsigned)number_at(average + 6, 0) : 0;
}
