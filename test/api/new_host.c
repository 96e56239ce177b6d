/*
 * A C program without a C++ runtime. Given a plug-in's name, it makes that run out of memory; otherwise it calls
 * operator new itself, which has no runtime to throw with.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

void *_Znwm(size_t size) __attribute__((weak));

int main(int count, char **arguments) {
    if (count < 2) {
        return _Znwm == NULL ? 2 : _Znwm(SIZE_MAX - 100) != NULL;
    }
    void *plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    int (*fails)(void) = NULL;
    if (plugin != NULL) {
        *(void **)&fails = dlsym(plugin, "plugin_fails");
    }
    if (fails == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    return fails();
}
