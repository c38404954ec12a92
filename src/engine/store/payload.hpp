// What an insert record carries: its payload is [PayloadHead][keys][vector].
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/graph/format.hpp"
#include "engine/graph/row.hpp"

namespace dvec::store {

struct PayloadHead {
    std::uint32_t block;
    std::uint16_t offset;
    std::uint16_t reserved;
};
static_assert(sizeof(PayloadHead) == 8);

// What stands before the vector.
class PayloadFront {
  public:
    static constexpr std::size_t bytes_with(std::uint32_t columns) {
        return sizeof(PayloadHead) + columns * sizeof(std::uint64_t);
    }

    PayloadFront(graph::Tid tid, const std::uint64_t *keys, std::uint32_t columns) noexcept
        : columns_(columns), image_{{tid.block, tid.offset, 0}, {}} {
        std::copy_n(keys, columns, image_.keys);
    }
    // From a record, which need not be aligned and holds at least bytes_with(columns).
    PayloadFront(const std::byte *record, std::uint32_t columns) noexcept : columns_(columns) {
        std::memcpy(static_cast<void *>(&image_), record, bytes_with(columns));
    }

    graph::Tid tid() const noexcept { return {image_.head.block, image_.head.offset}; }
    const std::uint64_t *keys() const noexcept { return image_.keys; }
    std::span<const std::byte> bytes() const noexcept {
        return std::as_bytes(std::span(&image_, 1)).first(bytes_with(columns_));
    }

  private:
    struct Image {
        PayloadHead head;
        std::uint64_t keys[graph::max_columns];
    };
    static_assert(sizeof(Image) == sizeof(PayloadHead) + sizeof(Image::keys));

    std::uint32_t columns_;
    Image image_{};
};

}  // namespace dvec::store
