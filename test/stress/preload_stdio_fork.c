/*
 * fork against stdio: getline() allocates while it holds its stream's lock, fflush(NULL) waits for that lock while it
 * holds the list of streams, and fork() wants the list after running the allocator's handlers. An allocator that closes
 * this circle hangs here until the alarm ends it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

#define READERS 2
#define FORKS 100
#define LINES 11
#define WATCHDOG 900

static atomic_bool stop;

/* A file of lines of 20, 60, ... bytes up to about 1 MB: from small blocks to pages that are moved. */
static FILE *make_file(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    size_t length = 20;
    for (int line = 0; line < LINES; line++, length *= 3) {
        char *text = malloc(length + 1);
        CHECK(text != NULL);
        memset(text, 'a' + line, length);
        text[length] = '\n';
        CHECK(fwrite(text, 1, length + 1, file) == length + 1);
        free(text);
    }
    CHECK(fflush(file) == 0);
    return file;
}

static void read_file(FILE *file) {
    rewind(file);
    char *text = NULL;
    size_t capacity = 0;
    size_t expected = 20;
    for (int line = 0; line < LINES; line++, expected *= 3) {
        ssize_t length = getline(&text, &capacity, file);
        CHECK(length == (ssize_t)expected + 1);
        CHECK(text[0] == 'a' + line && text[expected - 1] == 'a' + line);
    }
    free(text);
}

static void *read_repeatedly(void *unused) {
    (void)unused;
    FILE *file = make_file();
    while (!atomic_load(&stop)) {
        read_file(file);
    }
    fclose(file);
    return NULL;
}

static void *flush_repeatedly(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) {
        fflush(NULL);
        usleep(50); /* locks are not fair: let others have the list too */
    }
    return NULL;
}

/* The child's locks must be free, including stdio's. It leaves the parent's streams alone, because they share
 * offsets. */
static void live_as_child(void) {
    alarm(WATCHDOG);
    FILE *file = make_file();
    read_file(file);
    fclose(file);
    _exit(0);
}

int main(void) {
    pthread_t threads[READERS + 1];
    alarm(WATCHDOG);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, read_repeatedly, NULL) == 0);
    }
    CHECK(pthread_create(&threads[READERS], NULL, flush_repeatedly, NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0 && i % 10 == 0) {
            live_as_child();
        }
        if (child == 0) {
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS + 1; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
