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

// A row (id, v) in the binary form of COPY.
void append_tuple(std::string &buffer, std::size_t id, const float *vector, std::size_t dimensions);

// Rows in their binary form, made before the clock starts, and who takes which. Shared by threads.
class InsertPlan {
  public:
    // Reads --insert-data (fvecs), --first-row and --rows in it, --first-id, --batch and --table.
    explicit InsertPlan(const Arguments &arguments);

    // First row of the next batch that nobody has taken; rows() when there is none.
    std::size_t take();
    std::size_t taken() const { return std::min(next_.load(), rows_); }

    std::size_t rows() const { return rows_; }
    std::size_t batch() const { return batch_; }
    // One INSERT of many VALUES.
    std::string statement() const;

    Parameter id(std::size_t row) const { return {tuple(row) + 6, 4}; }
    Parameter vector(std::size_t row) const {
        return {tuple(row) + 14, static_cast<int>(tuple_bytes_) - 14};
    }

  private:
    const char *tuple(std::size_t row) const { return tuples_.data() + row * tuple_bytes_; }

    std::string table_;
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
