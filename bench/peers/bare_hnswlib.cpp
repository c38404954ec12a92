// The peer without a server: hnswlib as it is, in one process, on the same files and parameters.
//
//     bare_hnswlib --base F --queries F --truth F --metric l2|cosine --m M --ef-construction E
//                  --threads T
//
// builds, prints what that took as one JSON object, and then answers each line of standard input
// with another object, so that its measurements can be taken in turns with those of the servers:
//
//     recall EF                      over all queries
//     search EF CLIENTS SECONDS      threads at full speed
#include <hnswlib/hnswlib.h>

#include <atomic>
#include <barrier>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "bench/client/arguments.hpp"
#include "bench/client/measure.hpp"
#include "bench/client/recall.hpp"
#include "bench/processor_time.hpp"

namespace dvec::bench {

namespace {

constexpr std::size_t k = 10;

class BarePeer {
  public:
    explicit BarePeer(const Arguments &arguments)
        : truth_{RowFile<float>(arguments.text("base")), RowFile<float>(arguments.text("queries")),
                 RowFile<std::int32_t>(arguments.text("truth"))} {
        const std::size_t dimensions = truth_.base.width();
        if (arguments.text("metric") == "cosine")
            space_ = std::make_unique<hnswlib::InnerProductSpace>(dimensions);
        else
            space_ = std::make_unique<hnswlib::L2Space>(dimensions);
        graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(
            space_.get(), truth_.base.count(), arguments.count("m"),
            arguments.count("ef-construction"));
    }

    void build(std::size_t thread_count) {
        const Clock::time_point start = Clock::now();
        const double cpu = processor_seconds();
        graph_->addPoint(truth_.base[0], 0);
        std::atomic<std::size_t> next{1};
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < thread_count; ++t)
            threads.emplace_back([&] {
                for (std::size_t row; (row = next++) < truth_.base.count();)
                    graph_->addPoint(truth_.base[row], row);
            });
        for (std::thread &thread : threads)
            thread.join();
        Report report;
        report.add("build_seconds", seconds_since(start));
        report.add("build_cpu_seconds", processor_seconds() - cpu);
        report.add("index_bytes", static_cast<double>(bytes()));
        report.print();
    }

    void recall(std::size_t ef) {
        graph_->setEf(ef);
        double sum = 0;
        for (std::size_t query = 0; query < truth_.queries.count(); ++query)
            sum += truth_.recall(query, ask(query), k);
        Report report;
        report.add("recall", sum / static_cast<double>(truth_.queries.count()));
        report.print();
    }

    void search(std::size_t ef, std::size_t clients, double seconds) {
        graph_->setEf(ef);
        std::vector<Latencies> latencies(clients);
        std::vector<double> cpu(clients);
        std::barrier ready(static_cast<std::ptrdiff_t>(clients) + 1);
        std::vector<std::thread> threads;
        for (std::size_t client = 0; client < clients; ++client)
            threads.emplace_back([&, client] {
                latencies[client].reserve(1 << 20);
                const std::size_t first = client * truth_.queries.count() / clients;
                for (std::size_t i = 0; i < 12; ++i)
                    ask((first + i) % truth_.queries.count());
                ready.arrive_and_wait();
                cpu[client] = run(first, seconds, latencies[client]);
            });
        ready.arrive_and_wait();
        const Clock::time_point start = Clock::now();
        for (std::thread &thread : threads)
            thread.join();
        const double wall = seconds_since(start);
        Latencies all;
        double cpu_sum = 0;
        for (std::size_t client = 0; client < clients; ++client) {
            all.add(latencies[client]);
            cpu_sum += cpu[client];
        }
        const auto count = static_cast<double>(all.count());
        Report report;
        report.add("queries", count);
        report.add("qps", count / wall);
        report.add("backend_cpu_us", cpu_sum / count * 1e6);
        all.report(report);
        report.print();
    }

  private:
    std::vector<std::int32_t> ask(std::size_t query) const {
        auto found = graph_->searchKnn(truth_.queries[query], k);
        std::vector<std::int32_t> ids;
        ids.reserve(k);
        for (; !found.empty(); found.pop())
            ids.push_back(static_cast<std::int32_t>(found.top().second));
        return ids;
    }

    // Returns the processor time of the thread.
    double run(std::size_t query, double seconds, Latencies &latencies) const {
        const double cpu = thread_cpu_seconds();
        const Clock::time_point begin = Clock::now();
        Clock::time_point start = begin;
        while (std::chrono::duration<double>(start - begin).count() < seconds) {
            ask(query++ % truth_.queries.count());
            const Clock::time_point end = Clock::now();
            latencies.add(std::chrono::duration<double, std::micro>(end - start).count());
            start = end;
        }
        return thread_cpu_seconds() - cpu;
    }

    std::size_t bytes() const {
        const std::size_t nodes = truth_.base.count();
        std::size_t sum = nodes * graph_->size_data_per_element_;
        for (std::size_t node = 0; node < nodes; ++node)
            sum += static_cast<std::size_t>(graph_->element_levels_[node]) *
                   graph_->size_links_per_element_;
        return sum;
    }

    Truth truth_;
    std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
};

}  // namespace

}  // namespace dvec::bench

int main(int argc, char **argv) {
    using namespace dvec::bench;
    const Arguments arguments(argc, argv, 1);
    BarePeer peer(arguments);
    peer.build(arguments.count("threads"));
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string command;
        std::size_t ef = 0;
        std::size_t clients = 1;
        double seconds = 0;
        words >> command >> ef;
        if (command == "recall" && words)
            peer.recall(ef);
        else if (command == "search" && words >> clients >> seconds)
            peer.search(ef, clients, seconds);
        else
            fail("unknown command: " + line);
    }
}
