/* mems_profile.c - mems.h: samples. */
#include <errno.h>

#include "base/compiler.h"
#include "base/fmt.h"
#include "engine/engine.h"
#include "engine/reports/profile.h"
#include "mems.h"

EXPORT void mems_sample_interval_set(size_t bytes) {
    char text[32];
    struct fmt value = fmt_of(text, sizeof text);
    fmt_decimal(&value, bytes);
    (void)engine_option_set("sample", text);
}

EXPORT int mems_profile_write(int fd, int kind) {
    if (fd < 0) {
        return EBADF;
    }
    if (kind != MEMS_PROFILE_LIVE && kind != MEMS_PROFILE_PEAK) {
        return EINVAL;
    }
    profile_write(fd, kind == MEMS_PROFILE_PEAK ? PROFILE_PEAK : PROFILE_LIVE);
    return 0;
}
