// The calling process scans the heap and copies vectors into mapped files; the engine's threads
// link them as they come. The files are in memory until they are whole, or outgrow
// maintenance_work_mem. The threads know nothing of PostgreSQL. They must be stopped on every way
// out of here, an ERROR as well as the end of the process, before the memory they use is gone.
#include "postgres/relation/build_sidecar.hpp"

#include "engine/store/builder.hpp"
#include "engine/store/page_rows.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/row_reader.hpp"
#include "postgres/relation/usual_rows.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

struct Build {
    IndexFile file;
    store::Builder *builder;  // owned; freed by stop_build
    Relation index;
    RowReader reader;
    RepairProgress *repair;     // null for CREATE INDEX
    store::PageRows page_rows;  // of a repair
    double index_tuples;
    RowJudge judge;
    bool only_usual_rows;
    bool told_outgrown;
};

void stop_build(int, Datum argument) {
    auto *build = reinterpret_cast<Build *>(DatumGetPointer(argument));
    delete build->builder;
    build->builder = nullptr;
}

// What a build that failed leaves would take its space until the relation's file number is free
// again, which is after a checkpoint of the server. Nobody believes a folder without a checkpoint.
void abandon_build(int code, Datum argument) {
    stop_build(code, argument);
    const auto *build = reinterpret_cast<Build *>(DatumGetPointer(argument));
    (void)base::guarded(
        [&] { return base::posix_file_system().remove_directory(index_directory(build->file)); });
}

// A folder that is there belongs to an earlier life of this file number, or cannot be believed.
base::Status clear_folder(const std::string &directory) {
    base::FileSystem &files = base::posix_file_system();
    auto root = files.make_directory(sidecar_root);
    if (!root.ok() && root.code() != base::Code::already_exists)
        return root;
    auto exists = files.exists(directory);
    DVEC_TRY(exists);
    return exists.value() ? files.remove_directory(directory) : base::Status();
}

store::Builder *start_builder(const store::Shape &shape, const IndexFile &file,
                              std::uint64_t memory) {
    const auto threads = static_cast<unsigned>(max_parallel_maintenance_workers) + 1;
    return value_or_raise([&]() -> base::Result<store::Builder *> {
        return base::guarded([&]() -> base::Result<store::Builder *> {
            const store::Description description{shape, index_directory(file)};
            const FolderCreation no_sweep;
            DVEC_TRY(clear_folder(description.directory));
            auto builder =
                store::Builder::create(base::posix_file_system(), description, threads, memory);
            DVEC_TRY(builder);
            return builder.value().release();
        });
    });
}

// A repair may happen within any command, whose own progress it must not touch.
void show_progress(const Build *build, int parameter, int64 value) {
    if (build->repair == nullptr)
        pgstat_progress_update_param(parameter, value);
}

// Whether the row has its entry already. Nobody else writes to the table of a CREATE INDEX.
bool came_before(Build *build, ItemPointer tid) {
    if (build->repair == nullptr)
        return false;
    build->repair->pages_done.store(ItemPointerGetBlockNumber(tid), std::memory_order_relaxed);
    return !build->page_rows.note(engine_tid(tid));
}

void wait_a_moment() {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
                    wait_event(WaitFor::build));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// The first sentence and the hint are pgvector's. Who waits for a repair has not asked for it.
void tell_outgrown(Build *build) {
    if (build->told_outgrown || build->repair != nullptr)
        return;
    const auto outgrown = build->builder->outgrown();
    if (!outgrown)
        return;
    build->told_outgrown = true;
    const unsigned rows = outgrown->rows;
    if (outgrown->system_short)
        ereport(NOTICE,
                (errmsg("hnsw graph no longer fits into free memory after %u tuples", rows),
                 errdetail(
                     "It goes on in files, whose pages the system may write to disk many times.")));
    else
        ereport(
            NOTICE,
            (errmsg("hnsw graph no longer fits into maintenance_work_mem after %u tuples", rows),
             errdetail("It goes on in files, whose pages the system may write to disk many times."),
             errhint("Increase maintenance_work_mem to speed up builds.")));
}

