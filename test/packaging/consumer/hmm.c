/* Succeeds when malloc is HMM's: its statistics know the block, which HmmFree takes back. */
#include <hmm.h>
#include <stdlib.h>

int main(void) {
    struct HmmStats before, after;
    HmmStats(&before);
    void *volatile block = malloc(300000);
    HmmStats(&after);
    int mine = block != NULL && HmmUsableSize(block) >= 300000 && after.used - before.used >= 300000;
    HmmFree(block);
    return mine ? 0 : 1;
}
