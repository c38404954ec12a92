// The client of the benchmarks: C++ on libpq, so that its own time hides nothing. bench/run calls
// it;
//
//     bench_client COMMAND --name value ...
//
// Every command prints one JSON object. Times are microseconds, rates are per second, processor
// time is microseconds per query or per vector.
#include <functional>
#include <map>

#include "bench/client/commands.hpp"
#include "bench/client/connection.hpp"
#include "bench/client/insert.hpp"

namespace dvec::bench {

void load(const Arguments &arguments) {
    InsertPlan plan(arguments);
    Connection connection(arguments.text("connect"), "");
    const Clock::time_point start = Clock::now();
    for (std::size_t row = 0; row < plan.rows(); row += plan.batch())
        connection.copy(plan.statement(), plan.batch_tuples(row));
    Report report;
    report.add("rows", static_cast<double>(plan.rows()));
    report.add("seconds", seconds_since(start));
    report.print();
}

}  // namespace dvec::bench

int main(int argc, char **argv) {
    using namespace dvec::bench;
    const std::map<std::string, std::function<void(const Arguments &)>> commands = {
        {"load", load},
        {"search", search},
        {"insert", insert},
        {"cold", cold},
        {"bandwidth", bandwidth}};
    const auto command = commands.find(argc > 1 ? argv[1] : "");
    if (command == commands.end())
        fail("usage: bench_client load|search|insert|cold|bandwidth --name value ...");
    command->second(Arguments(argc, argv, 2));
}
