"""What dvec wants to reach, each judged by numbers of one run: a ratio to a peer, or a limit."""

import dataclasses

from harness import sections
from harness.curves import RECALLS, at_recall, points

# Recall of two graphs at one ef counts as equal within this.
EQUAL_RECALL = 0.005


@dataclasses.dataclass
class Target:
    what: str
    wanted: str
    measured: str
    met: object  # True, False, or None when it could not be judged

    @property
    def verdict(self):
        return {True: "met", False: "**missed**", None: "not judged"}[self.met]


def at_least(what, value, bound, unit=" ×", note=""):
    if value is None:
        return Target(what, f"≥ {bound:g}{unit}", "not measured" + note, None)
    return Target(what, f"≥ {bound:g}{unit}", f"{value:.2f}{unit}{note}", value >= bound)


def at_most(what, value, bound, unit=" ×", note=""):
    if value is None:
        return Target(what, f"≤ {bound:g}{unit}", "not measured" + note, None)
    return Target(what, f"≤ {bound:g}{unit}", f"{value:.2f}{unit}{note}", value <= bound)


def ratio(a, b):
    return None if a is None or not b else a / b


def dimensions(results, dataset):
    return int(results.value("dimensions", section="data", dataset=dataset) or 0)


def qps_factor(clients, dimensions):
    """How many times pgvector's; word vectors have 50 dimensions."""
    if clients == 1 or dimensions <= 50:
        return 10
    return 15 if dimensions <= 128 else 25


def search_targets(results):
    for dataset in results.distinct("dataset", section="search"):
        for recall in RECALLS:
            for clients in (1, 2):
                factor = qps_factor(clients, dimensions(results, dataset))
                qps = [at_recall(results, dataset, peer, clients, "qps", recall)
                       for peer in ("dvec", "pgvector")]
                yield at_least(f"{dataset}: QPS at recall {recall:g}, {clients} client"
                               f"{'s' if clients > 1 else ''}, against pgvector", ratio(*qps), factor)
        for recall in RECALLS:
            yield own_search(results, dataset, recall)


def own_search(results, dataset, recall):
    """The query's processor time without the SQL floor, against hnswlib's."""
    whole = at_recall(results, dataset, "dvec", 1, "backend_cpu_us", recall)
    bare = at_recall(results, dataset, "hnswlib", 1, "backend_cpu_us", recall)
    floor = results.value("backend_cpu_us", section="search", dataset=dataset, peer="dvec",
                          variant="floor", clients=1)
    value, note = None, ""
    if None not in (whole, bare, floor):
        value = (whole - floor) / bare
        note = f" ({whole:.0f} − {floor:.0f} against {bare:.0f} µs)"
    return at_most(f"{dataset}: CPU of the search itself at recall {recall:g}, against hnswlib", value,
                   0.33, note=note)


def crowd_targets(results):
    for section in ("search", "clients"):
        for dataset in results.distinct("dataset", section=section):
            keys = dict(section=section, dataset=dataset, peer="dvec", ef=sections.EF)
            for clients in results.distinct("clients", **keys):
                # The section of many clients has eight as well.
                if clients > 2 and (section == "clients" or not results.select(section="clients", dataset=dataset)):
                    p99, p50 = (results.value(name, clients=clients, **keys) for name in ("p99_us", "p50_us"))
                    yield at_most(f"{dataset}: p99 / p50 with {clients} clients, ef {sections.EF}", ratio(p99, p50), 6,
                                  note=tail_of_floor(results, dataset, section, clients))
                    yield no_collapse(results, dataset, keys, clients)


def tail_of_floor(results, dataset, section, clients):
    """What the scheduler makes of as many clients, whatever they ask."""
    p99, p50 = (results.value(name, section=section, dataset=dataset, peer="dvec", variant="floor", clients=clients)
                for name in ("p99_us", "p50_us"))
    return f" (the SQL floor: {p99 / p50:.2f})" if p99 and p50 else ""


def no_collapse(results, dataset, keys, clients):
    """More clients than cores cost any server something: the SQL floor says what."""
    def falls_to(**which):
        many, two = (results.value("qps", clients=count, **(keys | which)) for count in (clients, 2))
        return ratio(many, two)

    ours, floor = falls_to(), falls_to(variant="floor", ef="")
    note = f" ({ours:.2f} against {floor:.2f})" if ours and floor else ""
    return at_least(f"{dataset}: QPS of {clients} clients against 2, ef {sections.EF}, beside what the SQL floor keeps",
                    ratio(ours, floor), 0.9, note=note)


