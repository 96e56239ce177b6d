/* serve.c - `mems serve`: pages, the JSON behind them, and metrics, over HTTP. One thread waits for connections, the
 * watch and the worker that answers. No request changes anything, here or in a process. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pages/page.h"
#include "serve/access.h"
#include "serve/answers.h"
#include "serve/history.h"
#include "serve/metrics.h"
#include "serve/peer.h"
#include "serve/watch.h"
#include "support/support.h"
#include "verbs.h"

#define LISTEN_DEFAULT "127.0.0.1:6367"
#define CONNECTIONS_MOST 64u
#define CONNECTION_SECONDS 15u
#define CONNECTION_MEMORY ((size_t)32 << 10)

struct server {
    struct access access;
    bool open; /* anybody who can reach it may look */
    struct watch watch;
    struct answers answers;
    struct MHD_Daemon *daemon;
};

#define JSON "application/json"
#define PLAIN "text/plain; charset=utf-8"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

/* --- Replies ------------------------------------------------------------------------------------------------------ */

/* The page may load its own files and ask its own server, and nothing else. */
static const char *const headers[][2] = {
    {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
};

static enum MHD_Result reply_with(struct MHD_Connection *connection, unsigned status, const char *type,
                                  struct MHD_Response *response) {
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", type);
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    }
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        MHD_add_response_header(response, "Retry-After", "2");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, const char *text,
                             size_t size) {
    return reply_with(connection, status, type,
                      MHD_create_response_from_buffer(size, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result reply_line(struct MHD_Connection *connection, unsigned status, const char *line) {
    return reply(connection, status, PLAIN, line, strlen(line));
}

static enum MHD_Result reply_json(struct MHD_Connection *connection, json_t *json) {
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(json);
    if (text == NULL) {
        return reply_line(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for the answer\n");
    }
    return reply_with(connection, MHD_HTTP_OK, JSON,
                      MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result reply_metrics(struct server *server, struct MHD_Connection *connection) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL) {
        return MHD_NO;
    }
    metrics_write(&server->watch, server->answers.spent, file);
    fclose(file);
    return reply_with(connection, MHD_HTTP_OK, METRICS,
                      MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE));
}

/* --- Who asks ----------------------------------------------------------------------------------------------------- */

struct asked {
    const struct access *access;
    const char *host;
    unsigned hosts;
    const char *refusal; /* NULL: none */
};

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct asked *asked = context;
    (void)kind;
    value = value != NULL ? value : "";
    if (strcasecmp(name, "Host") == 0) {
        asked->hosts++;
        asked->host = value;
        if (!access_host_right(asked->access, value)) {
            asked->refusal = "this server is not asked by that name: `mems serve --host NAME` lets it be\n";
        }
    }
    return MHD_YES;
}

static enum MHD_Result see_origin(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct asked *asked = context;
    (void)kind;
    value = value != NULL ? value : "";
    if (strcasecmp(name, "Origin") == 0 && !access_origin_right(value, asked->host)) {
        asked->refusal = "pages of other sites are not answered\n";
    }
    if (strcasecmp(name, "Sec-Fetch-Site") == 0 && strcmp(value, "same-origin") != 0 && strcmp(value, "none") != 0) {
        asked->refusal = "pages of other sites are not answered\n";
    }
    return MHD_YES;
}

/* Why a request is refused, or NULL. */
static const char *refusal(const struct server *server, struct MHD_Connection *connection) {
    struct asked asked = {.access = &server->access};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &asked);
    if (asked.hosts != 1) {
        return "a request names one host\n";
    }
    if (asked.refusal == NULL) {
        MHD_get_connection_values(connection, MHD_HEADER_KIND, see_origin, &asked);
    }
    return asked.refusal;
}

/* Metrics are for everybody. The rest reveals addresses, so it is only for this user and root, through the loopback
 * device: others may scrape, and a tunnel lets the user look. */
static bool may_look(const struct server *server, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *client = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *file = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return server->open || (client != NULL && file != NULL && peer_is_near(client->client_addr) &&
                            peer_is_ours(client->client_addr, file->connect_fd));
}

/* --- What is asked ------------------------------------------------------------------------------------------------ */

static void wake(void *waiter) {
    MHD_resume_connection(waiter);
}

/* Kept with the request by MHD. */
static char begun;
static char waited;

static enum MHD_Result answer(struct server *server, struct MHD_Connection *connection, struct question question,
                              void **state) {
    bool busy;
    const struct answer *found = answers_get(&server->answers, question, connection, *state == &waited, &busy);
    if (found != NULL) {
        return reply(connection, found->found ? MHD_HTTP_OK : MHD_HTTP_CONFLICT, found->found ? JSON : PLAIN,
                     found->text, found->size);
    }
    if (busy) {
        return reply_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked at once\n");
    }
    *state = &waited;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* "/api/processes/PID/WHAT[?address=ADDRESS]" */
static enum MHD_Result ask_process(struct server *server, struct MHD_Connection *connection, const char *path,
                                   void **state) {
    static const struct {
        const char *name;
        bool has_address;
    } kinds[QUESTION_KINDS] = {
        [QUESTION_STATS] = {"stats", false},  [QUESTION_MAP] = {"map", false},     [QUESTION_PLACE] = {"place", true},
        [QUESTION_WHATIS] = {"whatis", true}, [QUESTION_FLAME] = {"sites", false},
    };
    char *what;
    unsigned long pid = strtoul(path, &what, 10);
    struct watched *watched =
        *path >= '0' && *path <= '9' && *what == '/' && pid <= INT_MAX ? watch_find(&server->watch, (pid_t)pid) : NULL;
    if (watched == NULL) {
        return reply_line(connection, MHD_HTTP_NOT_FOUND, "there is no such process on the libraries\n");
    }
    if (strcmp(what + 1, "history") == 0) {
        return reply_json(connection, history_of(watched));
    }
    for (unsigned kind = 0; kind < QUESTION_KINDS; kind++) {
        struct question question = {.kind = kind, .pid = watched->pid};
        if (strcmp(what + 1, kinds[kind].name) != 0) {
            continue;
        }
        const char *address = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "address");
        if (kinds[kind].has_address && (address == NULL || !parse_number(address, &question.address))) {
            return reply_line(connection, MHD_HTTP_BAD_REQUEST, "?address=0x... is missing\n");
        }
        return answer(server, connection, question, state);
    }
    return reply_line(connection, MHD_HTTP_NOT_FOUND, "a process has no page of that name\n");
}

static enum MHD_Result serve_request(struct server *server, struct MHD_Connection *connection, const char *path,
                                     void **state) {
    static const char processes[] = "/api/processes";
    if (strcmp(path, "/metrics") == 0) {
        return reply_metrics(server, connection);
    }
    if (strcmp(path, "/healthz") == 0) {
        return reply_line(connection, MHD_HTTP_OK, "ok\n");
    }
    if (!may_look(server, connection)) {
        return reply_line(connection, MHD_HTTP_FORBIDDEN,
                          "only this user on this machine may see more than /metrics: see `mems help serve`\n");
    }
    if (strcmp(path, processes) == 0) {
        return reply_json(connection, history_list(&server->watch));
    }
    if (strncmp(path, processes, sizeof processes - 1) == 0 && path[sizeof processes - 1] == '/') {
        return ask_process(server, connection, path + sizeof processes, state);
    }
    const struct web_file *file = web_file(strcmp(path, "/") == 0 ? "index.html" : path + 1);
    if (file == NULL) {
        return reply_line(connection, MHD_HTTP_NOT_FOUND, "there is no such page\n");
    }
    return reply_with(connection, MHD_HTTP_OK, file->type,
                      MHD_create_response_from_buffer((size_t)(file->end - file->start), (void *)(uintptr_t)file->start,
                                                      MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *body, size_t *body_size, void **state) {
    struct server *server = context;
    (void)version;
    (void)body;
    (void)body_size;
    if (*state == NULL) {
        *state = &begun;
        const char *why = refusal(server, connection);
        if (why != NULL) {
            return reply_line(connection, MHD_HTTP_FORBIDDEN, why);
        }
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
            return reply_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "nothing can be changed here\n");
        }
        return MHD_YES;
    }
    if (*body_size != 0) {
        *body_size = 0; /* nobody reads it */
        return MHD_YES;
    }
    return serve_request(server, connection, path, state);
}

/* --- Listening ---------------------------------------------------------------------------------------------------- */

union endpoint {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static int listen_at(const char *address, unsigned short port, union endpoint *endpoint) {
    socklen_t size = sizeof endpoint->four;
    int on = 1;
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->four.sin_family = AF_INET;
    endpoint->four.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &endpoint->four.sin_addr) != 1) {
        size = sizeof endpoint->six;
        endpoint->six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        inet_pton(AF_INET6, address, &endpoint->six.sin6_addr);
    }
    int listening = socket(endpoint->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening < 0 || setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listening, &endpoint->any, size) != 0 || listen(listening, (int)CONNECTIONS_MOST) != 0 ||
        getsockname(listening, &endpoint->any, &size) != 0) {
        fail("cannot listen at %s, port %u: %s", address, port, strerror(errno));
    }
    return listening;
}

