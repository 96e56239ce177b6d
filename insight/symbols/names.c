#include "symbols/names.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

struct names {
    const struct target *target;
    Dwfl *dwfl;
    Elf *elf; /* of a core */
    int file;
};

static pid_t live_process;

/* A module's file as the process sees it, which may be in a container. */
static int find_in_its_root(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **path,
                            Elf **elf) {
    if (name[0] == '/') {
        char *there = make_text("/proc/%d/root%s", live_process, name);
        int file = open(there, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            *path = there;
            return file;
        }
        free(there);
    }
    return dwfl_linux_proc_find_elf(module, data, name, base, path, elf);
}

/* --- Files that are elsewhere ------------------------------------------------------------------------------------- */

static char **folders;
static size_t folder_count;

/* Where libdwfl looks for separate debugging information. */
static char *debug_path;

void names_search(const char *text) {
    char *before = debug_path;
    debug_path = make_text("%s:%s", text, before != NULL ? before : ".debug:/usr/lib/debug");
    free(before);
    while (*text != '\0') {
        const size_t length = strcspn(text, ":");
        if (length != 0) {
            folders = grow(folders, folder_count, sizeof *folders);
            folders[folder_count++] = make_text("%.*s", (int)length, text);
        }
        text += length + (text[length] != '\0');
    }
}

/* The module's file, if this is it. */
static int open_module(char *name, const unsigned char *id, int size, char **path) {
    int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    Elf *elf = file >= 0 ? elf_begin(file, ELF_C_READ_MMAP, NULL) : NULL;
    const void *own;
    const ssize_t own_size = elf != NULL ? dwelf_elf_gnu_build_id(elf, &own) : -1;
    const bool same = own_size == size && memcmp(own, id, (size_t)size) == 0;
    elf_end(elf);
    if (same) {
        *path = name;
        return file;
    }
    if (file >= 0) {
        close(file);
    }
    free(name);
    return -1;
}

static int find_in_folders(Dwfl_Module *module, const char *name, char **path) {
    const unsigned char *id;
    GElf_Addr place;
    const int size = dwfl_module_build_id(module, &id, &place);
    char hexadecimal[2 * 64 + 1] = "";
    for (int i = 0; i < size && i < 64; i++) {
        snprintf(hexadecimal + (size_t)2 * (size_t)i, 3, "%02x", id[i]);
    }
    const char *slash = strrchr(name, '/');
    for (size_t i = 0; i < folder_count && size > 2 && size <= 64; i++) {
        char *tries[] = {make_text("%s/.build-id/%.2s/%s", folders[i], hexadecimal, hexadecimal + 2),
                         make_text("%s/%s", folders[i], name),
                         make_text("%s/%s", folders[i], slash != NULL ? slash + 1 : name)};
        int file = -1;
        for (size_t at = 0; at < COUNT_OF(tries); at++) {
            if (file < 0) {
                file = open_module(tries[at], id, size, path);
            } else {
                free(tries[at]);
            }
        }
        if (file >= 0) {
            return file;
        }
    }
    return -1;
}

static int find_of_core(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **path, Elf **elf) {
    int file = find_in_folders(module, name, path);
    return file >= 0 ? file : dwfl_build_id_find_elf(module, data, name, base, path, elf);
}

/* --- Modules ------------------------------------------------------------------------------------------------------ */

/* Without debuginfod, which may take minutes. */
static const Dwfl_Callbacks live_callbacks = {
    .find_elf = find_in_its_root,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .debuginfo_path = &debug_path,
};

static const Dwfl_Callbacks core_callbacks = {
    .find_elf = find_of_core,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .debuginfo_path = &debug_path,
};

static bool report_live(struct names *names, pid_t pid) {
    live_process = pid;
    names->dwfl = dwfl_begin(&live_callbacks);
    return names->dwfl != NULL && dwfl_linux_proc_report(names->dwfl, pid) == 0;
}

static bool report_core(struct names *names, const char *path) {
    names->file = open(path, O_RDONLY | O_CLOEXEC);
    names->elf = names->file >= 0 ? elf_begin(names->file, ELF_C_READ_MMAP, NULL) : NULL;
    names->dwfl = dwfl_begin(&core_callbacks);
    return names->elf != NULL && names->dwfl != NULL && dwfl_core_file_report(names->dwfl, names->elf, NULL) >= 0;
}

