#include "fmt.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * syscall(), not write(): the C library's write is a cancellation point, and a thread that is cancelled here would
 * vanish in the middle of a fault report, or with our locks held.
 */
void fmt_flush(struct fmt *fmt, int fd) {
    int saved = errno;
    size_t done = 0;
    while (done < fmt->length) {
        long written = syscall(SYS_write, fd, fmt->text + done, fmt->length - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            break;
        }
    }
    errno = saved;
    fmt->length = 0;
    fmt->full = false;
    fmt->text[0] = '\0';
}