// Room may have to be made by moving the files out of memory, which takes its time.
void add_row(Build *build, ItemPointer tid, const Datum *values, const bool *is_null) {
    const RowEncoder::Row row = build->reader.encoder.encode(values, is_null);
    if (row.bytes == nullptr)
        return;
    while (!value_or_raise([&] {
        return build->builder->try_add(engine_tid(tid), {row.bytes, row.keys});
    }))
        wait_a_moment();
    tell_outgrown(build);
    build->index_tuples += 1;
    show_progress(build, PROGRESS_CREATEIDX_TUPLES_DONE, build->builder->linked());
}

void take_row(Relation, ItemPointer tid, Datum *values, bool *isnull, bool, void *state) {
    guarded([=] {
        auto *build = static_cast<Build *>(state);
        if (isnull[0]) {
            build->only_usual_rows = false;
            return;
        }
        if (came_before(build, tid))
            return;
        in_row_context(build->reader.row_context, [=] {
            build->only_usual_rows =
                build->only_usual_rows && is_usual(&build->judge, values[0], isnull[0]);
            add_row(build, tid, values, isnull);
        });
    });
}

double scan_heap(Build *build, Relation heap, IndexInfo *index_info) {
    if (build->repair == nullptr)
        return table_index_build_scan(heap, build->index, index_info, true, true, take_row, build,
                                      nullptr);
    const BlockNumber pages = RelationGetNumberOfBlocks(heap);
    build->repair->pages.store(pages);
    const double rows = table_index_build_range_scan(heap, build->index, index_info, false, true,
                                                     false, 0, pages, take_row, build, nullptr);
    build->repair->pages_done.store(pages);
    return rows;
}

void enter_phase(const Build *build, BuildPhase phase) {
    show_progress(build, PROGRESS_CREATEIDX_SUBPHASE, static_cast<int64>(phase));
}

void wait_for_builder(Build *build) {
    build->builder->finish_adding();
    while (!build->builder->done()) {
        wait_a_moment();
        show_progress(build, PROGRESS_CREATEIDX_TUPLES_DONE, build->builder->linked());
        if (build->builder->writing())
            enter_phase(build, BuildPhase::store);
    }
    tell_outgrown(build);
}

void complete(Build *build, XLogRecPtr reconcile_lsn) {
    ok_or_raise([=] {
        ServerWalFlusher wal;
        return build->builder->complete(
            wal, {.server_start = registry()->server_start, .reconcile_lsn = reconcile_lsn});
    });
}

double fill(Build *build, Relation heap, IndexInfo *index_info) {
    enter_phase(build, BuildPhase::load);
    show_progress(build, PROGRESS_CREATEIDX_TUPLES_TOTAL,
                  heap->rd_rel->reltuples > 0 ? static_cast<int64>(heap->rd_rel->reltuples) : 0);
    const XLogRecPtr begin = end_of_wal();
    const double heap_tuples = scan_heap(build, heap, index_info);
    enter_phase(build, BuildPhase::link);
    show_progress(build, PROGRESS_CREATEIDX_TUPLES_TOTAL, build->builder->added());
    wait_for_builder(build);
    enter_phase(build, BuildPhase::store);
    // No entry may be ahead of its row: a crash must not take back what the files say.
    flush_wal();
    complete(build, begin);
    return heap_tuples;
}

}  // namespace

void make_empty_sidecar(Relation index, const store::Shape &shape) {
    Build build{};
    RepairProgress nobody_looks;
    build.repair = &nobody_looks;
    build.file = compat::file_name(index);
    with_error_cleanup(abandon_build, PointerGetDatum(&build), [&] {
        build.builder = start_builder(shape, build.file, 0);
        wait_for_builder(&build);
        complete(&build, 0);
    });
    stop_build(0, PointerGetDatum(&build));
}

BuildResult build_sidecar(Relation heap, Relation index, IndexInfo *index_info,
                          const store::Shape &shape, RowSource rows) {
    Build build{};
    build.repair = rows.repair;
    build.index = index;
    build.reader = row_reader(index, shape);
    build.judge = row_judge(index);
    build.only_usual_rows = true;
    build.file = compat::file_name(index);

    BuildResult result{};
    with_error_cleanup(abandon_build, PointerGetDatum(&build), [&] {
        build.builder = start_builder(shape, build.file, settings::build_memory_bytes());
        result.heap_tuples = fill(&build, heap, index_info);
    });
    stop_build(0, PointerGetDatum(&build));
    MemoryContextDelete(build.reader.row_context);
    result.index_tuples = build.index_tuples;
    result.only_usual_rows = build.only_usual_rows;
    return result;
}

}  // namespace dvec::postgres
