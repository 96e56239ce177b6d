#include "pages/page.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "support/support.h"

/* --- The files ---------------------------------------------------------------------------------------------------- */

/* Found here because CMakeLists.txt adds this folder to the assembler's search path. */
#define EMBED(symbol, file)                                                                                   \
    __asm__(".pushsection .rodata\n" #symbol "_start:\n.incbin \"" file "\"\n" #symbol "_end:\n.popsection"); \
    extern const char symbol##_start[] __attribute__((visibility("hidden")));                                 \
    extern const char symbol##_end[] __attribute__((visibility("hidden")))

EMBED(web_index_html, "index.html");
EMBED(web_head_html, "head.html");
EMBED(web_map_html, "map.html");
EMBED(web_profile_html, "profile.html");
EMBED(web_style_css, "style.css");
EMBED(web_text_js, "text.js");
EMBED(web_colours_js, "colours.js");
EMBED(web_heap_js, "heap.js");
EMBED(web_map_js, "map.js");
EMBED(web_map_page_js, "map_page.js");
EMBED(web_flame_js, "flame.js");
EMBED(web_profile_page_js, "profile_page.js");
EMBED(web_chart_js, "chart.js");
EMBED(web_serve_js, "serve.js");

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"

static const struct web_file files[] = {
    {"index.html", HTML, web_index_html_start, web_index_html_end},
    {"head.html", HTML, web_head_html_start, web_head_html_end},
    {"map.html", HTML, web_map_html_start, web_map_html_end},
    {"profile.html", HTML, web_profile_html_start, web_profile_html_end},
    {"style.css", CSS, web_style_css_start, web_style_css_end},
    {"text.js", SCRIPT, web_text_js_start, web_text_js_end},
    {"colours.js", SCRIPT, web_colours_js_start, web_colours_js_end},
    {"heap.js", SCRIPT, web_heap_js_start, web_heap_js_end},
    {"map.js", SCRIPT, web_map_js_start, web_map_js_end},
    {"map_page.js", SCRIPT, web_map_page_js_start, web_map_page_js_end},
    {"flame.js", SCRIPT, web_flame_js_start, web_flame_js_end},
    {"profile_page.js", SCRIPT, web_profile_page_js_start, web_profile_page_js_end},
    {"chart.js", SCRIPT, web_chart_js_start, web_chart_js_end},
    {"serve.js", SCRIPT, web_serve_js_start, web_serve_js_end},
};

const struct web_file *web_file(const char *name) {
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        if (strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

/* --- A page ------------------------------------------------------------------------------------------------------- */

/* JSON has `<` only in strings, where it may be escaped; then nothing ends the element or opens a comment. */
static ssize_t write_data(void *context, const char *bytes, size_t size) {
    FILE *to = context;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '<') {
            fputs("\\u003c", to);
        } else {
            fputc(bytes[i], to);
        }
    }
    return ferror(to) != 0 ? 0 : (ssize_t)size;
}

/* The file of a line such as `<script src="map.js"></script>`, or NULL. */
static const struct web_file *referred(const char *line, size_t length, const char *mark) {
    char name[64];
    const char *at = memmem(line, length, mark, strlen(mark));
    if (at == NULL) {
        return NULL;
    }
    at += strlen(mark);
    size_t size = (size_t)(line + length - at);
    const char *quote = memchr(at, '"', size);
    if (quote == NULL || (size_t)(quote - at) >= sizeof name) {
        return NULL;
    }
    memcpy(name, at, (size_t)(quote - at));
    name[quote - at] = '\0';
    return web_file(name);
}

static void write_element(FILE *to, const char *element, const struct web_file *file) {
    fprintf(to, "<%s>\n", element);
    fwrite(file->start, 1, (size_t)(file->end - file->start), to);
    fprintf(to, "</%s>\n", element);
}

/* The parts of a page. */
struct page {
    FILE *to;
    void (*write)(FILE *to, void *context);
    void *context;
};

static void write_lines(const struct page *page, const struct web_file *file);

static void write_line(const struct page *page, const char *line, size_t length) {
    static const char data[] = "<script type=\"application/json\" id=\"data\">";
    const struct web_file *style = referred(line, length, "<link rel=\"stylesheet\" href=\"");
    const struct web_file *script = referred(line, length, "<script src=\"");
    const struct web_file *included = referred(line, length, "<!--#include \"");
    if (included != NULL) {
        write_lines(page, included);
    } else if (style != NULL) {
        write_element(page->to, "style", style);
    } else if (script != NULL) {
        write_element(page->to, "script", script);
    } else if (memmem(line, length, data, sizeof data - 1) != NULL) {
        const cookie_io_functions_t functions = {.write = write_data};
        FILE *escaped = fopencookie(page->to, "w", functions);
        if (escaped == NULL) {
            fail("no memory for a page");
        }
        fprintf(page->to, "%s", data);
        page->write(escaped, page->context);
        fclose(escaped);
        fputs("</script>\n", page->to);
    } else {
        fwrite(line, 1, length, page->to);
    }
}

static void write_lines(const struct page *page, const struct web_file *file) {
    for (const char *line = file->start; line < file->end;) {
        const char *newline = memchr(line, '\n', (size_t)(file->end - line));
        const char *next = newline != NULL ? newline + 1 : file->end;
        write_line(page, line, (size_t)(next - line));
        line = next;
    }
}

void page_write(FILE *to, const char *name, void (*write)(FILE *to, void *context), void *context) {
    write_lines(&(struct page){to, write, context}, web_file(name));
}

void page_save(const char *path, const char *name, void (*write)(FILE *to, void *context), void *context) {
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "we");
    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
    }
    page_write(file, name, write, context);
    if (fflush(file) != 0 || ferror(file) != 0 || (!to_stdout && fclose(file) != 0)) {
        fail("%s: cannot write it: %s", path, strerror(errno));
    }
}