/* A saved heap has no build ids: the file is in a folder to search, by path or name, or where it was. */
static char *saved_file(const struct mapping *mapping) {
    const char *names[] = {mapping->path, strrchr(mapping->path, '/')};
    for (size_t i = 0; i < 2 * folder_count; i++) {
        char *path = make_text("%s%s", folders[i / 2], names[i % 2]);
        if (access(path, R_OK) == 0) {
            return path;
        }
        free(path);
    }
    return copy_text(mapping->path);
}

/* For a saved heap: the files that were mapped, as they are now. */
static bool report_mappings(struct names *names, const struct target *target) {
    names->dwfl = dwfl_begin(&core_callbacks);
    for (size_t i = 0; names->dwfl != NULL && i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (mapping->path[0] == '/' && mapping->offset == 0) {
            char *path = saved_file(mapping);
            (void)dwfl_report_elf(names->dwfl, path, path, -1, mapping->start, true);
            free(path);
        }
    }
    return names->dwfl != NULL;
}

struct names *names_open(struct target *target) {
    struct names *names = make_zeroed(1, sizeof *names);
    names->target = target;
    names->file = -1;
    elf_version(EV_CURRENT);
    unsetenv("DEBUGINFOD_URLS");
    bool reported = target->kind == TARGET_LIVE   ? report_live(names, target->pid)
                    : target->kind == TARGET_CORE ? report_core(names, target->name)
                                                  : report_mappings(names, target);
    if (names->dwfl != NULL && (!reported || dwfl_report_end(names->dwfl, NULL, NULL) != 0)) {
        dwfl_end(names->dwfl);
        names->dwfl = NULL;
    }
    return names;
}

/* The C++ runtime library demangles; without it, names stay mangled. */
static char *demangled(const char *name) {
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool looked;
    if (!looked) {
        looked = true;
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY);
        if (library != NULL) {
            *(void **)&demangle = dlsym(library, "__cxa_demangle");
        }
    }
    int status = -1;
    char *plain = demangle != NULL && strncmp(name, "_Z", 2) == 0 ? demangle(name, NULL, NULL, &status) : NULL;
    return plain != NULL ? plain : copy_text(name);
}

/* The module whose file is mapped before an address, with nothing in between: its variables that begin as zero are in
 * mappings without a file. */
static Dwfl_Module *module_before(const struct names *names, uint64_t address) {
    const struct mapping *mapping = target_mapping(names->target, address);
    while (mapping != NULL && mapping > names->target->mappings && mapping->path[0] == '\0' &&
           mapping[-1].end == mapping->start) {
        mapping--;
    }
    return mapping != NULL && mapping->path[0] == '/' ? dwfl_addrmodule(names->dwfl, mapping->end - 1) : NULL;
}

char *names_name(struct names *names, uint64_t address) {
    Dwfl_Module *module = names->dwfl != NULL ? dwfl_addrmodule(names->dwfl, address) : NULL;
    const bool is_behind = names->dwfl != NULL && module == NULL;
    if (is_behind) {
        module = module_before(names, address);
    }
    if (module == NULL) {
        return NULL;
    }
    GElf_Off distance;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, address, &distance, &symbol, NULL, NULL, NULL);
    if (name == NULL || (is_behind && distance >= symbol.st_size)) {
        return NULL;
    }
    char *plain = demangled(name);
    char *text = distance != 0 ? make_text("%s+%lu", plain, (unsigned long)distance) : copy_text(plain);
    free(plain);
    return text;
}

/* --- Code --------------------------------------------------------------------------------------------------------- */

/* The linker's name, which can be demangled, rather than the source's. */
static char *function_name(Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL) {
        name = dwarf_formstring(&attribute);
    }
    name = name != NULL ? name : dwarf_diename(die);
    return name != NULL ? demangled(name) : NULL;
}

static bool is_function(Dwarf_Die *die) {
    const int tag = dwarf_tag(die);
    return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine || tag == DW_TAG_entry_point;
}

