// The client of the benchmarks: C++ on libpq, so that its own time hides nothing. bench/run calls
// it;
//
//     bench_client COMMAND --name value ...
//
// Every command prints one JSON object. Times are microseconds, rates are per second, processor
// time is microseconds per query or per vector.
#include <algorithm>
#include <functional>
#include <map>

#include "bench/client/commands.hpp"
#include "bench/client/connection.hpp"
#include "bench/client/insert.hpp"

namespace dvec::bench {

// The first --rows vectors of --insert-data, with their numbers as ids. Never more than --batch of
// them are in memory, and the rows are frozen, so that VACUUM need not write them once more.
void load(const Arguments &arguments) {
    const RowFile<float> data(arguments.text("insert-data"));
    const std::size_t rows = std::min(arguments.count("rows"), data.count());
    const std::size_t batch = arguments.count("batch");
    const std::string table = arguments.text("table");
    Connection connection(arguments.text("connect"), "");
    const Clock::time_point start = Clock::now();
    connection.run("BEGIN");
    connection.run("TRUNCATE " + table);
    std::string tuples;
    for (std::size_t first = 0; first < rows; first += batch) {
        tuples.clear();
        for (std::size_t row = first; row < std::min(first + batch, rows); ++row)
            append_tuple(tuples, row, data[row], data.width());
        connection.copy("COPY " + table + " (id, v) FROM STDIN (FORMAT binary, FREEZE)",
                        {tuples.data(), static_cast<int>(tuples.size())});
    }
    connection.run("COMMIT");
    Report report;
    report.add("rows", static_cast<double>(rows));
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
