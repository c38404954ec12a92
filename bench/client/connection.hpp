// One session over libpq: prepared statements with binary parameters and results, and binary COPY.
// An error of the server ends the program, since a measurement with errors is none.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dvec::bench {

struct ResultDeleter {
    void operator()(PGresult *result) const { PQclear(result); }
};

using ResultPointer = std::unique_ptr<PGresult, ResultDeleter>;

// Appends the binary form of a vector: dimensions and a zero as 16-bit integers, then the elements,
// all in network byte order.
void append_vector(std::string &buffer, const float *elements, std::size_t dimensions);

void append_int16(std::string &buffer, std::int16_t value);
void append_int32(std::string &buffer, std::int32_t value);

// Bytes in binary form, not owned.
struct Parameter {
    const char *data;
    int bytes;
};

// For one thread.
class Connection {
  public:
    // `setup` is run first; empty for none.
    Connection(const std::string &settings, const std::string &setup);

    pid_t backend() const { return PQbackendPID(connection_.get()); }

    // Object id of a type, by name.
    Oid type(const std::string &name);

    ResultPointer run(const std::string &sql);
    double number(const std::string &sql);

    void prepare(const std::string &name, const std::string &sql, const std::vector<Oid> &types);
    ResultPointer execute(const char *name, const std::vector<Parameter> &parameters);

    // COPY ... FROM STDIN of the rows in `data`, which has no header and no trailer.
    void copy(const std::string &sql, const Parameter &data);

  private:
    struct Closer {
        void operator()(PGconn *connection) const { PQfinish(connection); }
    };

    ResultPointer checked(PGresult *result, const std::string &what);

    std::unique_ptr<PGconn, Closer> connection_;
    // Scratch of execute().
    std::vector<const char *> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
};

// The first column of every row, as a binary int4.
void read_ids(const PGresult *result, std::vector<std::int32_t> &ids);

}  // namespace dvec::bench
