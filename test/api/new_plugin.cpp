/* A C++ plug-in for new_host.c. Returns 0 if a failing new threw the right exception. */
#include <cstdint>
#include <new>

extern "C" int plugin_fails();

extern "C" int plugin_fails() {
    volatile std::size_t impossible = SIZE_MAX / 2 + 1;
    try {
        delete[] new char[impossible];
    } catch (const std::bad_alloc &) {
        return 0;
    }
    return 1;
}
