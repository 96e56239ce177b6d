/* file.c - reading and writing files. */
#include <errno.h>
#include <fcntl.h>

#include "base/fmt.h"
#include "os.h"
#include "syscall.h"

static int open_file(const char *path, int flags, int *fd) {
    long result = SYSCALL(SYS_openat, AT_FDCWD, syscall_address(path), flags | O_CLOEXEC, 0644L);
    int error = syscall_error(result);
    if (error == 0) {
        *fd = (int)result;
    }
    return error;
}

int os_open_append(const char *path, int *fd) {
    return open_file(path, O_WRONLY | O_CREAT | O_APPEND, fd);
}

int os_open_new(const char *path, int *fd) {
    return open_file(path, O_WRONLY | O_CREAT | O_TRUNC, fd);
}

void os_close(int fd) {
    (void)SYSCALL(SYS_close, fd);
}

int os_duplicate(int fd, int least, int *copy) {
    long result = SYSCALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);
    int error = syscall_error(result);
    if (error == 0) {
        *copy = (int)result;
    }
    return error;
}

/* The kernel's struct stat, 144 bytes on x86-64 and 128 on aarch64; libc's may differ. */
int os_file_identity(int fd, struct os_file_identity *identity) {
    uint64_t status[32];
    int error = syscall_error(SYSCALL(SYS_fstat, fd, syscall_address(status)));
    if (error == 0) {
        *identity = (struct os_file_identity){.device = status[0], .inode = status[1]};
    }
    return error;
}

int os_read_text(const char *path, char *text, size_t size) {
    int fd;
    int error = open_file(path, O_RDONLY, &fd);
    if (error != 0) {
        return error;
    }
    long length = SYSCALL(SYS_read, fd, syscall_address(text), (long)(size - 1));
    os_close(fd);
    text[length > 0 ? length : 0] = '\0';
    return syscall_error(length);
}

void os_copy_text(const char *path, int to) {
    char text[4096];
    int from;
    if (open_file(path, O_RDONLY, &from) != 0) {
        return;
    }
    for (;;) {
        struct fmt out = {.text = text, .capacity = sizeof text};
        long length = SYSCALL(SYS_read, from, syscall_address(text), (long)(sizeof text - 1));
        if (length <= 0) {
            break;
        }
        out.length = (size_t)length;
        fmt_flush(&out, to);
    }
    os_close(from);
}

void fmt_flush(struct fmt *fmt, int fd) {
    size_t done = 0;
    while (done < fmt->length) {
        long written = SYSCALL(SYS_write, fd, syscall_address(fmt->text + done), (long)(fmt->length - done));
        if (written > 0) {
            done += (size_t)written;
        } else if (syscall_error(written) != EINTR) {
            break;
        }
    }
    fmt->length = 0;
    fmt->full = false;
    fmt->text[0] = '\0';
}
