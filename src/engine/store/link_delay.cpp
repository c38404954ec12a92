// Looks come at irregular times, since the party that links may be busy, or sleep, for many
// windows. So rows are counted from look to look, and what counts is their number in proportion to
// the time that has passed.
#include "engine/store/link_delay.hpp"

#include <algorithm>

namespace dvec::store {

// A window ends early when enough rows have arrived in it, so that a burst is seen at once.
void LinkDelay::note_arrivals(const Look &now) noexcept {
    const std::int64_t passed = now.time - window_begin_;
    // After a compaction fewer ids are allocated than before.
    allocated_before_ = std::min(allocated_before_, now.allocated);
    const std::uint32_t rows = now.allocated - allocated_before_;
    const bool fast = rows >= fast_rows && passed * fast_rows <= window * rows;
    if (!fast && passed <= window)
        return;
    if (fast)
        fast_at_ = now.time;
    else if (rows > 0)
        slow_at_ = now.time;
    window_begin_ = now.time;
    allocated_before_ = now.allocated;
}

bool LinkDelay::should_wait(const Look &now) noexcept {
    // A clock that was set back must not make anybody wait until it has caught up.
    if (now.time < window_begin_)
        *this = LinkDelay();
    note_arrivals(now);
    const bool fast = now.time - fast_at_ <= window;
    if (now.time - fast_at_ > rest)
        begin_ = never;
    else if (begin_ == never)
        begin_ = now.time;
    if (now.tail_bytes >= now.tail_limit / tail_share)
        return false;
    return fast ? now.time - begin_ < longest : now.time - slow_at_ < patience;
}

}  // namespace dvec::store
