"""What is measured, section by section, but for restarts, which have a module of their own. Each function
gets a Bench and puts numbers into its results."""

import collections
import json
import re
import subprocess

from harness import data
from harness.plan import BUILD, RECALL_EFS

Bench = collections.namedtuple("Bench", "scale datasets peers results say")

# The vectors of a connection's or a mixture's searches are asked for with this ef.
EF = 40

# Builds with less effort than the common ef_construction; 2 m is the least that an index takes.
EFFORTS = (32, 48)

# Variants of inserting. Where commits do not wait for the disk, its latency hides no work.
CHECKPOINTED = "after a checkpoint"
ASYNCHRONOUS = "asynchronous commit"


def in_rounds(count, measure):
    return [measure() for _ in range(count)]


def build(bench):
    """Time, processor time and size of each index, and what its graph is worth at a common ef. Peers are
    compared at equal recall as well, so dvec also builds with less effort. The last index of each, which the other
    sections search, has the common ef_construction."""
    for dataset in bench.datasets:
        files = data.ensure(dataset)
        for peer in bench.peers.indexed():
            table = peer.load(dataset, files)
            for ef_construction in EFFORTS if peer.name == "dvec" else ():
                build_index(bench, peer, dataset, files, table, f"ef_construction {ef_construction}",
                            ef_construction=ef_construction)
            for parallel in ("default", "forced"):
                build_index(bench, peer, dataset, files, table, parallel, parallel=parallel)
        if "hnswlib" in bench.peers.names:
            rounds = []
            for _ in range(bench.scale.rounds):
                bench.say(f"build {dataset.name} hnswlib")
                bench.peers.forget_hnswlib(dataset)
                bare = bench.peers.hnswlib(dataset, files)
                rounds.append(bare.build | bare.ask("recall", EF))
            bench.results.add(rounds, section="build", dataset=dataset.name, peer="hnswlib",
                              variant="default")
        note_dataset(bench, dataset, files)
    bench.results.note("build", "threads", bench.peers.threads)


def build_index(bench, peer, dataset, files, table, variant, **how):
    bench.say(f"build {dataset.name} {peer.name} {variant}")
    rounds = in_rounds(bench.scale.rounds, lambda: peer.index(dataset, table, **how))
    quality = peer.search(dataset, files, table, EF, 1, 0.1, True)
    for each in rounds:
        each["recall"] = quality["recall"]
    bench.results.add(rounds, section="build", dataset=dataset.name, peer=peer.name, variant=variant)


def note_dataset(bench, dataset, files):
    facts = files.described()
    bench.results.add([facts], section="data", dataset=dataset.name)


def search(bench):
    """Recall, rate, latencies and processor time over ef. Peers take turns at each point, so that a
    slow minute of the machine meets them all; what SQL costs by itself is measured at every point
    for the same reason."""
    for dataset in with_more(bench):
        files = data.ensure(dataset)
        note_dataset(bench, dataset, files)
        tables = {peer.name: peer.load(dataset, files) for peer in bench.peers.all_servers()}
        for peer in bench.peers.indexed():
            peer.ensure_index(dataset, tables[peer.name])
        recalls = {}
        for clients in bench.scale.clients:
            floors = collections.defaultdict(list)
            for ef in bench.scale.efs:
                bench.say(f"search {dataset.name} ef {ef}, {clients} clients")
                search_point(bench, dataset, files, tables, ef, clients, floors, recalls)
            for name, rounds in floors.items():
                bench.results.add(rounds, section="search", dataset=dataset.name, peer=name,
                                  variant="floor", clients=clients)
            search_exactly(bench, dataset, files, clients)
        bench.peers.forget_hnswlib(dataset)


def with_more(bench):
    """Unless sets were asked for by name, the widest vectors and those of words too, if they were fetched."""
    if bench.datasets != list(bench.scale.datasets):
        return bench.datasets
    words = [bench.scale.words] if data.WORDS.exists() else []
    if not words:
        bench.say(f"{bench.scale.words.name} is left out: make bench-data")
    return [*bench.datasets, bench.scale.widest, *words]


def search_point(bench, dataset, files, tables, ef, clients, floors, recalls):
    """One ef, every peer in each round. The recall of an index does not change: it is measured once."""
    scale = bench.scale
    rounds = collections.defaultdict(list)
    for _ in range(scale.rounds):
        for peer in bench.peers.indexed():
            table = tables[peer.name]
            rounds[peer.name].append(peer.search(dataset, files, table, ef, clients, scale.seconds,
                                                 (peer.name, ef) not in recalls))
            keep_recall(recalls, (peer.name, ef), rounds[peer.name][-1])
            floors[peer.name].append(search_floor(peer, files, table, clients, scale.seconds / 3))
        bare = bench.peers.hnswlib(dataset, files)
        if bare is not None:
            rounds[bare.name].append(bare.search(ef, clients, scale.seconds,
                                                 (bare.name, ef) not in recalls))
            keep_recall(recalls, (bare.name, ef), rounds[bare.name][-1])
    for name, each in rounds.items():
        bench.results.add(each, section="search", dataset=dataset.name, peer=name, ef=ef,
                          clients=clients)


