/*
 * requests.cc - a leak: a session deletes its requests, but not those that were cancelled.
 *
 *   mems run --leaks -o sample=4k -- ./requests
 */
#include <memory>
#include <string>
#include <vector>

struct Request {
    virtual ~Request() = default;
    virtual void serve() = 0;
};

struct Upload : Request {
    std::string body = std::string(300, 'b');
    void serve() override {
        body.clear();
    }
};

struct Session {
    std::vector<Request *> waiting;

    void add() {
        waiting.push_back(new Upload);
    }

    // The request leaves the list, and nobody deletes it.
    void cancel() {
        waiting.pop_back();
    }

    ~Session() {
        for (Request *request : waiting) {
            request->serve();
            delete request;
        }
    }
};

int main() {
    for (int i = 0; i < 1000; i++) {
        auto session = std::make_unique<Session>();
        for (int j = 0; j < 10; j++) {
            session->add();
        }
        if (i % 3 == 0) {
            session->cancel();
        }
    }
}
