// Rows as the server's scan of a table hands them over for an index (IndexBuildCallback): each is
// encoded in a memory context that is emptied behind it, and given to whoever reads the table.
#pragma once

#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/relation/row_encoder.hpp"

namespace dvec::postgres {

// Runs `body` in a context that is emptied behind it. An ERROR leaves both to whoever catches it.
template <class Body>
void in_row_context(MemoryContext row_context, const Body &body) {
    const MemoryContext caller = MemoryContextSwitchTo(row_context);
    body();
    MemoryContextSwitchTo(caller);
    MemoryContextReset(row_context);
}

struct RowReader {
    RowEncoder encoder;
    MemoryContext row_context;

    // Calls `use` with the row, if it has a place in the index. What is allocated in there is gone
    // afterwards.
    template <class Use>
    void read(const Datum *values, const bool *is_null, const Use &use) const {
        if (is_null[0])
            return;
        guarded([&] {
            in_row_context(row_context, [&] {
                const RowEncoder::Row row = encoder.encode(values, is_null);
                if (row.bytes != nullptr)
                    use(row);
            });
        });
    }
};

// Its context is a child of the current one.
inline RowReader row_reader(Relation index, const store::Shape &shape) {
    return {row_encoder(index, shape),
            AllocSetContextCreate(CurrentMemoryContext, "dvec row", ALLOCSET_DEFAULT_SIZES)};
}

}  // namespace dvec::postgres
