/*
 * stale.c - a use after free: a timer of one thread still has the connection that another thread has closed.
 *
 *   MEMS_OPTIONS=sample=1 LD_PRELOAD=.../libmems.so ./stale; mems core
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct connection {
    int descriptor;
    char peer[90];
};

static struct connection *open_connection(int number) {
    struct connection *connection = malloc(sizeof *connection);
    connection->descriptor = number;
    snprintf(connection->peer, sizeof connection->peer, "10.0.0.%d", number);
    return connection;
}

static void *close_idle(void *connection) {
    free(connection);
    return NULL;
}

static void fire_timer(struct connection *connection) {
    printf("closing %s\n", connection->peer);
}

int main(void) {
    pthread_t reaper;
    struct connection *connection = open_connection(7);
    pthread_create(&reaper, NULL, close_idle, connection);
    pthread_join(reaper, NULL);
    sleep(1);
    fire_timer(connection);
    return 0;
}
