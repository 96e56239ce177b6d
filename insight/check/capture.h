/* capture.h - a snapshot of a target: memory, registers, and the heaps' structures. A live process is stopped
 * meanwhile, and resumes before the snapshot is examined. */
#pragma once

#include "target/image.h"
#include "walk/session.h"

struct capture {
    struct image image;
    double pause;     /* seconds */
    const char *held; /* a lock of a heap that a thread held at that moment, or NULL */
};

/* Ends the program with a clear line if that is refused, or memory does not suffice. `is_stopped`: the process is
 * stopped already, and its threads' registers have been read. */
void capture_take(struct capture *capture, struct session *session, bool is_stopped);
void capture_free(struct capture *capture, struct session *session);