def clients(bench):
    """More sessions than cores, at one ef: what that makes of rate and latencies. The peers and what SQL costs by itself
    take turns."""
    scale = bench.scale
    for dataset in bench.datasets:
        files = data.ensure(dataset)
        note_dataset(bench, dataset, files)
        peers = bench.peers.indexed()
        for peer in peers:
            peer.ensure_index(dataset, peer.load(dataset, files))
        for count in scale.crowds:
            bench.say(f"clients {dataset.name} {count}")
            rounds, floors = collections.defaultdict(list), collections.defaultdict(list)
            for _ in range(scale.rounds):
                for peer in peers:
                    table = peer.load(dataset, files)
                    rounds[peer.name].append(peer.search(dataset, files, table, EF, count, 2 * scale.seconds, False))
                    floors[peer.name].append(search_floor(peer, files, table, count, scale.seconds))
            for peer in peers:
                keys = dict(section="clients", dataset=dataset.name, peer=peer.name, clients=count)
                bench.results.add(rounds[peer.name], ef=EF, **keys)
                bench.results.add(floors[peer.name], variant="floor", **keys)


def keep_recall(recalls, key, result):
    for name in ("recall", "rows"):
        if name in result:
            recalls.setdefault(key, {})[name] = result[name]
    result.update(recalls[key])


def recall(bench):
    """Of real vectors, some of which are near to many others, as words are. Nothing is timed, so others may
    use the machine."""
    dataset = bench.scale.words
    files = data.ensure(dataset)
    note_dataset(bench, dataset, files)
    for peer in bench.peers.indexed():
        table = peer.load(dataset, files)
        bench.say(f"recall {dataset.name} {peer.name}")
        peer.ensure_index(dataset, table)
        for ef in RECALL_EFS:
            found = peer.search(dataset, files, table, ef, 1, 0.1, True)
            bench.results.add([{"recall": found["recall"]}], section="recall", dataset=dataset.name,
                              peer=peer.name, ef=ef)
    bare = bench.peers.hnswlib(dataset, files)
    for ef in RECALL_EFS if bare is not None else ():
        bench.results.add([{"recall": bare.ask("recall", ef)["recall"]}], section="recall",
                          dataset=dataset.name, peer=bare.name, ef=ef)


def search_floor(peer, files, table, clients, seconds):
    # An index-only scan would not read the rows, which every search does.
    setup = "SET enable_indexonlyscan = off"
    peer.must_use(f"Index Scan using {table}_pkey", peer.floor(table), setup, table)
    return peer.client(files, peer.floor(table), setup, clients, seconds)


def search_exactly(bench, dataset, files, clients):
    if "heap" not in bench.peers.names:
        return
    bench.say(f"search {dataset.name} exact scan, {clients} clients")
    heap, scale = bench.peers["heap"], bench.scale
    rounds = in_rounds(scale.rounds, lambda: heap.search(
        dataset, files, heap.load(dataset, files), 0, clients, scale.seconds, True,
        recall_queries=scale.exact_queries))
    if min(each["recall"] for each in rounds) < 1:
        raise SystemExit(f"{dataset.name}: the exact scan and the exact answers differ")
    bench.results.add(rounds, section="search", dataset=dataset.name, peer=heap.name, variant="exact",
                      clients=clients)


def with_extra(bench, dataset):
    """With further vectors to insert, as many as a run of all sections needs."""
    scale = bench.scale
    rows = len(insert_runs(scale)) * scale.rounds * scale.insert_rows
    return data.ensure(dataset, max(scale.mixed_rows, rows))


def insert_runs(scale):
    """(variant, batch, clients)"""
    runs = [("", batch, clients) for clients in scale.insert_clients for batch in scale.batches]
    runs += [(ASYNCHRONOUS, batch, 1) for batch in scale.batches]
    return runs + [(CHECKPOINTED, scale.batches[0], 1)]


def can_grow(bench):
    """The sets that there are more vectors of: those we make."""
    found = [dataset for dataset in bench.datasets if dataset.source == "clustered"]
    if not found:
        bench.say("nothing to insert: only sets that are generated have further vectors")
    return found


def insert(bench):
    """Batches into a filled index and into a table without one. Every run inserts vectors of its own,
    so the index grows; all peers go through the same runs in the same order."""
    scale = bench.scale
    for dataset in can_grow(bench):
        files = with_extra(bench, dataset)
        peers = bench.peers.all_servers()
        for peer in peers:
            table = peer.load(dataset, files, "insert")
            peer.ensure_index(dataset, table)
        first = 0
        for variant, batch, clients in insert_runs(scale):
            bench.say(f"insert {dataset.name} batch {batch}, {clients} clients {variant}")
            rounds = collections.defaultdict(list)
            for _ in range(scale.rounds):
                for peer in peers:
                    rounds[peer.name].append(insert_run(peer, dataset, files, first, scale,
                                                        (variant, batch, clients)))
                first += scale.insert_rows
            for name, each in rounds.items():
                bench.results.add(each, section="insert", dataset=dataset.name, peer=name,
                                  variant=variant, batch=batch, clients=clients)


