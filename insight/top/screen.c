/* screen.c - the tables of `mems top` in the terminal, by ncurses. */
#include <curses.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"
#include "top/top.h"

#define LINE_MOST 1024u
#define FILTER_MOST 64u
#define CONTROL_L 12

enum view { VIEW_PROCESSES, VIEW_CLASSES, VIEW_SITES, VIEWS };

struct screen {
    enum view view;
    struct table tables[VIEWS];
    struct processes *processes; /* NULL until they have been looked at */
    struct process *process;     /* whose classes or sites are shown; NULL: none */
    const char *alone;           /* named by the user: there is no way back to the others */
    double interval;
    double next; /* look */
    bool paused;
    bool filtering; /* keys go into the filter */
    char filter[FILTER_MOST];
    size_t first;    /* the first row shown, of those that pass the filter */
    size_t selected; /* likewise */
    char message[128];
    bool ends;
};

static struct table *table_of(struct screen *screen) {
    return &screen->tables[screen->view];
}

/* --- Looking ------------------------------------------------------------------------------------------------------ */

static void leave_process(struct screen *screen) {
    if (screen->process != NULL) {
        process_end(screen->process);
        screen->process = NULL;
    }
    table_clear(&screen->tables[VIEW_CLASSES]);
    table_clear(&screen->tables[VIEW_SITES]);
    screen->view = VIEW_PROCESSES;
    screen->first = screen->selected = 0;
}

static void look(struct screen *screen) {
    const char *why;
    screen->next = now_seconds() + screen->interval;
    if (screen->view == VIEW_PROCESSES) {
        if (screen->processes == NULL) {
            screen->processes = processes_start();
        }
        processes_look(screen->processes, &screen->tables[VIEW_PROCESSES]);
    } else if (!process_look(screen->process, &screen->tables[VIEW_CLASSES], &screen->tables[VIEW_SITES], &why)) {
        snprintf(screen->message, sizeof screen->message, "the process: %s", why);
        screen->paused = screen->alone != NULL;
        if (screen->alone == NULL) {
            leave_process(screen);
        }
    }
}

static void enter_process(struct screen *screen, const char *name) {
    const char *why;
    screen->process = process_start(name, &why);
    if (screen->process == NULL) {
        snprintf(screen->message, sizeof screen->message, "%s: %s", name, why);
        return;
    }
    screen->view = VIEW_CLASSES;
    screen->first = screen->selected = 0;
    screen->filter[0] = '\0';
    look(screen);
}

/* --- Drawing ------------------------------------------------------------------------------------------------------ */

static void put_line(int y, const char *text, attr_t attributes) {
    if (y < 0 || y >= LINES) {
        return;
    }
    attrset((int)attributes);
    move(y, 0);
    clrtoeol();
    addnstr(text, COLS);
    if (attributes != A_NORMAL) {
        chgat(-1, attributes, 0, NULL);
    }
    attrset(A_NORMAL);
}

/* Rows that there is room for. */
static size_t page_rows(void) {
    return LINES > 3 ? (size_t)LINES - 3 : 1;
}

static size_t count_shown(struct screen *screen) {
    const struct table *table = table_of(screen);
    size_t shown = 0;
    for (size_t i = 0; i < table->count; i++) {
        shown += table_shows(table, &table->rows[i], screen->filter);
    }
    return shown;
}

/* The selected row stays on the screen, and within the table. */
static void scroll_to_selected(struct screen *screen) {
    const size_t shown = count_shown(screen);
    screen->selected = shown != 0 ? smaller(screen->selected, shown - 1) : 0;
    screen->first = smaller(screen->first, screen->selected);
    if (screen->selected - screen->first >= page_rows()) {
        screen->first = screen->selected - page_rows() + 1;
    }
}

