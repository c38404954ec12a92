// The names of an index's node files: one of these, and the generation.
#pragma once

#include <array>
#include <string_view>

namespace dvec::graph {

inline constexpr std::string_view nodes_prefix = "nodes.";
inline constexpr std::string_view upper_prefix = "upper.";
inline constexpr std::string_view columns_prefix = "columns.";
inline constexpr std::array node_file_prefixes{nodes_prefix, upper_prefix, columns_prefix};

}  // namespace dvec::graph
