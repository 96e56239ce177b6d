/*
 * containers.cpp - a C++ program that allocates in every way the language offers: containers, strings, shared
 * pointers
 */
// between threads, exceptions (also across threads, and while memory runs out), aligned new, memory
/* resources and thread-local objects. Its output depends only on its own arithmetic. */
#include <any>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <numeric>
#include <queue>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state(seed) {}
    std::uint32_t operator()(std::uint32_t limit) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::uint32_t>(state >> 33) % limit;
    }

  private:
    std::uint64_t state;
};

std::uint64_t hash(std::uint64_t so_far, const std::string &text) {
    for (unsigned char c : text) {
        so_far = (so_far ^ c) * 1099511628211u;
    }
    return so_far;
}

std::string word(Random &random) {
    return std::string(1 + random(60), static_cast<char>('a' + random(26)));
}

std::uint64_t associative(std::uint64_t seed) {
    Random random(seed);
    std::map<std::string, std::vector<int>> ordered;
    std::unordered_map<std::uint32_t, std::string> hashed;
    std::multiset<std::uint32_t> set;
    for (int i = 0; i < 20000; i++) {
        ordered[word(random)].push_back(i);
        hashed[random(5000)] += word(random);
        set.insert(random(1000));
        if (i % 3 == 0) {
            hashed.erase(random(5000));
            set.erase(random(1000));
        }
    }
    std::uint64_t sum = hashed.size() * 1000003 + set.size();
    for (const auto &[key, values] : ordered) {
        sum = hash(sum, key) + std::accumulate(values.begin(), values.end(), std::uint64_t{0});
    }
    for (std::uint32_t key = 0; key < 5000; key++) {
        if (auto found = hashed.find(key); found != hashed.end()) {
            sum = hash(sum, found->second);
        }
    }
    return sum;
}

std::uint64_t sequences(std::uint64_t seed) {
    Random random(seed);
    std::vector<std::string> vector;
    std::deque<std::pair<int, std::string>> deque;
    std::list<std::variant<int, std::string, std::vector<int>>> list;
    std::priority_queue<std::string> queue;
    for (int i = 0; i < 20000; i++) {
        vector.push_back(word(random));
        deque.emplace_back(i, word(random));
        if (random(2) != 0) {
            deque.pop_front();
        }
        switch (random(3)) {
        case 0:
            list.emplace_back(i);
            break;
        case 1:
            list.emplace_front(word(random));
            break;
        default:
            list.emplace_back(std::vector<int>(random(50), i));
        }
        queue.push(word(random));
        if (i % 2 != 0) {
            queue.pop();
        }
    }
    vector.erase(vector.begin() + 100, vector.begin() + 10000);
    vector.shrink_to_fit();
    list.remove_if([](const auto &item) { return std::holds_alternative<int>(item); });
    std::uint64_t sum = deque.size() + 31 * list.size();
    for (const std::string &item : vector) {
        sum = hash(sum, item);
    }
    for (; !queue.empty(); queue.pop()) {
        sum = hash(sum, queue.top());
    }
    return sum;
}

/* An object that must be destroyed as often as it was made, whatever exceptions pass. */
struct Counted {
    static inline std::atomic<long> alive{0};
    std::string text;
    explicit Counted(std::string value) : text(std::move(value)) {
        alive++;
    }
    Counted(const Counted &other) : text(other.text) {
        alive++;
    }
    ~Counted() {
        alive--;
    }
    Counted &operator=(const Counted &) = delete;
};

std::size_t fall(Random &random, int depth) {
    Counted here("depth " + std::to_string(depth) + std::string(random(200), '.'));
    auto held = std::make_unique<Counted>(here);
    if (depth == 0) {
        throw std::runtime_error(here.text);
    }
    try {
        return fall(random, depth - 1);
    } catch (const std::logic_error &) {
        return 0;
    }
}

std::uint64_t exceptions(std::uint64_t seed) {
    Random random(seed);
    std::uint64_t sum = 0;
    for (int i = 0; i < 2000; i++) {
        try {
            sum += fall(random, static_cast<int>(random(12)));
        } catch (const std::exception &error) {
            sum = hash(sum, error.what());
        }
    }
    return sum;
}

/* Objects made by one thread and destroyed by whichever drops the last reference. */
std::uint64_t hand_over(std::uint64_t seed) {
    std::mutex mutex;
    std::condition_variable changed;
    std::queue<std::shared_ptr<Counted>> queue;
    bool finished = false;
    std::uint64_t sum = 0;
    std::thread consumer([&] {
        std::vector<std::shared_ptr<Counted>> kept;
        for (;;) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return finished || !queue.empty(); });
            if (queue.empty()) {
                return;
            }
            std::shared_ptr<Counted> item = std::move(queue.front());
            queue.pop();
            lock.unlock();
            sum = hash(sum, item->text);
            kept.push_back(std::move(item));
            if (kept.size() == 500) {
                kept.clear();
            }
        }
    });
    Random random(seed);
    std::vector<std::shared_ptr<Counted>> shared(100);
    for (int i = 0; i < 20000; i++) {
        auto item = std::make_shared<Counted>(word(random));
        shared[random(100)] = item;
        std::lock_guard<std::mutex> lock(mutex);
        queue.push(std::move(item));
        changed.notify_one();
    }
    {
        std::lock_guard<std::mutex> lock(mutex);
        finished = true;
    }
    changed.notify_one();
    consumer.join();
    return sum;
}