def build_targets(results):
    """By the cheapest of dvec's builds that finds as much with one ef as the peer's: at the same ef_construction
    dvec finds more, and takes longer for it."""
    for dataset in results.distinct("dataset", section="build"):
        def value(metric, peer, variant):
            return results.value(metric, section="build", dataset=dataset, peer=peer, variant=variant)

        ours = sorted((value("build_seconds", "dvec", variant), value("recall", "dvec", variant), variant)
                      for variant in results.distinct("variant", section="build", dataset=dataset, peer="dvec"))
        for peer, variant, what in (("pgvector", "forced", "pgvector with equal workers"),
                                    ("pgvector", "default", "pgvector as users get it"),
                                    ("hnswlib", "default", "hnswlib")):
            theirs, their_recall = (value(name, peer, variant) for name in ("build_seconds", "recall"))
            if theirs is None:
                continue
            equal = [each for each in ours if each[1] >= their_recall - EQUAL_RECALL]
            seconds, recall, effort = equal[0] if equal else (None, None, None)
            same = value("build_seconds", "dvec", "default")
            if peer == "hnswlib":
                target = at_most(f"{dataset}: build time at equal recall, against {what}", ratio(seconds, theirs), 0.6)
                same = ratio(same, theirs)
            else:
                target = at_least(f"{dataset}: build speed at equal recall, against {what}", ratio(theirs, seconds), 6)
                same = ratio(theirs, same)
            if equal:
                less = f", with {effort}; {same:.2f} × with theirs" if effort.startswith("ef_construction") else ""
                target.measured += f" (recall {recall:.3f} against {their_recall:.3f} at ef {sections.EF}{less})"
            yield target


BURST = {1: 0.9, 10: 0.8, 100: 0.7, 500: 0.6, 1000: 0.6}


def insert_targets(results):
    for dataset in results.distinct("dataset", section="insert"):
        for clients in results.distinct("clients", section="insert"):
            yield from insert_run_targets(results, dataset, clients)
        yield from insert_run_targets(results, dataset, 1, sections.ASYNCHRONOUS)


def insert_run_targets(results, dataset, clients, variant=""):
    """One line for all batches; met when every batch meets its own bound."""
    batches = results.distinct("batch", section="insert", dataset=dataset, clients=clients,
                               variant=variant)

    def ratios(metric, peer):
        def value(batch, peer):
            return results.value(metric, section="insert", dataset=dataset, peer=peer,
                                 variant=variant, clients=clients, batch=batch)
        return [ratio(value(batch, "dvec"), value(batch, peer)) for batch in batches]

    sizes = "/".join(map(str, batches))
    name = f"{dataset}: insert in batches of {sizes}, {clients} client{'s' if clients > 1 else ''}"
    name += f", {variant}" if variant else ""
    bounds = [BURST.get(batch, 0.6) for batch in batches]
    yield series(f"{name}: burst against the heap alone", ratios("burst_rate", "heap"), "≥", bounds)
    yield series(f"{name}: sustained against pgvector", ratios("sustained_rate", "pgvector"), "≥", [10])
    yield series(f"{name}: WAL against the heap alone", ratios("wal_bytes", "heap"), "≤", [1.01])


def series(what, values, direction, bounds):
    wanted = f"{direction} {' / '.join(f'{bound:g}' for bound in bounds)} ×"
    if None in values:
        return Target(what, wanted, "not measured", None)
    every = bounds if len(bounds) == len(values) else bounds * len(values)
    met = all(value >= bound if direction == "≥" else value <= bound
              for value, bound in zip(values, every))
    return Target(what, wanted, " / ".join(f"{value:.2f}" for value in values) + " ×", met)


def mixed_targets(results):
    for dataset in results.distinct("dataset", section="mixed"):
        def p99(variant, batch):
            return results.value("p99_us", section="mixed", dataset=dataset, peer="dvec",
                                 variant=variant, batch=batch)

        for batch in results.distinct("batch", section="mixed", variant="inserting"):
            yield at_most(f"{dataset}: search p99 while batches of {batch} are inserted, against idle",
                          ratio(p99("inserting", batch), p99("idle", 0)), 2)


def connection_targets(results):
    for dataset in results.distinct("dataset", section="connect"):
        count = results.value("base", section="data", dataset=dataset) or 0
        note = "" if count >= 1_000_000 else f" (at {count:,.0f} vectors only)"
        keys = dict(section="connect", dataset=dataset, peer="dvec", variant="warm search")
        first = results.value("first_us", **keys)
        private = results.value("private_bytes", **keys)
        yield at_most(f"{dataset}: first query of a new connection", ratio(first, 1000), 5, " ms", note)
        yield at_most(f"{dataset}: private memory of a backend", ratio(private, 2**20), 8, " MB", note)


def limits_targets(results):
    for dataset in results.distinct("dataset", section="limits"):
        rows = results.select(section="limits", dataset=dataset, metric="cpu_ratio")
        worst = max(rows, key=lambda row: float(row["value"]))
        yield at_most(f"{dataset}: CPU of a query against the exact search, the worst",
                      float(worst["value"]), 1.5, note=f" ({worst['variant']})")


def all_targets(results):
    for each in (search_targets, crowd_targets, build_targets, insert_targets, mixed_targets,
                 connection_targets, limits_targets, memory_targets, growth_targets):
        yield from each(results)