static void announce(const char *address, const union endpoint *endpoint, bool open) {
    bool six = endpoint->any.sa_family == AF_INET6;
    unsigned port = ntohs(six ? endpoint->six.sin6_port : endpoint->four.sin_port);
    printf("serving at http://%s%s%s:%u/\n", six ? "[" : "", address, six ? "]" : "", port);
    fflush(stdout);
    if (open) {
        warn("whoever reaches %s may look at the heaps of this user's processes", address);
    }
}

static volatile sig_atomic_t stopping;

static void stop(int signal) {
    (void)signal;
    stopping = 1;
}

/* SIGINT and SIGTERM end the server, and arrive only while it waits. */
static void wait_for_work(struct server *server, double seconds, const sigset_t *signals) {
    const union MHD_DaemonInfo *epoll = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd files[] = {{.fd = epoll->epoll_fd, .events = POLLIN},
                             {.fd = server->watch.worker.end, .events = POLLIN},
                             {.fd = server->answers.worker.end, .events = POLLIN}};
    MHD_UNSIGNED_LONG_LONG milliseconds;
    if (MHD_get_timeout(server->daemon, &milliseconds) == MHD_YES && (double)milliseconds / 1000 < seconds) {
        seconds = (double)milliseconds / 1000;
    }
    struct timespec timeout = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    ppoll(files, COUNT_OF(files), &timeout, signals);
}