std::uint64_t futures(std::uint64_t seed) {
    std::vector<std::future<std::string>> results;
    for (std::uint64_t i = 0; i < 64; i++) {
        results.push_back(std::async(std::launch::async, [i, seed] {
            thread_local std::vector<std::string> scratch;
            Random random(seed + i);
            for (int n = 0; n < 200; n++) {
                scratch.push_back(word(random));
            }
            if (i % 5 == 0) {
                throw std::out_of_range(scratch.back());
            }
            return scratch.front() + scratch.back();
        }));
    }
    std::uint64_t sum = 0;
    for (auto &result : results) {
        try {
            sum = hash(sum, result.get());
        } catch (const std::out_of_range &error) {
            sum = hash(sum, error.what()) + 1;
        }
    }
    return sum;
}

struct alignas(256) Wide {
    std::array<unsigned char, 768> bytes{};
};

std::uint64_t aligned(std::uint64_t seed) {
    Random random(seed);
    std::uint64_t misaligned = 0;
    std::vector<std::unique_ptr<Wide[]>> arrays;
    std::vector<Wide> wide;
    for (int i = 0; i < 500; i++) {
        arrays.push_back(std::make_unique<Wide[]>(1 + random(8)));
        misaligned += reinterpret_cast<std::uintptr_t>(arrays.back().get()) % alignof(Wide) != 0;
        wide.emplace_back();
        misaligned += reinterpret_cast<std::uintptr_t>(wide.data()) % alignof(Wide) != 0;
        std::size_t alignment = std::size_t{16} << random(13);
        void *raw = ::operator new(1 + random(5000), std::align_val_t(alignment));
        misaligned += reinterpret_cast<std::uintptr_t>(raw) % alignment != 0;
        ::operator delete(raw, std::align_val_t(alignment));
    }
    return misaligned;
}

std::uint64_t resources(std::uint64_t seed) {
    Random random(seed);
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::monotonic_buffer_resource buffer(&pool);
    std::pmr::map<int, std::pmr::string> map(&pool);
    std::pmr::vector<std::pmr::string> vector(&buffer);
    std::uint64_t sum = 0;
    for (int i = 0; i < 10000; i++) {
        map[static_cast<int>(random(2000))].append(word(random));
        vector.emplace_back(word(random));
        map.erase(static_cast<int>(random(2000)));
    }
    for (const auto &[key, text] : map) {
        sum = hash(sum + static_cast<std::uint64_t>(key), std::string(text));
    }
    return sum + vector.size();
}

int handler_calls = 0;

/* Requests that no heap can serve: bad_alloc, after asking the handler; nullptr from the nothrow forms. */
std::string exhaustion() {
    volatile std::size_t enormous = PTRDIFF_MAX;
    std::ostringstream report;
    std::set_new_handler([] {
        if (++handler_calls == 3) {
            std::set_new_handler(nullptr);
        }
    });
    try {
        delete[] new char[enormous];
        report << "served";
    } catch (const std::bad_alloc &) {
        report << "bad_alloc after " << handler_calls << " calls";
    }
    try {
        delete[] new std::uint64_t[enormous];
        report << ", served";
    } catch (const std::bad_alloc &error) {
        report << ", " << error.what(); /* bad_array_new_length, from compilers that distinguish the overflow */
    }
    char *nothing = new (std::nothrow) char[enormous];
    report << (nothing == nullptr ? ", nullptr" : ", served");
    delete[] nothing;
    try {
        std::vector<char>().reserve(enormous);
    } catch (const std::bad_alloc &) {
        report << ", bad_alloc";
    }
    return report.str();
}

struct AtExit {
    std::map<int, std::string> held;
    ~AtExit() {
        held[-1] = "allocated at exit";
        std::printf("at exit: %zu\n", held.size());
    }
} at_exit;

} // namespace

int main() {
    const std::vector<std::pair<const char *, std::function<std::uint64_t(std::uint64_t)>>> parts = {
        {"associative", associative}, {"sequences", sequences}, {"exceptions", exceptions}, {"hand_over", hand_over},
        {"futures", futures},         {"aligned", aligned},     {"resources", resources},
    };
    for (int i = 0; i < 1000; i++) {
        at_exit.held[i] = std::string(static_cast<std::size_t>(i), 'x');
    }
    for (const auto &[name, part] : parts) {
        std::vector<std::any> sums(4);
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < sums.size(); i++) {
            threads.emplace_back([&sums, &part = part, i] { sums[i] = part(100 + i); });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        std::printf("%s:", name);
        for (const std::any &sum : sums) {
            std::printf(" %016llx", static_cast<unsigned long long>(std::any_cast<std::uint64_t>(sum)));
        }
        std::printf("\n");
    }
    std::printf("exhaustion: %s\n", exhaustion().c_str());
    std::printf("objects left: %ld\n", Counted::alive.load());
    return 0;
}
