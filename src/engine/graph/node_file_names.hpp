// The names of an index's node files: one of these, and the generation.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace dvec::graph {

inline constexpr std::string_view nodes_prefix = "nodes.";
inline constexpr std::string_view upper_prefix = "upper.";
inline constexpr std::string_view columns_prefix = "columns.";
inline constexpr std::string_view link_codes_prefix = "linkcodes.";
inline constexpr std::array node_file_prefixes{nodes_prefix, upper_prefix, columns_prefix,
                                               link_codes_prefix};

constexpr bool is_node_file(std::string_view name) {
    return std::ranges::any_of(
        node_file_prefixes, [name](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace dvec::graph