def insert_run(peer, dataset, files, first, scale, run):
    variant, batch, clients = run
    table = peer.load(dataset, files, "insert")
    if variant == CHECKPOINTED:
        peer.server.sql("CHECKPOINT")
    commit = "off" if variant == ASYNCHRONOUS else "on"
    more = {"tail_sql": peer.tail_sql(table)} if peer.name == "dvec" else {}
    before = peer.server.value(f"SELECT count(*) FROM {table}")
    result = data.run(
        "bench_client", "insert", connect=peer.server.address, table=table, insert_data=files.extra,
        first_row=first, first_id=1_000_000_000 + first, rows=scale.insert_rows, batch=batch,
        clients=clients, seconds=scale.insert_seconds, postmaster=peer.server.process.pid,
        insert_setup=f"SET synchronous_commit = {commit}", **more)
    return result | {"rows_before": before}


def mixed(bench):
    """Latencies of one searching session while another inserts as fast as it can."""
    scale = bench.scale
    for dataset in can_grow(bench)[:1]:
        files = with_extra(bench, dataset)
        for peer in bench.peers.indexed():
            table = peer.load(dataset, files, "insert")
            peer.ensure_index(dataset, table)
            for variant, batch in (("idle", 0), ("inserting", 1), ("inserting", 100)):
                bench.say(f"mixed {dataset.name} {peer.name} {variant} {batch or ''}")
                more = {} if batch == 0 else dict(
                    table=table, insert_data=files.extra, first_id=2_000_000_000, batch=batch,
                    rows=scale.mixed_rows)
                rounds = in_rounds(scale.rounds, lambda: peer.search(
                    dataset, files, table, EF, 1, scale.mixed_seconds, False, **more))
                peer.wait_for_tail(table)
                bench.results.add(rounds, section="mixed", dataset=dataset.name, peer=peer.name,
                                  variant=variant, batch=batch)


def connect(bench):
    """The first query after a restart and in fresh connections, and the memory of a session."""
    scale, dataset = bench.scale, bench.scale.big
    files = data.ensure(dataset)
    note_dataset(bench, dataset, files)
    for peer in bench.peers.indexed():
        bench.say(f"connect {dataset.name} {peer.name}: load and build")
        table = peer.load(dataset, files)
        peer.ensure_index(dataset, table)
        peer.wait_for_tail(table)
        statements = {"search": (peer.nearest(dataset, table), peer.setup(EF)),
                      "floor": (peer.floor(table), "SET enable_indexonlyscan = off")}
        type_id = peer.server.value("SELECT 'vector'::regtype::oid::bigint")

        def ask(what, connections, more_queries):
            sql, setup = statements[what]
            return data.run("bench_client", "cold", connect=peer.server.address, sql=sql,
                            setup=setup, queries=files.queries, type=type_id,
                            connections=connections, more_queries=more_queries)

        bench.say(f"connect {dataset.name} {peer.name}")
        peer.server.stop()
        peer.server.start()
        keys = dict(section="connect", dataset=dataset.name, peer=peer.name)
        bench.results.add([ask("search", 1, 0)], variant="after restart", **keys)
        # The whole index is made warm by the queries, then connections are.
        ask("search", 1, 2000)
        for what in statements:
            rounds = in_rounds(scale.rounds, lambda: ask(what, scale.connections, 2000))
            bench.results.add(rounds, variant="warm " + what, **keys)
        with peer.server.connect() as session:
            session.execute(statements["search"][1])
            session.execute(statements["search"][0].replace("$1", f"(SELECT v FROM {table} LIMIT 1)"))
            bench.results.add([peer.server.memory()], variant="whole server", **keys)


def kernels(bench):
    """Distances by instruction set, in nanoseconds and as a share of what memory delivers."""
    bench.say("kernels")
    bandwidth = data.run("bench_client", "bandwidth", megabytes=512)
    bench.results.add([bandwidth], section="kernels", variant="bandwidth")
    names = "^(cached|dependent|streamed|scattered_four_at_once)/(l2_squared|inner_product)/"
    seconds = min(0.5, bench.scale.seconds / 6)
    command = [str(BUILD / "kernels/kernels_benchmark"), f"--benchmark_filter={names}.*/(128|768)$",
               f"--benchmark_min_time={seconds}", "--benchmark_format=json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    unit = {"ns": 1, "us": 1e3, "ms": 1e6}
    for each in json.loads(run.stdout)["benchmarks"]:
        situation, function, isa, dimensions = re.match("(.*)/(.*)/(.*)/(.*)", each["name"]).groups()
        rate = each.get("bytes_per_second")
        time = each["cpu_time"] * unit[each["time_unit"]]
        if rate:
            # These walk through many vectors in an iteration.
            numbers = {"ns": int(dimensions) * 4 / rate * 1e9, "bytes_per_second": rate,
                       "of_bandwidth": rate / bandwidth["one_thread"]}
        else:
            numbers = {"ns": time}
        bench.results.add([numbers], section="kernels", dataset=dimensions, peer=isa,
                          variant=f"{situation} {function}")
