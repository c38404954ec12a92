// Definitions of the dvec.* settings.
#include "postgres/runtime/settings.hpp"

#include <algorithm>

#include "engine/base/file.hpp"
#include "engine/distance/isa.hpp"
#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres::settings {

int max_indexes;
int link_threads;
int tail_limit_kb;
int log_flush_threshold_kb;
int log_buffer_limit_kb;
int log_flush_interval_ms;
int log_segment_size_kb;
int checkpoint_size_kb;
int checkpoint_timeout_s;
int log_max_size_kb;
int sweep_interval_s;
int filter_memory_kb;
bool autoprewarm = true;
bool enable_partition_merge = true;
int compact_threshold;
int wal_sync;

namespace {

constexpr int mb = 1024;  // in kB, the unit of size settings

struct IntegerSetting {
    const char *name;
    const char *description;
    int *variable;
    int value;
    int min;
    int max;
    GucContext context;
    int unit;  // GUC_UNIT_*, 0 for a plain number
};

const IntegerSetting integer_settings[] = {
    {"dvec.max_indexes", "Sets how many dvec indexes can be in use at the same time.", &max_indexes,
     1024, 8, 1 << 20, PGC_POSTMASTER, 0},
    {"dvec.link_threads", "Sets how many threads the dvec worker links new rows with.",
     &link_threads, 2, 1, 64, PGC_SIGHUP, 0},
    {"dvec.tail_limit",
     "Sets the amount of not yet linked vector data at which inserting sessions wait for the "
     "dvec worker.",
     &tail_limit_kb, 16 * mb, 64, INT_MAX / 1024, PGC_SIGHUP, GUC_UNIT_KB},
    {"dvec.log_flush_threshold",
     "Sets the amount of sidecar log at which the dvec worker flushes it to disk.",
     &log_flush_threshold_kb, 256, 8, mb * 1024, PGC_SIGHUP, GUC_UNIT_KB},
    {"dvec.log_buffer_limit",
     "Sets the amount of unflushed sidecar log at which an inserting session flushes it itself.",
     &log_buffer_limit_kb, 1 * mb, 16, mb * 1024, PGC_SIGHUP, GUC_UNIT_KB},
    {"dvec.log_flush_interval", "Sets the longest time sidecar log stays unflushed.",
     &log_flush_interval_ms, 200, 1, 60000, PGC_SIGHUP, GUC_UNIT_MS},
    {"dvec.log_segment_size", "Sets the sidecar log's segment size for new indexes.",
     &log_segment_size_kb, 4 * mb, 256, mb * 1024, PGC_SUSET, GUC_UNIT_KB},
    {"dvec.checkpoint_size",
     "Sets the amount of sidecar log after which the dvec worker checkpoints an index.",
     &checkpoint_size_kb, 256 * mb, 1 * mb, INT_MAX / 1024, PGC_SIGHUP, GUC_UNIT_KB},
    {"dvec.checkpoint_timeout",
     "Sets the longest time between checkpoints of an index that changes.", &checkpoint_timeout_s,
     300, 1, 86400, PGC_SIGHUP, GUC_UNIT_S},
    {"dvec.log_max_size",
     "Sets the size of an index's sidecar log beyond which inserting sessions wait for a "
     "checkpoint.",
     &log_max_size_kb, 1024 * mb, 1 * mb, INT_MAX, PGC_SIGHUP, GUC_UNIT_KB},
    {"dvec.compact_threshold",
     "Sets the percentage of deleted entries at which the dvec worker compacts an index; 0 for "
     "never.",
     &compact_threshold, 25, 0, 100, PGC_SIGHUP, 0},
    {"dvec.sweep_interval", "Sets the time between searches for files of dropped indexes.",
     &sweep_interval_s, 60, 1, 86400, PGC_SIGHUP, GUC_UNIT_S},
    {"dvec.filter_memory",
     "Sets the memory in which a session remembers rows and conditions for searches whose "
     "conditions an index checks; 0 for none.",
     &filter_memory_kb, 0, 0, INT_MAX, PGC_USERSET, GUC_UNIT_KB},
};

const config_enum_entry wal_sync_values[] = {
    {"buffered", static_cast<int>(WalSync::buffered), false},
    {"commit", static_cast<int>(WalSync::commit), false},
    {nullptr, 0, false}};

char *simd_name;
int large_pages_kb;

bool check_simd(char **value, void **, GucSource) {
    if (std::strcmp(*value, "auto") == 0)
        return true;
    const auto isa = distance::parse_isa(*value);
    if (!isa) {
        GUC_check_errdetail("Known values are auto, scalar, neon, avx2 and avx512.");
        return false;
    }
    if (!distance::isa_supported(*isa)) {
        GUC_check_errdetail("This machine does not support %s.", *value);
        return false;
    }
    return true;
}

void assign_large_pages(int kilobytes, void *) {
    base::most_in_large_pages.store(std::uint64_t{1024} * static_cast<unsigned>(kilobytes),
                                    std::memory_order_relaxed);
}

void assign_simd(const char *value, void *) {
    distance::select_isa(distance::parse_isa(value).value_or(distance::best_isa()));
}

}  // namespace

std::uint64_t checkpoint_bytes() noexcept {
    return std::uint64_t{1024} *
           static_cast<unsigned>(std::min(checkpoint_size_kb, log_max_size_kb / 2));
}

std::uint64_t build_memory_bytes() noexcept {
    return std::uint64_t{1024} * static_cast<unsigned>(maintenance_work_mem);
}

void init() {
    for (const IntegerSetting &setting : integer_settings) {
        // A setting fixed at server start can only be defined while the server starts.
        if (setting.context == PGC_POSTMASTER && !process_shared_preload_libraries_in_progress)
            continue;
        DefineCustomIntVariable(setting.name, setting.description, nullptr, setting.variable,
                                setting.value, setting.min, setting.max, setting.context,
                                setting.unit, nullptr, nullptr, nullptr);
    }
    DefineCustomEnumVariable(
        "dvec.wal_sync", "Sets when the sidecar log of new index entries is flushed to disk.",
        "With \"commit\", before the transaction that made them commits. With \"buffered\", soon "
        "after; entries that a crash of the machine takes are found again in the table.",
        &wal_sync, static_cast<int>(WalSync::buffered), wal_sync_values, PGC_USERSET, 0, nullptr,
        nullptr, nullptr);
    DefineCustomIntVariable(
        "dvec.large_pages", "Sets the largest file of an index that is kept in large pages.",
        "Searches of large pages are faster, above all those of many sessions. What changes is "
        "written to the disk by the page, so a few rows write much of the file.",
        &large_pages_kb, 256 * mb, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_KB, nullptr, assign_large_pages,
        nullptr);
    DefineCustomBoolVariable("dvec.autoprewarm",
                             "Has the dvec worker read the indexes that were searched into memory "
                             "when the server starts.",
                             nullptr, &autoprewarm, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable(
        "dvec.enable_partition_merge",
        "Enables plans that search the shards of a partitioned table all at once.", nullptr,
        &enable_partition_merge, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("dvec.simd", "Sets the instruction set of the distance functions.",
                               nullptr, &simd_name, "auto", PGC_SUSET, 0, check_simd, assign_simd,
                               nullptr);
    MarkGUCPrefixReserved("dvec");
}

}  // namespace dvec::postgres::settings
