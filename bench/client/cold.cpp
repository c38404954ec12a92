// Fresh connections, one after another: the time to connect, of the first query (settings, prepare
// and execute) and of the second, and then the memory of such a session after many queries.
#include <algorithm>
#include <memory>

#include "bench/client/commands.hpp"
#include "bench/client/connection.hpp"
#include "bench/client/measure.hpp"
#include "bench/client/row_file.hpp"

namespace dvec::bench {

namespace {

constexpr char statement_name[] = "search";

void report_times(Report &report, const std::string &name, std::vector<double> times) {
    report.add(name + "_opening_us", times.front());
    std::sort(times.begin(), times.end());
    report.add(name + "_us", times[times.size() / 2]);
    report.add(name + "_max_us", times.back());
}

struct Fresh {
    std::unique_ptr<Connection> connection;
    double connect_us;
    double first_us;
    double second_us;
};

Fresh connect_and_ask(const Arguments &arguments, Oid type, const Parameter &query) {
    Fresh fresh;
    auto timer = [start = Clock::now()]() mutable {
        const double microseconds = seconds_since(start) * 1e6;
        start = Clock::now();
        return microseconds;
    };
    fresh.connection = std::make_unique<Connection>(arguments.text("connect"), "");
    fresh.connect_us = timer();
    fresh.connection->run(arguments.text("setup", "SELECT"));
    fresh.connection->prepare(statement_name, arguments.text("sql"), {type});
    fresh.connection->execute(statement_name, {query});
    fresh.first_us = timer();
    fresh.connection->execute(statement_name, {query});
    fresh.second_us = timer();
    return fresh;
}

}  // namespace

// The very first connection is reported apart, as *_opening_us: after a restart it opens the index.
// --type is the object id of the type vector: asking for it here would be a query before the first.
void cold(const Arguments &arguments) {
    const RowFile<float> vectors(arguments.text("queries"));
    const auto type = static_cast<Oid>(arguments.count("type"));
    const std::size_t connections = arguments.count("connections", 1);
    const std::size_t more = arguments.count("more-queries", 0);
    std::vector<double> connect_us;
    std::vector<double> first_us;
    std::vector<double> second_us;
    std::string query;
    Fresh fresh;
    for (std::size_t i = 0; i < connections; ++i) {
        query.clear();
        append_vector(query, vectors[i % vectors.count()], vectors.width());
        fresh = connect_and_ask(arguments, type, {query.data(), static_cast<int>(query.size())});
        connect_us.push_back(fresh.connect_us);
        first_us.push_back(fresh.first_us);
        second_us.push_back(fresh.second_us);
    }
    Report report;
    report_times(report, "connect", connect_us);
    report_times(report, "first", first_us);
    report_times(report, "second", second_us);
    for (std::size_t i = 0; i < more; ++i) {
        query.clear();
        append_vector(query, vectors[i % vectors.count()], vectors.width());
        fresh.connection->execute(statement_name, {{query.data(), static_cast<int>(query.size())}});
    }
    const Memory memory = process_memory(fresh.connection->backend());
    report.add("private_bytes", memory.private_bytes);
    report.add("shared_bytes", memory.shared_bytes);
    report.add("sidecar_bytes", memory.sidecar_bytes);
    report.print();
}

}  // namespace dvec::bench
