#include "postgres/runtime/index_parts.hpp"

#include "engine/distance/compact.hpp"

namespace dvec::postgres {

bool contents_of(const IndexEntry &entry, IndexContents *contents) {
    if (entry.state.load() != IndexState::ready)
        return false;
    const distance::Kernel *kernel = entry.shape.kernel();
    if (kernel == nullptr)
        return false;
    const graph::SharedState &graph = entry.shared.graph;
    contents->layout =
        graph::layout_of(*kernel, entry.shape.dimensions, entry.shape.m, entry.shape.columns);
    contents->compact = distance::compact_bits(entry.shape.element) != 0;
    contents->generation = entry.shared.generation.load();
    contents->entries = graph.allocated.load();
    contents->deleted = graph.deleted.load();
    contents->upper_blocks = graph.upper_allocated.load();
    return true;
}

PartBytes part_bytes(const IndexContents &contents) {
    const graph::Layout &layout = contents.layout;
    const int64 length_bytes = layout.lengths == graph::Lengths::none ? 0 : sizeof(float);
    PartBytes parts{};
    parts.links = contents.entries * layout.code_offset;
    parts.codes = contents.entries * layout.code_bytes;
    (contents.compact ? parts.codes : parts.vectors) +=
        contents.entries * (layout.vector_bytes + length_bytes);
    parts.padding = contents.entries * layout.stride - parts.links - parts.codes - parts.vectors;
    parts.upper = contents.upper_blocks * layout.upper_block_bytes;
    if (layout.columns > 0)
        parts.columns = (contents.entries + graph::column_chunk_ids - 1) / graph::column_chunk_ids *
                        layout.column_chunk_bytes();
    return parts;
}

}  // namespace dvec::postgres
