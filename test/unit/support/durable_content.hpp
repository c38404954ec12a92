// What the disk holds of one file while the page cache holds something newer: the model behind
// CrashFileSystem. A disk keeps pages, not files: after a power loss each page is the one of the
// last write-back, the newer one, or sectors of both, independently of its neighbours and of the
// file's size.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <vector>

namespace dvec::test {

inline constexpr std::size_t disk_page_bytes = 4096;
inline constexpr std::size_t disk_sector_bytes = 512;

using DiskPage = std::array<char, disk_page_bytes>;

// One page of a file's bytes, filled up with zeros behind the end.
inline DiskPage page_of(std::span<const char> bytes, std::uint64_t number) {
    DiskPage page{};
    const std::uint64_t begin = number * disk_page_bytes;
    if (begin < bytes.size())
        std::memcpy(page.data(), bytes.data() + begin,
                    std::min<std::size_t>(disk_page_bytes, bytes.size() - begin));
    return page;
}

// Whether a page of a file's bytes is this one.
inline bool same_page(const DiskPage &page, std::span<const char> bytes, std::uint64_t number) {
    const std::uint64_t begin = number * disk_page_bytes;
    if (begin + disk_page_bytes <= bytes.size())
        return std::memcmp(page.data(), bytes.data() + begin, disk_page_bytes) == 0;
    return page == page_of(bytes, number);
}
inline bool is_zero_page(std::span<const char> bytes, std::uint64_t number) {
    static constexpr DiskPage zeros{};
    return same_page(zeros, bytes, number);
}

inline std::uint64_t pages_in(std::uint64_t bytes) {
    return (bytes + disk_page_bytes - 1) / disk_page_bytes;
}

class DurableContent {
  public:
    std::uint64_t size() const { return size_; }

    // A sync that succeeds. What an earlier failed one gave up stays lost unless it was written
    // again since.
    void sync(std::span<const char> present) {
        for_each_difference(present, [&](std::uint64_t number, const DiskPage &now) {
            const auto lost = given_up_.find(number);
            if (lost != given_up_.end() && lost->second == now)
                return;
            store(number, now);
        });
        size_ = present.size();
    }

    // A sync that fails, as Linux does it: the pages it could not write count as clean from then
    // on, so that the next sync does not try them again.
    void fail_sync(std::span<const char> present) {
        for_each_difference(
            present, [&](std::uint64_t number, const DiskPage &now) { given_up_[number] = now; });
    }

    // The kernel writes back some pages on its own.
    void write_back(std::span<const char> present, std::mt19937 &random) {
        for_each_difference(present, [&](std::uint64_t number, const DiskPage &now) {
            if (random() % 3 == 0)
                store(number, now);
        });
    }

    // The file after a power loss.
    std::vector<char> after_power_loss(std::span<const char> present, std::mt19937 &random) const {
        const std::uint64_t size = random() % 2 == 0 ? size_ : present.size();
        std::vector<char> bytes(size);
        const auto put = [&bytes](std::uint64_t number, const DiskPage &page) {
            const std::uint64_t begin = number * disk_page_bytes;
            if (begin < bytes.size())
                std::memcpy(bytes.data() + begin, page.data(),
                            std::min<std::size_t>(disk_page_bytes, bytes.size() - begin));
        };
        for (const auto &[number, page] : pages_)
            put(number, page);
        for_each_difference(present, [&](std::uint64_t number, const DiskPage &now) {
            switch (random() % 3) {
                case 0:
                    return;
                case 1:
                    return put(number, now);
                default:
                    return put(number, torn(page(number), now, random));
            }
        });
        return bytes;
    }

  private:
    static DiskPage torn(DiskPage old, const DiskPage &now, std::mt19937 &random) {
        for (std::size_t sector = 0; sector < disk_page_bytes; sector += disk_sector_bytes)
            if (random() % 2 == 0)
                std::memcpy(old.data() + sector, now.data() + sector, disk_sector_bytes);
        return old;
    }

    DiskPage page(std::uint64_t number) const {
        const auto found = pages_.find(number);
        return found == pages_.end() ? DiskPage{} : found->second;
    }

    void store(std::uint64_t number, const DiskPage &page) {
        given_up_.erase(number);
        if (is_zero_page(page, 0))
            pages_.erase(number);
        else
            pages_[number] = page;
    }

    // Calls visit(number, present page) for every page that the disk has otherwise.
    template <class Visit>
    void for_each_difference(std::span<const char> present, Visit visit) const {
        const std::uint64_t last =
            std::max(pages_in(present.size()), pages_.empty() ? 0 : pages_.rbegin()->first + 1);
        auto durable = pages_.begin();
        for (std::uint64_t number = 0; number < last; ++number) {
            const bool stored = durable != pages_.end() && durable->first == number;
            // The visitor may change the page just compared.
            const auto current = stored ? durable++ : pages_.end();
            if (stored ? same_page(current->second, present, number)
                       : is_zero_page(present, number))
                continue;
            visit(number, page_of(present, number));
        }
    }

    std::map<std::uint64_t, DiskPage> pages_;     // those that are not all zero
    std::map<std::uint64_t, DiskPage> given_up_;  // as they were when a sync of them failed
    std::uint64_t size_ = 0;
};

}  // namespace dvec::test
