// Succeeds when new is this project's: its statistics know the objects.
#include <memory>
#include <mems.h>
#include <string>
#include <vector>

static std::size_t held() {
    static struct mems_engine_stats stats;
    mems_engine_stats(&stats);
    return stats.live + stats.huge_bytes;
}

int main() {
    const std::size_t before = held();
    auto block = std::make_unique<char[]>(300000);
    std::vector<std::string> words(1000, std::string(100, 'x'));
    const std::size_t grown = held() - before;
    const bool mine = grown >= 300000 + 1000 * 100;
    return mine && words.back().size() == 100 && mems_version() == MEMS_VERSION ? 0 : 1;
}
