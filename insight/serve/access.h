/* access.h - who gets an answer. A page of another site in the user's browser could query a server on the loopback
 * device, under a name that it has pointed there (DNS rebinding); so a request must name this machine, and come from no
 * other site. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct access {
    bool loopback;    /* listening there, so only its names are accepted */
    const char *host; /* one more name that is; NULL: none */
};

/* "127.0.0.1:6367", "[::1]:6367", or a port alone, as address and port; false for anything else. */
bool access_split(const char *text, char *address, size_t size, unsigned short *port);

/* A numeric address. */
bool access_is_loopback(const char *address);

/* Whether the value of the header Host is acceptable. */
bool access_host_right(const struct access *access, const char *host);

/* The header Origin: must be a page of the server asked. */
bool access_origin_right(const char *origin, const char *host);
