#!/bin/sh
# The C and C++ compilers: the objects they make, with and without optimisation and across units, are identical byte for
# byte, and what they link runs.
. "${0%/*}/lib.sh"
need "${CC%% *}" "${CXX%% *}" awk

# A C program with enough functions to make the optimiser work.
awk 'BEGIN {
    print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
    for (i = 0; i < 30; i++)
        printf "unsigned f%d(unsigned n, unsigned *v) {\n" \
               "    unsigned sum = %d;\n" \
               "    for (unsigned i = 0; i < n; i++)\n" \
               "        switch ((v[i] + %d) %% 7) {\n" \
               "        case 0: sum += v[i] * %d; break;\n" \
               "        case 1: sum ^= sum << %d; break;\n" \
               "        case 2: v[i] += %s; break;\n" \
               "        default: sum -= v[(i * %d) %% n];\n" \
               "        }\n" \
               "    return sum;\n}\n", i, i, i * 3, i + 5, i % 31, (i > 0 ? "f" (i - 1) "(n / 2, v)" : "1"), i + 2
    print "int main(void) {\n    unsigned *v = calloc(64, sizeof *v), sum = 0;"
    for (i = 0; i < 30; i += 7)
        printf "    sum += f%d(%d, v);\n", i, i % 40
    print "    printf(\"%u\\n\", sum);\n    free(v);\n    return 0;\n}"
}' >"$directory/big.c"

# And a C++ program with templates, lambdas and exceptions.
cat >"$directory/words.cpp" <<'END'
#include <algorithm>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

template <class Key> static auto counted(const std::vector<Key> &keys) {
    std::map<Key, std::size_t> counts;
    for (const Key &key : keys) {
        counts[key]++;
    }
    return counts;
}

int main() {
    std::vector<std::string> words;
    std::vector<int> lengths;
    for (int i = 0; i < 5000; i++) {
        words.push_back(std::string(static_cast<std::size_t>(i % 37), 'w') + std::to_string(i * 7919 % 101));
        lengths.push_back(static_cast<int>(words.back().size()));
    }
    std::sort(words.begin(), words.end(), [](const auto &a, const auto &b) { return b < a; });
    try {
        std::printf("%zu %zu %s\n", counted(words).size(), counted(lengths).size(), words.at(4999).c_str());
        words.at(5000);
    } catch (const std::out_of_range &) {
        std::puts("out of range");
    }
}
END

cat >"$directory/compile.sh" <<'END'
set -eu
$CC -std=c17 -O2 -g -c -o big.o "$1/big.c"
$CC -std=c17 -O0 -o big0 "$1/big.c"
$CC -std=c17 -O2 -flto -o biglto "$1/big.c"
$CC -std=c17 -O2 -o big big.o
$CXX -std=c++17 -O1 -S -o words.s "$1/words.cpp"
$CXX -o words words.s
sha256sum big.o words.s
for program in big0 biglto big words; do
    ./$program
done
END

# Each compiler driver runs a compiler, an assembler or a linker; the programs count as well.
compare "compilers" 15 sh "$directory/compile.sh" "$directory"
