// Pages of a table on which VACUUM has freed line pointers, so that entries of the index lead
// nowhere. They are gone through from the begin of the table to its end, again and again, a few at
// a time: a VACUUM may touch all pages of a table, and no search has to wait for it.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace dvec::postgres {

class VacuumedPages {
  public:
    bool empty() const noexcept { return count_ == 0; }

    // Whether the next one is the first of a new round: all that were added before the present
    // round began have been handed out.
    bool at_begin() const noexcept { return hand_ == 0; }

    void add(std::uint32_t page) {
        const std::size_t word = page / 64;
        if (word >= bits_.size())
            bits_.resize(word + 1);
        const std::uint64_t bit = std::uint64_t{1} << page % 64;
        count_ += (bits_[word] & bit) == 0 ? 1 : 0;
        bits_[word] |= bit;
    }

    // At most `most` and up to 63 more, ascending; fewer only at the end of a round.
    std::vector<std::uint32_t> take(std::size_t most) {
        std::vector<std::uint32_t> pages;
        for (; count_ > 0 && hand_ < bits_.size() && pages.size() < most; ++hand_) {
            for (std::uint64_t left = bits_[hand_]; left != 0; left &= left - 1, --count_)
                pages.push_back(static_cast<std::uint32_t>(64 * hand_) +
                                static_cast<std::uint32_t>(std::countr_zero(left)));
            bits_[hand_] = 0;
        }
        if (count_ == 0 || hand_ == bits_.size())
            hand_ = 0;
        return pages;
    }

    // Those that were taken last could not be read: the round goes on with them.
    void put_back(const std::vector<std::uint32_t> &pages) {
        if (pages.empty())
            return;
        hand_ = pages.front() / 64;
        for (const std::uint32_t page : pages)
            add(page);
    }

    void clear() noexcept {
        bits_.clear();
        hand_ = 0;
        count_ = 0;
    }

  private:
    std::vector<std::uint64_t> bits_;
    std::size_t hand_ = 0;  // the word that comes next
    std::size_t count_ = 0;
};

}  // namespace dvec::postgres