/* Where an inlined function was called. */
static void call_site(Dwarf_Die *unit, Dwarf_Die *inlined, struct code_place *place) {
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) == 0 &&
        dwarf_getsrcfiles(unit, &files, &count) == 0 && number < count) {
        const char *file = dwarf_filesrc(files, number, NULL, NULL);
        place->file = file != NULL ? copy_text(file) : NULL;
    }
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &number) == 0) {
        place->line = (int)number;
    }
}

static struct code_place *add_place(struct code_place *places, size_t *count, char *function) {
    places = grow(places, *count, sizeof *places);
    places[(*count)++] = (struct code_place){.function = function};
    return places;
}

/* NULL: code without debugging information. For this, libdwfl may answer with the unit before it. */
static Dwarf_Die *unit_of(Dwfl_Module *module, uint64_t address, Dwarf_Addr *bias) {
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
    return unit != NULL && dwarf_haspc(unit, address - *bias) > 0 ? unit : NULL;
}

/* From debugging information, innermost first; returns how many, 0: none. */
static struct code_place *debug_places(Dwfl_Module *module, uint64_t address, size_t *count) {
    Dwarf_Addr bias;
    Dwarf_Die *unit = unit_of(module, address, &bias);
    Dwarf_Die *scopes = NULL;
    Dwarf_Die *around = NULL;
    struct code_place *places = NULL;
    int depth = unit != NULL ? dwarf_getscopes(unit, address - bias, &scopes) : -1;
    int all = depth > 0 ? dwarf_getscopes_die(&scopes[0], &around) : -1;
    Dwarf_Die *inlined = NULL; /* the last one that was seen */
    for (int i = 0; i < all; i++) {
        char *name = is_function(&around[i]) ? function_name(&around[i]) : NULL;
        if (name == NULL) {
            continue;
        }
        places = add_place(places, count, name);
        if (inlined != NULL) {
            call_site(unit, inlined, &places[*count - 1]);
        }
        inlined = dwarf_tag(&around[i]) == DW_TAG_inlined_subroutine ? &around[i] : NULL;
        if (inlined == NULL) {
            break;
        }
    }
    free(scopes);
    free(around);
    return places;
}

struct code_place *names_places(struct names *names, uint64_t address, size_t *count) {
    Dwfl_Module *module = names->dwfl != NULL ? dwfl_addrmodule(names->dwfl, address) : NULL;
    struct code_place *places = NULL;
    *count = 0;
    if (module != NULL) {
        places = debug_places(module, address, count);
    }
    const char *name = *count == 0 && module != NULL ? dwfl_module_addrname(module, address) : NULL;
    if (name != NULL) {
        places = add_place(places, count, demangled(name));
    }
    if (*count == 0) {
        return NULL;
    }
    Dwarf_Addr bias;
    Dwfl_Line *line = unit_of(module, address, &bias) != NULL ? dwfl_module_getsrc(module, address) : NULL;
    int number = 0;
    const char *file = line != NULL ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    if (file != NULL) {
        free(places[0].file);
        places[0].file = copy_text(file);
        places[0].line = number;
    }
    return places;
}

bool names_module(struct names *names, uint64_t address, struct code_module *module) {
    Dwfl_Module *found = names->dwfl != NULL ? dwfl_addrmodule(names->dwfl, address) : NULL;
    Dwarf_Addr start;
    Dwarf_Addr end;
    const unsigned char *id;
    GElf_Addr place;
    const char *path = NULL;
    if (found == NULL) {
        return false;
    }
    const char *name = dwfl_module_info(found, NULL, &start, &end, NULL, NULL, &path, NULL);
    /* A file opened through the process's root gets the process's name for it. */
    path = path != NULL && (name == NULL || strncmp(path, "/proc/", 6) != 0) ? path : name;
    *module = (struct code_module){.start = start, .end = end, .path = path};
    int bytes = dwfl_module_build_id(found, &id, &place);
    for (int i = 0; i < bytes && 2 * i + 2 < (int)sizeof module->build_id; i++) {
        snprintf(module->build_id + (size_t)2 * (size_t)i, 3, "%02x", id[i]);
    }
    return true;
}
