#include "root.h"

#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/canary.h"
#include "engine/tables/metadata.h"
#include "engine/tables/window.h"
#include "mems.h"
#include "ranks.h"

struct mems_root mems_root = {
    .head = ROOT_HEAD(ROOT_ENGINE, MEMS_VERSION, &engine_layout, &mems_root),
    .class_count = SIZE_CLASSES,
    .lock = LOCK_INIT(LOCK_OPTIONS),
    .settings = {.table = &engine_options, .choices = &mems_root.options},
    .window = &window,
    .size_classes = size_classes,
    .spans = &spans,
    .metadata = &metadata,
    .heaps = &heaps,
    .abandoned = abandoned,
    .huge_table = &huge_table,
    .samples = &samples,
    .stack_table = &stack_table,
    .guarded_table = &guarded_table,
    .canaries = &canaries,
};

ROOT_NOTE(mems_root, mems_root);
