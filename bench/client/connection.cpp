// See connection.hpp.
#include "bench/client/connection.hpp"

#include <arpa/inet.h>

#include <bit>
#include <cstring>

#include "bench/client/arguments.hpp"

namespace dvec::bench {

namespace {

// "PGCOPY\n\377\r\n\0", flags, length of an extension that there is none of.
constexpr char copy_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
constexpr int copy_header_bytes = 19;
constexpr char copy_trailer[] = "\377\377";

}  // namespace

void append_int16(std::string &buffer, std::int16_t value) {
    const std::uint16_t network = htons(static_cast<std::uint16_t>(value));
    buffer.append(reinterpret_cast<const char *>(&network), sizeof network);
}

void append_int32(std::string &buffer, std::int32_t value) {
    const std::uint32_t network = htonl(static_cast<std::uint32_t>(value));
    buffer.append(reinterpret_cast<const char *>(&network), sizeof network);
}

void append_vector(std::string &buffer, const float *elements, std::size_t dimensions) {
    append_int16(buffer, static_cast<std::int16_t>(dimensions));
    append_int16(buffer, 0);
    for (std::size_t i = 0; i < dimensions; ++i)
        append_int32(buffer, std::bit_cast<std::int32_t>(elements[i]));
}

Connection::Connection(const std::string &settings, const std::string &setup)
    : connection_(PQconnectdb(settings.c_str())) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
        fail(PQerrorMessage(connection_.get()));
    if (!setup.empty())
        run(setup);
}

ResultPointer Connection::checked(PGresult *result, const std::string &what) {
    ResultPointer owned(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_IN)
        fail(what + ": " + PQerrorMessage(connection_.get()));
    return owned;
}

ResultPointer Connection::run(const std::string &sql) {
    return checked(PQexec(connection_.get(), sql.c_str()), sql);
}

double Connection::number(const std::string &sql) {
    const ResultPointer result = run(sql);
    if (PQntuples(result.get()) != 1)
        fail(sql + ": not one row");
    return std::strtod(PQgetvalue(result.get(), 0, 0), nullptr);
}

Oid Connection::type(const std::string &name) {
    return static_cast<Oid>(number("SELECT '" + name + "'::regtype::oid"));
}

void Connection::prepare(const std::string &name, const std::string &sql,
                         const std::vector<Oid> &types) {
    checked(PQprepare(connection_.get(), name.c_str(), sql.c_str(), static_cast<int>(types.size()),
                      types.data()),
            sql);
}

ResultPointer Connection::execute(const char *name, const std::vector<Parameter> &parameters) {
    const std::size_t count = parameters.size();
    values_.resize(count);
    lengths_.resize(count);
    formats_.assign(count, 1);
    for (std::size_t i = 0; i < count; ++i) {
        values_[i] = parameters[i].data;
        lengths_[i] = parameters[i].bytes;
    }
    return checked(PQexecPrepared(connection_.get(), name, static_cast<int>(count), values_.data(),
                                  lengths_.data(), formats_.data(), 1),
                   name);
}

void Connection::copy(const std::string &sql, const Parameter &data) {
    run(sql);
    PGconn *connection = connection_.get();
    if (PQputCopyData(connection, copy_header, copy_header_bytes) != 1 ||
        PQputCopyData(connection, data.data, data.bytes) != 1 ||
        PQputCopyData(connection, copy_trailer, 2) != 1 || PQputCopyEnd(connection, nullptr) != 1)
        fail(sql + ": " + PQerrorMessage(connection));
    while (PGresult *result = PQgetResult(connection))
        checked(result, sql);
}

void read_ids(const PGresult *result, std::vector<std::int32_t> &ids) {
    ids.clear();
    for (int row = 0; row < PQntuples(result); ++row) {
        std::uint32_t network;
        if (PQgetlength(result, row, 0) != static_cast<int>(sizeof network))
            fail("the first column is not an integer");
        std::memcpy(&network, PQgetvalue(result, row, 0), sizeof network);
        ids.push_back(static_cast<std::int32_t>(ntohl(network)));
    }
}

}  // namespace dvec::bench
