// What one index is: fixed when it is created, kept in PostgreSQL's own metapage, and repeated in
// the sidecar's checkpoint so that a folder found on disk can prove whose it is.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/file.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/format.hpp"

namespace dvec::store {

// Whose sidecar a folder is. When it belongs to another index (of a copied database, or with a file
// number that is used again), its contents are of no use. When it belongs to this index on another
// cluster (pg_upgrade keeps all but the system identifier), its contents have to be compared with
// the table (survival.hpp).
struct Owner {
    std::uint64_t identity = 0;  // random, made by CREATE INDEX, never 0
    std::uint64_t system = 0;    // the cluster's system identifier
    std::uint32_t database = 0;
    std::uint32_t relation = 0;  // the index's file number
    // The index's own file in PostgreSQL's storage, without its mount; all zero when not known. In
    // a copy of a database all of the above is the same, and only this is not.
    base::FileIdentity file{};
    bool same_index(const Owner &other) const noexcept {
        return identity == other.identity && database == other.database &&
               relation == other.relation;
    }
};

// Everything about an index but where it is. Plain data: it can live in shared memory.
struct Shape {
    Owner owner;
    distance::Element element = distance::Element::float32;
    distance::Metric metric = distance::Metric::l2_squared;
    std::uint32_t dimensions = 0;
    std::uint32_t m = 16;
    std::uint32_t ef_construction = 64;
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;  // of a log segment
    std::uint32_t columns = 0;  // behind the vector, up to graph::max_columns

    // The kernel for element and metric; nullptr when this build does not know the pair.
    const distance::Kernel *kernel() const noexcept {
        return distance::find_kernel(element, metric);
    }
};

struct Description : Shape {
    std::string directory;
};

}  // namespace dvec::store
