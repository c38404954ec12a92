// The inserting half of the client, which searches under load need too.
#pragma once

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "bench/client/arguments.hpp"
#include "bench/client/connection.hpp"
#include "bench/client/measure.hpp"
#include "bench/client/row_file.hpp"

namespace dvec::bench {

// Rows in their binary form, made before the clock starts, and who takes which. Shared by threads.
class InsertPlan {
  public:
    // Reads --insert-data (fvecs), --first-row and --rows in it, --first-id, --batch, --table and
    // --by: `values` for one prepared INSERT of many VALUES, `copy` for a COPY of a batch.
    explicit InsertPlan(const Arguments &arguments);

    enum class By { values, copy };

    // First row of the next batch that nobody has taken; rows() when there is none.
    std::size_t take();
    std::size_t taken() const { return std::min(next_.load(), rows_); }

    std::size_t rows() const { return rows_; }
    std::size_t batch() const { return batch_; }
    By by() const { return by_; }
    std::string statement() const;

    // The fields of a row, in a tuple of COPY.
    const char *tuple(std::size_t row) const { return tuples_.data() + row * tuple_bytes_; }
    // Those of the batch that begins there, as COPY takes them.
    Parameter batch_tuples(std::size_t first) const;
    Parameter id(std::size_t row) const { return {tuple(row) + 6, 4}; }
    Parameter vector(std::size_t row) const {
        return {tuple(row) + 14, static_cast<int>(tuple_bytes_) - 14};
    }

  private:
    std::string table_;
    By by_;
    std::size_t rows_;
    std::size_t batch_;
    std::string tuples_;
    std::size_t tuple_bytes_ = 0;
    std::atomic<std::size_t> next_{0};
};

// One session that inserts.
class Inserter {
  public:
    // Connects to --connect and begins with --insert-setup.
    Inserter(const Arguments &arguments, InsertPlan &plan);

    // Until the rows are used up, `deadline` has passed or `stop` is set.
    void run(Clock::time_point deadline, const std::atomic<bool> &stop);

    Connection &connection() { return connection_; }
    const Latencies &latencies() const { return latencies_; }
    double client_cpu_seconds() const { return client_cpu_seconds_; }

  private:
    void plan_statement();
    void insert_batch(std::size_t first);

    InsertPlan &plan_;
    Connection connection_;
    Latencies latencies_;
    std::vector<Parameter> parameters_;
    double client_cpu_seconds_ = 0;
};

}  // namespace dvec::bench
