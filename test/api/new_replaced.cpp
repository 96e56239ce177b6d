// A program that replaces the two basic operators, with blocks that are not malloc's own: every other form must lead to
// its replacement, and none of its blocks to this heap.
#include <cstdio>
#include <cstdlib>
#include <new>

static int made;
static int ended;

void *operator new(std::size_t size) {
    if (size > (std::size_t(1) << 40)) {
        throw std::bad_alloc();
    }
    char *block = static_cast<char *>(std::malloc(size + 64));
    made++;
    return block + 64;
}

void operator delete(void *block) noexcept {
    if (block != nullptr) {
        ended++;
        std::free(static_cast<char *>(block) - 64);
    }
}

struct object {
    int values[10];
};

int main() {
    delete new object;
    delete[] new object[10];
    operator delete(operator new(10), std::size_t(10));
    operator delete[](operator new[](10), std::size_t(10));
    operator delete(operator new(10, std::nothrow), std::nothrow);
    operator delete[](operator new[](10, std::nothrow), std::nothrow);
    volatile std::size_t impossible = ~std::size_t(0) / 2;
    bool caught = operator new(impossible, std::nothrow) == nullptr &&operator new[](impossible, std::nothrow) ==
                  nullptr;
    if (made != 6 || ended != 6 || !caught) {
        std::fprintf(stderr, "made %d, ended %d, caught %d\n", made, ended, caught);
        return 1;
    }
    return 0;
}
