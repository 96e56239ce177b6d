/* magazine_budget.h - what blocks in magazines cost, and the budget of all heaps that pays for them. MAGAZINE_FREE
 * costs a heap nothing, the rest is drawn from the budget: heap->magazine_cost <= MAGAZINE_FREE + heap->magazine_drawn,
 * and heaps.magazine_drawn is the sum of all heaps' magazine_drawn. Budget and limit are relaxed words: only a bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap;

/* The cost of magazines that a heap need not draw from the budget, and the minimum of the budget. */
#define MAGAZINE_FREE ((size_t)4 << 10)
#define MAGAZINES_MIN ((size_t)32 << 20)

/* Sets the budget of all magazines from the memory in slabs and the number of heaps in use. */
void magazine_budget_set(void);

/* The same after determining how much memory the process may have, which bounds the budget. Reads kernel files. */
void magazine_budget_ask_limit(void);

/* Returns to the budget what the heap has drawn beyond the cost of its magazines. */
void magazine_budget_return(struct heap *heap);

/* How many blocks of a class count as its first ones, which together cost as much as one. */
unsigned magazine_budget_first(unsigned size_class);

/* The cost of a magazine of a class with this capacity. */
size_t magazine_budget_cost(unsigned size_class, unsigned capacity);

/* Pays for blocks that cost this much; false if the budget is used up. `reserved`: it may use the part that is kept for
 * first blocks. */
bool magazine_budget_pay(struct heap *heap, size_t cost, bool reserved);

/* Ends the payment for blocks that cost this much. */
void magazine_budget_refund(struct heap *heap, size_t cost);

/* Whether the heap can pay for no further block, except a class's first ones. */
bool magazine_budget_is_spent(const struct heap *heap);
