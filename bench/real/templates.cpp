/* Gives a compiler much to instantiate: recursive templates, variants and visitors, containers, function objects. */
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace {

template <int N> struct Tag {
    int value = N;
    friend bool operator<(const Tag &a, const Tag &b) {
        return a.value < b.value;
    }
};

template <int N> long work(long seed) {
    std::map<Tag<N>, std::vector<std::tuple<int, std::string, Tag<N>>>> groups;
    std::unordered_map<std::string, std::function<long(long)>> actions;
    for (int i = 0; i < N; i++) {
        groups[Tag<N>{i % 7}].emplace_back(i, std::to_string(seed), Tag<N>{i});
        actions[std::to_string(i)] = [i](long x) { return x * i + N; };
    }
    std::variant<Tag<N>, std::string, std::vector<Tag<N + 1>>, std::unique_ptr<Tag<N + 2>>> choice =
        std::to_string(seed);
    long sum = std::visit([](const auto &held) { return static_cast<long>(sizeof held); }, choice);
    for (auto &[tag, list] : groups) {
        std::sort(list.begin(), list.end(),
                  [](const auto &a, const auto &b) { return std::get<1>(a) < std::get<1>(b); });
        sum += std::accumulate(list.begin(), list.end(), 0L, [&](long total, const auto &entry) {
            return total + actions.at(std::get<1>(entry))(tag.value);
        });
    }
    return sum;
}

template <int... N> long all(std::integer_sequence<int, N...>, long seed) {
    return (work<N * 3>(seed) + ...);
}

} // namespace

int main(int argc, char **) {
    return all(std::make_integer_sequence<int, 2>(), argc) != 0 ? 0 : 1;
}
