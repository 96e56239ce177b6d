#include "serve/peer.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Loopback addresses begin with 127 in IPv4; IPv6 has ::ffff:127.x.y.z and ::1. */
static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)address;
        return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *six = (const void *)address;
    return address->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127));
}

bool peer_is_near(const struct sockaddr *client) {
    return is_loopback(client);
}

static void set_end(const struct sockaddr *end, __be16 *port, __be32 address[4]) {
    if (end->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)end;
        *port = four->sin_port;
        address[0] = four->sin_addr.s_addr;
    } else {
        const struct sockaddr_in6 *six = (const void *)end;
        *port = six->sin6_port;
        memcpy(address, &six->sin6_addr, sizeof six->sin6_addr);
    }
}

struct request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 socket;
};

/* The user of the socket at `from` that is connected to `to`; false: the kernel does not tell. */
static bool user_of(const struct sockaddr *from, const struct sockaddr *to, uint32_t *user) {
    struct request request = {
        .head = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .socket = {.sdiag_family = (uint8_t)from->sa_family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u}};
    union {
        struct nlmsghdr head;
        char bytes[1024];
    } answer;
    request.socket.id.idiag_cookie[0] = request.socket.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    set_end(from, &request.socket.id.idiag_sport, request.socket.id.idiag_src);
    set_end(to, &request.socket.id.idiag_dport, request.socket.id.idiag_dst);
    int kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    bool told = kernel >= 0 && send(kernel, &request, sizeof request, 0) == (ssize_t)sizeof request;
    ssize_t got = told ? recv(kernel, &answer, sizeof answer, 0) : -1;
    if (kernel >= 0) {
        close(kernel);
    }
    if (got < (ssize_t)(NLMSG_HDRLEN + sizeof(struct inet_diag_msg)) || answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return false;
    }
    *user = ((const struct inet_diag_msg *)NLMSG_DATA(&answer.head))->idiag_uid;
    return true;
}

bool peer_is_ours(const struct sockaddr *client, int connection) {
    struct sockaddr_storage server;
    socklen_t size = sizeof server;
    uint32_t user;
    if (getsockname(connection, (struct sockaddr *)&server, &size) != 0 ||
        !user_of(client, (const struct sockaddr *)&server, &user)) {
        return true;
    }
    return user == 0 || user == geteuid();
}
