// Linux gives every boot a random UUID; a digest of it is enough to tell two boots apart.
#include "engine/store/boot_id.hpp"

#include <array>

namespace dvec::store {

std::uint64_t current_boot_id(base::FileSystem &file_system) {
    auto file = file_system.open("/proc/sys/kernel/random/boot_id", base::OpenMode::read_only);
    if (!file.ok())
        return 0;
    std::array<char, 36> text{};
    if (!file.value()->read(0, text.data(), text.size()).ok())
        return 0;
    // FNV-1a, 64 bits.
    std::uint64_t digest = 0xcbf29ce484222325u;
    for (const char c : text)
        digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return digest == 0 ? 1 : digest;
}

}  // namespace dvec::store