static void draw_rows(struct screen *screen) {
    const struct table *table = table_of(screen);
    char line[LINE_MOST];
    size_t at = 0;
    int y = 2;
    for (size_t i = 0; i < table->count && y < LINES - 1; i++) {
        if (!table_shows(table, &table->rows[i], screen->filter)) {
            continue;
        }
        if (at >= screen->first) {
            table_line(table, &table->rows[i], line, sizeof line);
            put_line(y++, line, at == screen->selected ? A_REVERSE : A_NORMAL);
        }
        at++;
    }
    if (screen->view == VIEW_SITES && table->count == 0) {
        put_line(y++, "  no samples: `mems set PID sample=512k` has the process take some", A_NORMAL);
    }
    for (; y < LINES - 1; y++) {
        put_line(y, "", A_NORMAL);
    }
}

static void draw(struct screen *screen) {
    char line[LINE_MOST];
    scroll_to_selected(screen);
    if (screen->view == VIEW_PROCESSES) {
        snprintf(line, sizeof line, "%zu processes on the libraries%s", table_of(screen)->count,
                 screen->paused ? ", paused" : "");
    } else {
        process_summary(screen->process, line, sizeof line);
    }
    put_line(0, line, A_BOLD);
    table_titles(table_of(screen), line, sizeof line);
    put_line(1, line, A_REVERSE);
    draw_rows(screen);
    if (screen->filtering) {
        snprintf(line, sizeof line, "filter: %s_", screen->filter);
    } else if (screen->message[0] != '\0') {
        snprintf(line, sizeof line, "%s", screen->message);
    } else {
        snprintf(line, sizeof line, "q quit  %s%s< > sort  r reverse  / filter%s%s  space pause",
                 screen->view == VIEW_PROCESSES ? "enter open  " : "tab classes, sites  ",
                 screen->view != VIEW_PROCESSES && screen->alone == NULL ? "escape back  " : "",
                 screen->filter[0] != '\0' ? " " : "", screen->filter);
    }
    put_line(LINES - 1, line, A_DIM);
    refresh();
}

/* --- Keys --------------------------------------------------------------------------------------------------------- */

static void filter_key(struct screen *screen, int key) {
    size_t length = strlen(screen->filter);
    if (key == '\n' || key == KEY_ENTER) {
        screen->filtering = false;
    } else if (key == 27) {
        screen->filtering = false;
        screen->filter[0] = '\0';
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length != 0) {
        screen->filter[length - 1] = '\0';
    } else if (key >= ' ' && key < 127 && length + 1 < sizeof screen->filter) {
        screen->filter[length] = (char)key;
        screen->filter[length + 1] = '\0';
    }
    screen->first = screen->selected = 0;
}

/* Sorts by the column to the left or to the right. */
static void sort_key(struct screen *screen, bool right) {
    struct table *table = table_of(screen);
    const size_t columns = table->column_count + 1;
    table->sorted_by = (table->sorted_by + (right ? 1 : columns - 1)) % columns;
    table->ascending = table->sorted_by == table->column_count;
    table_sort(table);
}

static void open_selected(struct screen *screen) {
    const struct table *table = table_of(screen);
    size_t at = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (table_shows(table, &table->rows[i], screen->filter) && at++ == screen->selected) {
            char name[32];
            snprintf(name, sizeof name, "%lu", table->rows[i].id);
            enter_process(screen, name);
            return;
        }
    }
}

static void move_key(struct screen *screen, int key) {
    const size_t shown = count_shown(screen);
    switch (key) {
    case KEY_UP:
    case 'k':
        screen->selected -= screen->selected != 0;
        break;
    case KEY_DOWN:
    case 'j':
        screen->selected++;
        break;
    case KEY_PPAGE:
        screen->selected -= smaller(screen->selected, page_rows());
        break;
    case KEY_NPAGE:
        screen->selected += page_rows();
        break;
    case KEY_HOME:
        screen->selected = 0;
        break;
    case KEY_END:
        screen->selected = shown;
        break;
    default:
        break;
    }
}

