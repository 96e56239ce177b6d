/* peer.h - who is at the other end of a connection: maps reveal addresses, which only the owner may see. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* On this machine, by the loopback device. */
bool peer_is_near(const struct sockaddr *client);

/* Its user is ours, or root; assumed if the kernel does not tell. For connections by the loopback device, both ends of
 * which are sockets of this machine. */
bool peer_is_ours(const struct sockaddr *client, int connection);