def replica_targets(results):
    """Of a standby beside its primary. Processor time stands beside latency: both servers share the machine with
    the load."""
    for row in results.select(section="replica", peer="ratio", metric="latency_ratio"):
        keys = dict(section="replica", dataset=row["dataset"], peer="ratio", variant=row["variant"], clients=row["clients"])
        what = f"{row['dataset']}, {'quiet' if row['variant'] == 'quiet' else 'under load'}"
        if row["clients"] == "1":
            yield at_most(f"{what}: median latency of the standby, against its primary", float(row["value"]), 1.3)
            yield at_most(f"{what}: processor time of a search", results.value("cpu_ratio", **keys), 1.3)
        else:
            yield at_least(f"{what}: QPS, {row['clients']} clients", results.value("qps_ratio", **keys), 0.8)
    for row in results.select(section="replica", metric="follower_share"):
        yield at_most(f"{row['dataset']}, {row['variant']}: follower's share of replay's processor time",
                      100 * float(row["value"]), 5, " %")
    for row in results.select(section="replica", metric="lag_ms"):
        if row["variant"].endswith(", with dvec"):
            without = results.value("lag_ms", section="replica", dataset=row["dataset"], peer="standby",
                                    variant=row["variant"].replace(", with dvec", ", without dvec"))
            yield at_most(f"{row['dataset']}, {row['variant'].split(',')[0]}: replay lag with dvec, against without",
                          ratio(float(row["value"]), without), 1.2)


def shards_targets(results):
    """Of partitions, on other servers and on one, beside what they stand for."""
    for dataset in results.distinct("dataset", section="shards"):
        keys = dict(section="shards", dataset=dataset, peer="ratio")
        over = results.value("over_shard_us", variant="shards", **keys)
        yield at_most(f"{dataset}: median of three shards, above 1.5 times that of the slowest", over / 1000, 1, " ms")
        yield at_most(f"{dataset}: eight partitions, against one index of the same recall",
                      results.value("of_node", variant="partitions", **keys), 1.3)


# Bytes of a row at most, by dimensions and bits of an element, links included.
ROW_BYTES = {(128, 8): 350, (768, 8): 1000, (768, 4): 600, (768, 1): 330, (1536, 8): 1800, (1536, 4): 1000, (1536, 1): 450}


def memory_targets(results):
    for dataset in results.distinct("dataset", section="memory"):
        for row in results.select(section="memory", dataset=dataset, variant="index", metric="row_bytes"):
            if "compact" in row["peer"]:
                yield from compact_targets(results, dataset, row["peer"], float(row["value"]))


def compact_targets(results, dataset, peer, row_bytes):
    bits = int(peer.split()[-2])
    what = f"{dataset}: {peer}"
    if (dimensions(results, dataset), bits) in ROW_BYTES:
        yield at_most(f"{what}: a row", row_bytes, ROW_BYTES[dimensions(results, dataset), bits], " bytes")
    for recall in RECALLS:
        ours, full, whole = (at_recall(results, dataset, each, 1, "qps", recall, "memory")
                             for each in (peer, "dvec, full", "pgvector, vector"))
        if bits == 8:
            yield at_least(f"{what}: QPS at recall {recall:g}, against full", ratio(ours, full), 0.7)
        yield at_least(f"{what}: QPS at recall {recall:g}, against pgvector's whole vectors", ratio(ours, whole), 5)
        ours, whole = (results.value("qps", section="memory", dataset=dataset, peer=each, variant=f"limited, {recall:g}")
                       for each in (peer, "pgvector, vector"))
        yield at_least(f"{what}: the same in a quarter of pgvector's memory", ratio(ours, whole), 20)


def growth_lives(results):
    """(data set, peer) of what was measured to its end, by the number of rows."""
    rows = results.select(section="growth", variant="run", metric="rows")
    return [(row["dataset"], row["peer"]) for row in sorted(rows, key=lambda row: float(row["value"]))]


def search_itself(results, dataset, peer, recall):
    """Processor time of a query of the section `growth`, less the SQL floor."""
    whole = at_recall(results, dataset, peer, 1, "backend_cpu_us", recall, "growth")
    floor = results.value("backend_cpu_us", section="growth", dataset=dataset, peer=peer, variant="floor")
    return None if None in (whole, floor) else whole - floor


# Of one size, the size that it is compared with.
TENFOLD = {"growth-1000000": "growth-100000"}
MANY_ROWS = 10_000_000


def growth_targets(results):
    for dataset, peer in growth_lives(results):
        rows = results.value("rows", section="growth", dataset=dataset, peer=peer, variant="run")
        name = f"{rows:,.0f} rows, {peer.removeprefix('dvec, ')}"
        for recall in RECALLS if dataset in TENFOLD else ():
            many, few = (search_itself(results, each, peer, recall) for each in (dataset, TENFOLD[dataset]))
            yield at_most(f"{name}: CPU of the search itself at recall {recall:g}, against a tenth of the rows",
                          ratio(many, few), 1.5)
        if rows >= MANY_ROWS:
            yield at_least(f"{name}: recall reached", max((recall for recall, _, _ in points(
                results, dataset, peer, 1, "backend_cpu_us", "growth")), default=None), RECALLS[0], "")
            yield at_most(f"{name}: memory of the worker", results.value(
                "worker_row_bytes", section="growth", dataset=dataset, peer=peer, variant="insert"), 16, " bytes a row")
