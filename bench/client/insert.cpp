// See insert.hpp. Two rates come out: the burst, which is what the inserting sessions see, and the
// sustained one, which ends only when nothing is left to be linked.
#include "bench/client/insert.hpp"

#include <algorithm>
#include <barrier>
#include <memory>
#include <thread>

#include "bench/client/commands.hpp"

namespace dvec::bench {

namespace {

constexpr char statement_name[] = "insert";
constexpr auto tail_pause = std::chrono::milliseconds(2);

}  // namespace

void append_tuple(std::string &buffer, std::size_t id, const float *vector,
                  std::size_t dimensions) {
    append_int16(buffer, 2);
    append_int32(buffer, 4);
    append_int32(buffer, static_cast<std::int32_t>(id));
    append_int32(buffer, static_cast<std::int32_t>(4 + 4 * dimensions));
    append_vector(buffer, vector, dimensions);
}

InsertPlan::InsertPlan(const Arguments &arguments)
    : table_(arguments.text("table")), batch_(arguments.count("batch", 1)) {
    const RowFile<float> data(arguments.text("insert-data"));
    const std::size_t first = arguments.count("first-row", 0);
    const std::size_t first_id = arguments.count("first-id", 0);
    const std::size_t wanted = arguments.count("rows");
    rows_ = std::min(wanted, data.count() - std::min(first, data.count()));
    // A prepared statement has room for whole batches only.
    rows_ = rows_ / batch_ * batch_;
    if (rows_ == 0)
        fail("there are not enough vectors to insert");
    tuple_bytes_ = 2 + 4 + 4 + 4 + 4 + 4 * data.width();
    tuples_.reserve(rows_ * tuple_bytes_);
    for (std::size_t row = 0; row < rows_; ++row)
        append_tuple(tuples_, first_id + row, data[first + row], data.width());
}

std::size_t InsertPlan::take() { return std::min(next_.fetch_add(batch_), rows_); }

std::string InsertPlan::statement() const {
    std::string sql = "INSERT INTO " + table_ + " (id, v) VALUES ";
    for (std::size_t row = 0; row < batch_; ++row)
        sql += (row == 0 ? "($" : ", ($") + std::to_string(2 * row + 1) + ", $" +
               std::to_string(2 * row + 2) + ")";
    return sql;
}

Inserter::Inserter(const Arguments &arguments, InsertPlan &plan)
    : plan_(plan), connection_(arguments.text("connect"), arguments.text("insert-setup", "")) {
    const Oid vector = connection_.type("vector");
    const Oid integer = connection_.type("integer");
    std::vector<Oid> types;
    for (std::size_t row = 0; row < plan.batch(); ++row)
        types.insert(types.end(), {integer, vector});
    connection_.prepare(statement_name, plan.statement(), types);
    plan_statement();
    latencies_.reserve(plan.rows() / plan.batch());
    parameters_.resize(2 * plan.batch());
}

// A thousand rows take longer to plan than to insert. Explaining the statement makes the plan that
// is kept, and inserts nothing.
void Inserter::plan_statement() {
    connection_.run("SET plan_cache_mode = force_generic_plan");
    std::string nulls = "NULL";
    for (std::size_t i = 1; i < 2 * plan_.batch(); ++i)
        nulls += ", NULL";
    connection_.run("EXPLAIN EXECUTE " + std::string(statement_name) + " (" + nulls + ")");
}

void Inserter::insert_batch(std::size_t first) {
    for (std::size_t i = 0; i < plan_.batch(); ++i) {
        parameters_[2 * i] = plan_.id(first + i);
        parameters_[2 * i + 1] = plan_.vector(first + i);
    }
    connection_.execute(statement_name, parameters_);
}

void Inserter::run(Clock::time_point deadline, const std::atomic<bool> &stop) {
    const double cpu = thread_cpu_seconds();
    for (Clock::time_point start = Clock::now(); start < deadline && !stop;) {
        const std::size_t first = plan_.take();
        if (first == plan_.rows())
            break;
        insert_batch(first);
        const Clock::time_point end = Clock::now();
        latencies_.add(std::chrono::duration<double, std::micro>(end - start).count());
        start = end;
    }
    client_cpu_seconds_ += thread_cpu_seconds() - cpu;
}

namespace {

// Everything that is read before and after a measurement.
struct Meters {
    double backends = 0;
    double server = 0;
    double wal = 0;
};

Meters read_meters(Connection &control, pid_t postmaster,
                   const std::vector<std::unique_ptr<Inserter>> &inserters) {
    Meters meters;
    for (const auto &inserter : inserters)
        meters.backends += process_cpu_seconds(inserter->connection().backend());
    meters.server = server_cpu_seconds(postmaster);
    meters.wal = control.number("SELECT pg_current_wal_insert_lsn() - '0/0'");
    return meters;
}

double run_all(const std::vector<std::unique_ptr<Inserter>> &inserters, double seconds) {
    const std::atomic<bool> stop{false};
    std::barrier ready(static_cast<std::ptrdiff_t>(inserters.size()) + 1);
    std::vector<std::thread> threads;
    for (const auto &inserter : inserters)
        threads.emplace_back([&] {
            ready.arrive_and_wait();
            inserter->run(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(seconds)),
                          stop);
        });
    ready.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    for (std::thread &thread : threads)
        thread.join();
    return seconds_since(start);
}

}  // namespace

// --tail-sql counts what is still to be linked; without it an insert is finished when it returns.
void insert(const Arguments &arguments) {
    InsertPlan plan(arguments);
    std::vector<std::unique_ptr<Inserter>> inserters;
    for (std::size_t i = 0; i < arguments.count("clients", 1); ++i)
        inserters.push_back(std::make_unique<Inserter>(arguments, plan));
    Connection control(arguments.text("connect"), "");
    const auto postmaster = static_cast<pid_t>(arguments.count("postmaster"));

    const Meters before = read_meters(control, postmaster, inserters);
    const Clock::time_point start = Clock::now();
    const double burst = run_all(inserters, arguments.number("seconds"));
    const Meters after = read_meters(control, postmaster, inserters);
    double tail = 0;
    if (arguments.has("tail-sql")) {
        const std::string sql = arguments.text("tail-sql");
        tail = control.number(sql);
        for (double left = tail; left > 0; left = control.number(sql))
            std::this_thread::sleep_for(tail_pause);
    }
    const double sustained = arguments.has("tail-sql") ? seconds_since(start) : burst;
    const double server = server_cpu_seconds(postmaster) - before.server;

    Latencies latencies;
    double client_cpu = 0;
    for (const auto &inserter : inserters) {
        latencies.add(inserter->latencies());
        client_cpu += inserter->client_cpu_seconds();
    }
    const auto rows = static_cast<double>(plan.taken());
    Report report;
    report.add("rows", rows);
    report.add("burst_rate", rows / burst);
    report.add("sustained_rate", rows / sustained);
    report.add("tail_after_burst", tail);
    report.add("wal_bytes", (after.wal - before.wal) / rows);
    report.add("backend_cpu_us", (after.backends - before.backends) / rows * 1e6);
    report.add("server_cpu_us", server / rows * 1e6);
    report.add("client_cpu_us", client_cpu / rows * 1e6);
    latencies.report(report);
    report.print();
}

}  // namespace dvec::bench
