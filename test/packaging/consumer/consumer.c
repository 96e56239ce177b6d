/* Succeeds when malloc is this project's: its statistics know the block. */
#include <mems.h>
#include <stdlib.h>

int main(void) {
    static struct mems_engine_stats before, after;
    mems_engine_stats(&before);
    void *volatile block = malloc(300000);
    mems_engine_stats(&after);
    size_t grown = after.live + after.huge_bytes - before.live - before.huge_bytes;
    free(block);
    return block != NULL && grown >= 300000 && mems_version() == MEMS_VERSION ? 0 : 1;
}
