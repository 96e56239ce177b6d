#include "root.h"

#include "abandoned.h"
#include "heap.h"
#include "huge.h"
#include "mems.h"
#include "metadata.h"
#include "ranks.h"
#include "span.h"
#include "window.h"

struct mems_root mems_root = {
    .head = ROOT_HEAD(ROOT_ENGINE, MEMS_VERSION, engine_layout, &mems_root),
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
};

ROOT_NOTE(mems_root, mems_root);