static void press(struct screen *screen, int key) {
    screen->message[0] = '\0';
    if (screen->filtering) {
        filter_key(screen, key);
        return;
    }
    switch (key) {
    case 'q':
        screen->ends = true;
        break;
    case '<':
    case KEY_LEFT:
        sort_key(screen, false);
        break;
    case '>':
    case KEY_RIGHT:
        sort_key(screen, true);
        break;
    case 'r':
        table_of(screen)->ascending = !table_of(screen)->ascending;
        table_sort(table_of(screen));
        break;
    case '/':
        screen->filtering = true;
        screen->filter[0] = '\0';
        break;
    case CONTROL_L:
        clearok(stdscr, TRUE); /* something else has written to the terminal */
        break;
    case ' ':
        screen->paused = !screen->paused;
        break;
    case '\t':
        if (screen->view != VIEW_PROCESSES) {
            screen->view = screen->view == VIEW_CLASSES ? VIEW_SITES : VIEW_CLASSES;
            screen->first = screen->selected = 0;
        }
        break;
    case '\n':
    case KEY_ENTER:
        if (screen->view == VIEW_PROCESSES) {
            open_selected(screen);
        }
        break;
    case 27:
    case KEY_BACKSPACE:
    case 127:
        if (screen->view != VIEW_PROCESSES && screen->alone == NULL) {
            leave_process(screen);
            look(screen);
        }
        break;
    default:
        move_key(screen, key);
        break;
    }
}

/* --- The loop ----------------------------------------------------------------------------------------------------- */

/* Warnings would go across the screen. */
static int silence_errors(void) {
    int errors = dup(STDERR_FILENO);
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing >= 0) {
        dup2(nothing, STDERR_FILENO);
        close(nothing);
    }
    return errors;
}

static void run(struct screen *screen) {
    while (!screen->ends) {
        if (!screen->paused && now_seconds() >= screen->next) {
            look(screen);
        }
        draw(screen);
        double rest = screen->paused ? 3600 : screen->next - now_seconds();
        timeout(rest > 0 ? (int)(rest * 1000) + 1 : 0);
        int key = getch();
        if (key != ERR) {
            press(screen, key);
        }
    }
}

static void set_order(struct screen *screen, const char *sort) {
    bool known = screen->alone == NULL ? table_sort_by(&screen->tables[VIEW_PROCESSES], sort)
                                       : table_sort_by(&screen->tables[VIEW_CLASSES], sort) ||
                                             table_sort_by(&screen->tables[VIEW_SITES], sort);
    if (!known) {
        fail("--sort %s: there is no such column", sort);
    }
}

int screen_run(const char *name, double interval, const char *sort, const char *filter) {
    struct screen screen = {
        .tables = {processes_table(), classes_table(), sites_table()}, .alone = name, .interval = interval};
    const char *why;
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
        fail("top: standard input and output are not a terminal: --batch prints tables, --json one look");
    }
    set_order(&screen, sort);
    snprintf(screen.filter, sizeof screen.filter, "%s", filter);
    if (name != NULL) {
        screen.process = process_start(name, &why);
        screen.view = VIEW_CLASSES;
        if (screen.process == NULL) {
            fail("%s: %s", name, why);
        }
    }
    setlocale(LC_ALL, "");
    if (newterm(NULL, stdout, stdin) == NULL) {
        fail("top: this terminal (TERM=%s) cannot be used: --batch prints tables", getenv("TERM"));
    }
    int errors = silence_errors();
    set_escdelay(50);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    run(&screen);
    endwin();
    dup2(errors, STDERR_FILENO);
    close(errors);
    if (screen.process != NULL) {
        process_end(screen.process);
    }
    if (screen.processes != NULL) {
        processes_end(screen.processes);
    }
    for (size_t i = 0; i < VIEWS; i++) {
        table_clear(&screen.tables[i]);
    }
    return EXIT_FINE;
}
