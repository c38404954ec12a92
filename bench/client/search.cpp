// Searching sessions: every query once, unmeasured, for the recall and to warm what can be warm;
// then all sessions at full speed for a given time.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <memory>
#include <optional>
#include <thread>

#include "bench/client/commands.hpp"
#include "bench/client/connection.hpp"
#include "bench/client/insert.hpp"
#include "bench/client/measure.hpp"
#include "bench/client/recall.hpp"

namespace dvec::bench {

namespace {

constexpr char statement_name[] = "search";
// The server tries five plans made for their parameters before it keeps one for all.
constexpr std::size_t least_warm_up = 12;
constexpr std::size_t unlimited = 1u << 30;
constexpr auto insert_lead = std::chrono::milliseconds(200);

class Queries {
  public:
    explicit Queries(const RowFile<float> &vectors) {
        for (std::size_t i = 0; i < vectors.count(); ++i)
            append_vector(encoded_.emplace_back(), vectors[i], vectors.width());
    }

    std::size_t count() const { return encoded_.size(); }

    Parameter operator[](std::size_t i) const {
        return {encoded_[i].data(), static_cast<int>(encoded_[i].size())};
    }

  private:
    std::vector<std::string> encoded_;
};

class Searcher {
  public:
    Searcher(const Arguments &arguments, const Queries &queries)
        : connection_(arguments.text("connect"), arguments.text("setup", "")), queries_(queries) {
        connection_.prepare(statement_name, arguments.text("sql"), {connection_.type("vector")});
        latencies_.reserve(1 << 20);
    }

    ResultPointer ask(std::size_t query) {
        return connection_.execute(statement_name, {queries_[query % queries_.count()]});
    }

    // Until the deadline, or until `most` queries were answered.
    void run(std::size_t first, std::size_t most, Clock::time_point deadline) {
        const double client_cpu = thread_cpu_seconds();
        const double backend_cpu = process_cpu_seconds(connection_.backend());
        const double backend_read = process_read_bytes(connection_.backend());
        std::size_t query = first;
        for (Clock::time_point start = Clock::now(); start < deadline && query < first + most;) {
            ask(query++);
            const Clock::time_point end = Clock::now();
            latencies_.add(std::chrono::duration<double, std::micro>(end - start).count());
            start = end;
        }
        backend_cpu_seconds_ = process_cpu_seconds(connection_.backend()) - backend_cpu;
        backend_read_bytes_ = process_read_bytes(connection_.backend()) - backend_read;
        client_cpu_seconds_ = thread_cpu_seconds() - client_cpu;
    }

    const Latencies &latencies() const { return latencies_; }
    double backend_cpu_seconds() const { return backend_cpu_seconds_; }
    double backend_read_bytes() const { return backend_read_bytes_; }
    double client_cpu_seconds() const { return client_cpu_seconds_; }

  private:
    Connection connection_;
    const Queries &queries_;
    Latencies latencies_;
    double backend_cpu_seconds_ = 0;
    double backend_read_bytes_ = 0;
    double client_cpu_seconds_ = 0;
};

using Searchers = std::vector<std::unique_ptr<Searcher>>;

// At most `most` queries, answered once each; their mean recall and number of rows.
void measure_recall(Searcher &searcher, const Truth &truth, std::size_t most, std::size_t k,
                    Report &report) {
    double recall = 0;
    double rows = 0;
    std::vector<std::int32_t> answer;
    const std::size_t count = std::min(most, truth.queries.count());
    for (std::size_t query = 0; query < count; ++query) {
        read_ids(searcher.ask(query).get(), answer);
        recall += truth.recall(query, answer, k);
        rows += static_cast<double>(answer.size());
    }
    report.add("recall", recall / static_cast<double>(count));
    report.add("rows", rows / static_cast<double>(count));
}

// Which queries are asked: sessions begin at different ones, the first session at `first`.
struct Range {
    std::size_t count;  // of queries that there are
    std::size_t first;
    std::size_t most;  // that a session asks
};

double run_all(const Searchers &searchers, const Range &range, double seconds) {
    std::barrier ready(static_cast<std::ptrdiff_t>(searchers.size()) + 1);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < searchers.size(); ++i)
        threads.emplace_back([&, i] {
            ready.arrive_and_wait();
            const auto length =
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
            searchers[i]->run(range.first + i * range.count / searchers.size(), range.most,
                              Clock::now() + length);
        });
    ready.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    for (std::thread &thread : threads)
        thread.join();
    return seconds_since(start);
}

// A session that inserts for as long as the object lives.
class Background {
  public:
    explicit Background(const Arguments &arguments)
        : plan_(arguments),
          inserter_(arguments, plan_),
          start_(Clock::now()),
          thread_([this] { inserter_.run(Clock::time_point::max(), stop_); }) {
        std::this_thread::sleep_for(insert_lead);
    }

