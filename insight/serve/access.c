#include "serve/access.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "support/support.h"

/* Without the brackets of an IPv6 address; false if it is too long or malformed. */
static bool split(const char *text, char *name, size_t size, const char **port) {
    const char *end;
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        *port = end != NULL ? end + 1 : NULL;
    } else {
        end = strchr(text, ':');
        end = end != NULL ? end : text + strlen(text);
        *port = end;
    }
    if (end == NULL || (size_t)(end - text) >= size || (**port != ':' && **port != '\0')) {
        return false;
    }
    memcpy(name, text, (size_t)(end - text));
    name[end - text] = '\0';
    return true;
}

static bool is_address(const char *name) {
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

bool access_is_loopback(const char *address) {
    struct in_addr four;
    struct in6_addr six;
    return (inet_pton(AF_INET, address, &four) == 1 && ntohl(four.s_addr) >> 24 == 127) ||
           (inet_pton(AF_INET6, address, &six) == 1 && memcmp(&six, &in6addr_loopback, sizeof six) == 0);
}

bool access_split(const char *text, char *address, size_t size, unsigned short *port) {
    const char *rest;
    uint64_t number;
    if (parse_number(text, &number)) {
        rest = text;
        snprintf(address, size, "127.0.0.1");
    } else if (split(text, address, size, &rest) && *rest == ':') {
        rest++;
        if (strcasecmp(address, "localhost") == 0) {
            snprintf(address, size, "127.0.0.1");
        }
    } else {
        return false;
    }
    if (!is_address(address) || !parse_number(rest, &number) || number > UINT16_MAX) {
        return false;
    }
    *port = (unsigned short)number;
    return true;
}

/* No name server can make a numeric address lead here; on the loopback device it must be a loopback address, with any
 * port, because a tunnel may change it. */
bool access_host_right(const struct access *access, const char *host) {
    char name[256];
    const char *port;
    if (!split(host, name, sizeof name, &port)) {
        return false;
    }
    return strcasecmp(name, "localhost") == 0 || (access->host != NULL && strcasecmp(name, access->host) == 0) ||
           (access->loopback ? access_is_loopback(name) : is_address(name));
}

bool access_origin_right(const char *origin, const char *host) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(origin, schemes[i], length) == 0 && strcasecmp(origin + length, host) == 0) {
            return true;
        }
    }
    return false;
}
