#include "target/pieces.h"

#include <stdlib.h>

#include "support/sorted.h"
#include "support/support.h"

void pieces_add(struct pieces *pieces, uint64_t start, uint64_t end) {
    if (start < end) {
        pieces->pieces = grow(pieces->pieces, pieces->count, sizeof *pieces->pieces);
        pieces->pieces[pieces->count++] = (struct piece){start, end};
    }
}

void pieces_merge(struct pieces *pieces) {
    size_t kept = 0;
    sort(pieces->pieces, pieces->count, sizeof *pieces->pieces);
    for (size_t i = 0; i < pieces->count; i++) {
        struct piece *piece = &pieces->pieces[i];
        if (kept != 0 && piece->start <= pieces->pieces[kept - 1].end) {
            pieces->pieces[kept - 1].end = larger(pieces->pieces[kept - 1].end, piece->end);
        } else {
            pieces->pieces[kept++] = *piece;
        }
    }
    pieces->count = kept;
}

/* The index of the first piece that ends behind an address. */
static size_t piece_from(const struct pieces *pieces, uint64_t address) {
    return ranges_from(pieces->pieces, pieces->count, sizeof *pieces->pieces, address);
}

bool pieces_overlap(const struct pieces *pieces, uint64_t start, uint64_t end) {
    size_t index = piece_from(pieces, start);
    return index < pieces->count && pieces->pieces[index].start < end;
}

void pieces_without(const struct pieces *pieces, uint64_t start, uint64_t end,
                    void (*visit)(uint64_t start, uint64_t end, void *context), void *context) {
    for (size_t i = piece_from(pieces, start); i < pieces->count && pieces->pieces[i].start < end; i++) {
        if (pieces->pieces[i].start > start) {
            visit(start, pieces->pieces[i].start, context);
        }
        start = pieces->pieces[i].end;
    }
    if (start < end) {
        visit(start, end, context);
    }
}

void pieces_free(struct pieces *pieces) {
    free(pieces->pieces);
    pieces->pieces = NULL;
    pieces->count = 0;
}
