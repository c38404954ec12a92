// Decides when linking had better wait, by telling a burst of inserts from a stream. Linking a row
// takes many times the processor time of inserting it, so on a machine with few cores rows are
// inserted far more slowly while others are linked at the same time. A burst is over sooner when
// linking waits for its end. A stream has no end, so linking must keep up with it.
#pragma once

#include <cstdint>

namespace dvec::store {

// Watches one index for the party that links it. Works on the values it is given alone: it reads no
// clock and no shared memory.
class LinkDelay {
  public:
    // What the index looks like at one moment. Times in microseconds.
    struct Look {
        std::int64_t time = 0;
        std::uint32_t allocated = 0;   // ids given out so far
        std::uint64_t tail_bytes = 0;  // of vectors that are not linked
        std::uint64_t tail_limit = 0;  // at which inserting sessions wait for linking
    };

    // Whether linking should wait; to be asked again in a few milliseconds. It should wait for
    // `patience` after the first rows that arrive after a while without any, since more may follow.
    // Then it should wait while at least `fast_rows` arrive in a `window`, but for no longer than
    // `longest` after the burst began: what lasts longer is a stream, until no rows have come fast
    // for `rest`. It should never wait when the tail, which every search scans, has reached 1 /
    // `tail_share` of its limit.
    bool should_wait(const Look &now) noexcept;

    static constexpr std::int64_t patience = 2'000;
    static constexpr std::int64_t window = 10'000;
    static constexpr std::uint32_t fast_rows = 64;
    static constexpr std::int64_t longest = 100'000;
    static constexpr std::int64_t rest = 500'000;
    static constexpr std::uint64_t tail_share = 4;

  private:
    void note_arrivals(const Look &now) noexcept;

    // Far enough in the past at first.
    static constexpr std::int64_t never = -1'000'000'000;

    std::int64_t window_begin_ = never;
    std::uint32_t allocated_before_ = 0;  // the window
    std::int64_t slow_at_ = never;        // when a few rows were seen to have come, after none
    std::int64_t fast_at_ = never;        // when rows were last seen to come fast
    std::int64_t begin_ = never;          // of the burst or stream
};

}  // namespace dvec::store
