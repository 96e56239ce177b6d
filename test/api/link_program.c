/*
 * For link.sh: a program that checks whose malloc it has, and then uses it as programs do.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ours counts a block in mallinfo2, and rejects a parameter with this number; glibc accepts any. */
static int is_ours(void) {
    size_t before = mallinfo2().uordblks;
    void *volatile block = malloc(1 << 20);
    size_t grown = mallinfo2().uordblks - before;
    free(block);
    return grown >= 1 << 20 && mallopt(12345, 1) == 0;
}

static void *work(void *argument) {
    char *text = strdup(argument);
    char *other = NULL;
    if (asprintf(&other, "%s %p", text, (void *)text) < 0) {
        exit(2);
    }
    free(text);
    return other;
}

static void use(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        if (pthread_create(&threads[i], NULL, work, "thread") != 0) {
            exit(2);
        }
    }
    for (int i = 0; i < 4; i++) {
        void *text;
        pthread_join(threads[i], &text);
        free(text);
    }
    pid_t child = fork();
    if (child == 0) {
        free(work("child"));
        exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    if (status != 0) {
        exit(3);
    }
}

int main(void) {
    use();
    /* Blocks that the C library allocates are freed by us, and vice versa. */
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = tmpfile();
    fputs("a line\n", file);
    rewind(file);
    if (getline(&line, &capacity, file) != 7) {
        return 4;
    }
    fclose(file);
    free(line);
    puts(is_ours() ? "ours" : "other");
    return 0;
}
