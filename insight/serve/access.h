/*
 * access.h - who gets an answer. A page of another site in the user's browser could query a server on the loopback
 * device, under a name that it has pointed there (DNS rebinding); so a request must name this machine, and come from no
 * other site.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct access {
    bool loopback;    /* it listens there: only names of the loopback device are accepted */
    const char *host; /* one more name that is; NULL: none */
};

/* "127.0.0.1:6367" is split into an address and a port; false when the text is neither that, "[::1]:6367", nor a port
 * alone. */
bool access_split(const char *text, char *address, size_t size, unsigned short *port);

/* Whether an address in numbers is of the loopback device. */
bool access_is_loopback(const char *address);

/* Whether the value of the header Host is acceptable. */
bool access_host_right(const struct access *access, const char *host);

/* Whether that of Origin is: a page of the server that is asked. */
bool access_origin_right(const char *origin, const char *host);