static void run(struct server *server) {
    sigset_t blocked;
    sigset_t before;
    const struct sigaction action = {.sa_handler = stop};
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    while (!stopping) {
        double watch = watch_run(&server->watch);
        double answers = answers_run(&server->answers);
        MHD_run(server->daemon); /* those who were woken */
        wait_for_work(server, watch < answers ? watch : answers, &before);
        MHD_run(server->daemon);
    }
}

int verb_serve(const struct arguments *arguments) {
    struct server server = {.access.host = arguments->host, .open = arguments->open};
    const char *listen = arguments->listen != NULL ? arguments->listen : LISTEN_DEFAULT;
    char address[64];
    unsigned short port;
    union endpoint endpoint;
    if (!access_split(listen, address, sizeof address, &port)) {
        fail("%s: not an address and a port, as 127.0.0.1:6367 or [::1]:6367", listen);
    }
    /* A number is a process's, not the name of a file. */
    if (chdir("/") != 0) {
        fail("cannot enter the root folder: %s", strerror(errno));
    }
    server.access.loopback = access_is_loopback(address);
    int listening = listen_at(address, port, &endpoint);
    watch_start(&server.watch);
    answers_start(&server.answers, wake);
    server.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, &server,
                                     MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MOST,
                                     MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS,
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
    if (server.daemon == NULL) {
        fail("cannot start the server: %s", strerror(errno));
    }
    announce(address, &endpoint, server.open);
    run(&server);
    answers_end(&server.answers);
    watch_end(&server.watch);
    MHD_run(server.daemon);
    MHD_stop_daemon(server.daemon);
    return EXIT_FINE;
}
