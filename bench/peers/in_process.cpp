#include "bench/peers/in_process.hpp"

#include <barrier>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>

#include "bench/client/measure.hpp"
#include "bench/processor_time.hpp"

namespace dvec::bench {

namespace {

void build(InProcess &peer, std::size_t threads) {
    const Clock::time_point start = Clock::now();
    const double cpu = processor_seconds();
    peer.build(threads);
    Report report;
    report.add("build_seconds", seconds_since(start));
    report.add("build_cpu_seconds", processor_seconds() - cpu);
    report.add("index_bytes", static_cast<double>(peer.bytes()));
    report.print();
}

void recall(InProcess &peer, const Truth &truth, std::size_t ef) {
    const auto client = peer.client();
    double sum = 0;
    for (std::size_t query = 0; query < truth.queries.count(); ++query)
        sum += truth.recall(query, client->ask(truth.queries[query], ef), k_in_process);
    Report report;
    report.add("recall", sum / static_cast<double>(truth.queries.count()));
    report.print();
}

// Asks from query number `query` on, and returns the processor time of the thread.
double run(InProcess::Client &client, const RowFile<float> &queries, std::size_t query,
           std::size_t ef, double seconds, Latencies &latencies) {
    const double cpu = thread_cpu_seconds();
    const Clock::time_point begin = Clock::now();
    Clock::time_point start = begin;
    while (std::chrono::duration<double>(start - begin).count() < seconds) {
        client.ask(queries[query++ % queries.count()], ef);
        const Clock::time_point end = Clock::now();
        latencies.add(std::chrono::duration<double, std::micro>(end - start).count());
        start = end;
    }
    return thread_cpu_seconds() - cpu;
}

void search(InProcess &peer, const RowFile<float> &queries, std::size_t ef, std::size_t clients,
            double seconds) {
    std::vector<Latencies> latencies(clients);
    std::vector<double> cpu(clients);
    std::barrier ready(static_cast<std::ptrdiff_t>(clients) + 1);
    std::vector<std::thread> threads;
    for (std::size_t at = 0; at < clients; ++at)
        threads.emplace_back([&, at] {
            latencies[at].reserve(1 << 20);
            const auto client = peer.client();
            const std::size_t first = at * queries.count() / clients;
            for (std::size_t i = 0; i < 12; ++i)
                client->ask(queries[(first + i) % queries.count()], ef);
            ready.arrive_and_wait();
            cpu[at] = run(*client, queries, first, ef, seconds, latencies[at]);
        });
    ready.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    for (std::thread &thread : threads)
        thread.join();
    const double wall = seconds_since(start);
    Latencies all;
    double cpu_sum = 0;
    for (std::size_t at = 0; at < clients; ++at) {
        all.add(latencies[at]);
        cpu_sum += cpu[at];
    }
    const auto count = static_cast<double>(all.count());
    Report report;
    report.add("queries", count);
    report.add("qps", count / wall);
    report.add("backend_cpu_us", cpu_sum / count * 1e6);
    all.report(report);
    report.print();
}

}  // namespace

void serve(InProcess &peer, const Truth &truth, std::size_t threads) {
    build(peer, threads);
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string command;
        std::size_t ef = 0;
        std::size_t clients = 1;
        double seconds = 0;
        words >> command >> ef;
        if (command == "recall" && words)
            recall(peer, truth, ef);
        else if (command == "search" && words >> clients >> seconds)
            search(peer, truth.queries, ef, clients, seconds);
        else
            fail("unknown command: " + line);
    }
}

Truth truth_of(const Arguments &arguments) {
    return {RowFile<float>(arguments.text("base")), RowFile<float>(arguments.text("queries")),
            RowFile<std::int32_t>(arguments.text("truth"))};
}

}  // namespace dvec::bench
