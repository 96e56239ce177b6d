#include "leaks/rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* --- Patterns ----------------------------------------------------------------------------------------------------- */

/* Whether `name` begins with the pattern up to its end, or equals it if it ends with $. */
static bool fits_here(const char *pattern, const char *name) {
    const char *star = NULL;  /* the last * that has been met, */
    const char *retry = NULL; /* where the name continues if * takes one more character */
    for (;;) {
        if (*pattern == '*') {
            star = pattern++;
            retry = name;
        } else if (*pattern == '\0' || (*pattern == '$' && pattern[1] == '\0' && *name == '\0')) {
            return true;
        } else if (*name != '\0' && *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL && *retry != '\0') {
            name = ++retry;
            pattern = star + 1;
        } else {
            return false;
        }
    }
}

bool rule_fits(const char *pattern, const char *name) {
    if (*pattern == '^') {
        return fits_here(pattern + 1, name);
    }
    for (;; name++) {
        if (fits_here(pattern, name)) {
            return true;
        }
        if (*name == '\0') {
            return false;
        }
    }
}

/* --- Files -------------------------------------------------------------------------------------------------------- */

/* False if the line makes no sense. */
static bool parse_rule(const char *line, struct rule *rule) {
    static const struct {
        const char *name;
        enum rule_kind kind;
    } kinds[] = {{"leak:", RULE_LEAK}, {"text:", RULE_TEXT}, {"size:", RULE_SIZE}, {"mangled:", RULE_MANGLED}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const size_t length = strlen(kinds[i].name);
        if (strncmp(line, kinds[i].name, length) == 0 && line[length] != '\0') {
            *rule = (struct rule){.kind = kinds[i].kind, .pattern = copy_text(line + length)};
            return rule->kind == RULE_SIZE      ? parse_number(rule->pattern, &rule->size)
                   : rule->kind == RULE_MANGLED ? strcmp(rule->pattern, "glibc") == 0
                                                : true;
        }
    }
    return false;
}

static void trim_line(char **line) {
    while (isspace((unsigned char)**line)) {
        ++*line;
    }
    size_t length = strlen(*line);
    while (length != 0 && isspace((unsigned char)(*line)[length - 1])) {
        (*line)[--length] = '\0';
    }
}

void rules_read(struct rules *rules, const char *path) {
    FILE *file = fopen(path, "re");
    char *buffer = NULL;
    size_t size = 0;
    unsigned number = 0;
    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    while (getline(&buffer, &size, file) > 0) {
        struct rule rule;
        char *line = buffer;
        number++;
        trim_line(&line);
        if (*line == '\0' || *line == '#') {
            continue;
        }
        if (!parse_rule(line, &rule)) {
            fail("%s, line %u: \"%s\": a rule is leak:PATTERN, text:PATTERN, size:NUMBER or mangled:glibc", path,
                 number, line);
        }
        rule.file = path;
        rules->rules = grow(rules->rules, rules->count, sizeof *rules->rules);
        rules->rules[rules->count++] = rule;
        rules->by_contents |= rule.kind != RULE_MANGLED;
        rules->by_stack |= rule.kind == RULE_LEAK;
    }
    free(buffer);
    if (ferror(file) != 0) {
        fail("%s: cannot read it", path);
    }
    fclose(file);
    for (size_t i = 0; i < rules->count; i++) {
        rules->mangled = rules->rules[i].kind == RULE_MANGLED ? &rules->rules[i] : rules->mangled;
    }
}

void rules_free(struct rules *rules) {
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->rules[i].pattern);
    }
    free(rules->rules);
}

/* --- Matching ----------------------------------------------------------------------------------------------------- */

static bool fits_call(const char *pattern, const struct call *call) {
    if (call->has_module && call->module.path != NULL && rule_fits(pattern, call->module.path)) {
        return true;
    }
    for (size_t i = 0; i < call->place_count; i++) {
        const struct code_place *place = &call->places[i];
        if (rule_fits(pattern, place->function) || (place->file != NULL && rule_fits(pattern, place->file))) {
            return true;
        }
    }
    return false;
}

/* The heap's own frames do not count. */
static bool fits_stack(const char *pattern, struct calls *calls, const struct call_stack *stack) {
    for (unsigned i = calls_skip_heap(calls, stack); stack != NULL && i < stack->depth; i++) {
        if (fits_call(pattern, calls_find(calls, stack->frames[i]))) {
            return true;
        }
    }
    return false;
}

struct rule *rules_match(struct rules *rules, const struct block *block, const struct hint *hint, struct calls *calls,
                         const struct call_stack *stack) {
    for (size_t i = 0; i < rules->count; i++) {
        struct rule *rule = &rules->rules[i];
        if ((rule->kind == RULE_LEAK && ((hint->symbol != NULL && rule_fits(rule->pattern, hint->symbol)) ||
                                         fits_stack(rule->pattern, calls, stack))) ||
            (rule->kind == RULE_TEXT && hint->kind == HINT_TEXT && rule_fits(rule->pattern, hint->text)) ||
            (rule->kind == RULE_SIZE && rule->size == block->size)) {
            return rule;
        }
    }
    return NULL;
}
