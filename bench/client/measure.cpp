// See measure.hpp. Everything about other processes comes from /proc.
#include "bench/client/measure.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <sstream>
#include <string_view>

namespace dvec::bench {

namespace {

constexpr double kilobyte = 1024;

std::string slurp(const std::string &path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

struct Stat {
    pid_t parent = 0;
    double cpu_seconds = 0;
    double children_cpu_seconds = 0;  // of children that have ended
};

std::optional<Stat> read_stat(const std::string &process) {
    const std::string text = slurp("/proc/" + process + "/stat");
    // The second field is a name in parentheses that may hold anything.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    std::string skipped;
    Stat stat;
    fields >> skipped >> stat.parent;
    for (int i = 0; i < 9; ++i)
        fields >> skipped;
    double user = 0;
    double system = 0;
    double children_user = 0;
    double children_system = 0;
    fields >> user >> system >> children_user >> children_system;
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    stat.cpu_seconds = (user + system) / ticks;
    stat.children_cpu_seconds = (children_user + children_system) / ticks;
    return stat;
}

double kilobytes_of(const std::string &line) {
    return std::strtod(line.c_str() + line.find(':') + 1, nullptr) * kilobyte;
}

}  // namespace

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double thread_cpu_seconds() {
    timespec now;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double process_cpu_seconds(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/schedstat");
    double nanoseconds = 0;
    if (file >> nanoseconds && nanoseconds > 0)
        return nanoseconds * 1e-9;
    const std::optional<Stat> stat = read_stat(std::to_string(process));
    return stat ? stat->cpu_seconds : 0;
}

double process_read_bytes(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/io");
    constexpr std::string_view name = "read_bytes: ";
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name))
            return std::strtod(line.c_str() + name.size(), nullptr);
    return 0;
}

double server_cpu_seconds(pid_t postmaster) {
    double sum = 0;
    for (const auto &entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); }))
            continue;
        const std::optional<Stat> stat = read_stat(name);
        if (stat && stat->parent == postmaster)
            sum += stat->cpu_seconds;
        else if (stat && name == std::to_string(postmaster))
            sum += stat->cpu_seconds + stat->children_cpu_seconds;
    }
    return sum;
}

Memory process_memory(pid_t process) {
    Memory memory;
    std::ifstream maps("/proc/" + std::to_string(process) + "/smaps");
    bool shared = false;
    bool sidecar = false;
    for (std::string line; std::getline(maps, line);) {
        // The head of a mapping begins with its addresses, its facts with a capital letter.
        if (!std::isupper(static_cast<unsigned char>(line[0]))) {
            const std::string permissions = line.substr(line.find(' ') + 1, 4);
            shared = permissions.back() == 's';
            sidecar = line.find("/dvec/") != std::string::npos;
        } else if (!shared && line.starts_with("Private_") && !line.starts_with("Private_H")) {
            memory.private_bytes += kilobytes_of(line);
        } else if (shared && line.starts_with("Rss:")) {
            memory.shared_bytes += kilobytes_of(line);
            memory.sidecar_bytes += sidecar ? kilobytes_of(line) : 0;
        }
    }
    if (memory.private_bytes == 0)
        fail("cannot read the memory of process " + std::to_string(process));
    return memory;
}

void Latencies::add(const Latencies &others) {
    values_.insert(values_.end(), others.values_.begin(), others.values_.end());
}

void Latencies::report(Report &report) {
    if (values_.empty())
        return;
    std::sort(values_.begin(), values_.end());
    // The nearest-rank definition: the least value that the given part of all does not exceed.
    const auto percentile = [&](double part) {
        const double rank = std::ceil(part * static_cast<double>(values_.size()));
        return static_cast<double>(values_[static_cast<std::size_t>(std::max(1.0, rank)) - 1]);
    };
    const double sum = std::accumulate(values_.begin(), values_.end(), 0.0);
    report.add("mean_us", sum / static_cast<double>(values_.size()));
    report.add("p50_us", percentile(0.5));
    report.add("p95_us", percentile(0.95));
    report.add("p99_us", percentile(0.99));
    report.add("max_us", static_cast<double>(values_.back()));
}

}  // namespace dvec::bench
