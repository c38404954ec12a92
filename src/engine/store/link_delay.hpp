// When linking had better wait: it tells a burst of inserts from a stream. Linking a row takes many
// times the processor time of inserting it, so on a machine with few cores rows arrive far more
// slowly while others are linked beside them. A burst is over sooner when linking waits for its
// end. A stream, which has no end, must be kept up with.
#pragma once

#include <cstdint>

namespace dvec::store {

// Watches one index for the one who links it. Values only: no clock, no shared memory.
class LinkDelay {
  public:
    // What the index looks like at one moment. Times in microseconds.
    struct Look {
        std::int64_t time = 0;
        std::uint32_t allocated = 0;   // ids given out so far
        std::uint64_t tail_bytes = 0;  // of vectors that are not linked
        std::uint64_t tail_limit = 0;  // at which inserting sessions wait for linking
    };

    // Whether linking should wait, to be asked again in a few milliseconds: for `patience` after
    // the first rows since a while, which may be the first of many; then while at least
    // `fast_rows` arrive in a `window`, but not later than `longest` after the first of them: what
    // goes on then is a stream, until there was a `rest`. Never when the tail, which every search
    // scans, has reached a `tail_share`th of its limit.
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