    ~Background() {
        stop_ = true;
        thread_.join();
    }

    Background(const Background &) = delete;
    Background &operator=(const Background &) = delete;

    // Rows until now, and whether they were enough to insert all the time.
    void report(Report &report) const {
        const std::size_t taken = plan_.taken();
        report.add("inserted", static_cast<double>(taken));
        report.add("insert_rate", static_cast<double>(taken) / seconds_since(start_));
        report.add("insert_ran_dry", taken >= plan_.rows() ? 1 : 0);
    }

  private:
    InsertPlan plan_;
    Inserter inserter_;
    Clock::time_point start_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace

// With --truth the recall is measured first, of --recall-queries at most; the measured time begins
// with query --first-query, and is over when a session has asked --most-queries. With --insert-data
// a session inserts meanwhile, see InsertPlan for the rest of its arguments.
void search(const Arguments &arguments) {
    const RowFile<float> vectors(arguments.text("queries"));
    const Queries queries(vectors);
    Searchers searchers;
    for (std::size_t i = 0; i < arguments.count("clients", 1); ++i) {
        searchers.push_back(std::make_unique<Searcher>(arguments, queries));
        const std::size_t warm_up = arguments.count("warm-up", least_warm_up);
        for (std::size_t query = 0; query < warm_up; ++query)
            searchers.back()->ask(query);
    }
    Report report;
    if (arguments.has("truth")) {
        const Truth truth{RowFile<float>(arguments.text("base")),
                          RowFile<float>(arguments.text("queries")),
                          RowFile<std::int32_t>(arguments.text("truth"))};
        measure_recall(*searchers.front(), truth, arguments.count("recall-queries", unlimited),
                       arguments.count("k", 10), report);
    }
    const auto postmaster = static_cast<pid_t>(arguments.count("postmaster"));
    std::optional<Background> background;
    if (arguments.has("insert-data"))
        background.emplace(arguments);

    const double server_before = server_cpu_seconds(postmaster);
    const Range range{queries.count(), arguments.count("first-query", 0),
                      arguments.count("most-queries", unlimited)};
    const double wall = run_all(searchers, range, arguments.number("seconds"));
    const double server = server_cpu_seconds(postmaster) - server_before;
    if (background) {
        background->report(report);
        background.reset();
    }

    Latencies latencies;
    double backend_cpu = 0;
    double backend_read = 0;
    double client_cpu = 0;
    for (const auto &searcher : searchers) {
        latencies.add(searcher->latencies());
        backend_cpu += searcher->backend_cpu_seconds();
        backend_read += searcher->backend_read_bytes();
        client_cpu += searcher->client_cpu_seconds();
    }
    const auto count = static_cast<double>(latencies.count());
    report.add("queries", count);
    report.add("qps", count / wall);
    report.add("backend_cpu_us", backend_cpu / count * 1e6);
    report.add("backend_read_bytes", backend_read / count);
    report.add("server_cpu_us", server / count * 1e6);
    report.add("client_cpu_us", client_cpu / count * 1e6);
    latencies.report(report);
    report.print();
}

}  // namespace dvec::bench
