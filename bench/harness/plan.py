"""What is measured, at which size. `small` shows within minutes that everything works; only `full` gives
numbers to quote."""

import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench"
RESULTS = ROOT / "bench/results"
PACKAGES = BUILD / "packages"  # of Python, made by make bench-data

K = 10
M = 16
EF_CONSTRUCTION = 64

SECTIONS = ["build", "search", "clients", "insert", "mixed", "connect", "kernels", "restart", "recall",
            "limits", "filter", "filter-plans", "replica", "shards", "targets", "memory", "libraries", "growth"]

# Where recall of real data is measured.
RECALL_EFS = (40, 100, 200)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Vectors, queries and exact answers. `metric` is l2 or cosine; vectors for cosine have length 1."""
    name: str
    metric: str
    source: str  # clustered, demo, words, or the path of an fvecs file
    count: int = 0  # of clustered vectors and words; files have what they have
    dimensions: int = 0
    queries: int = 0
    query_file: str = ""

    @property
    def operator(self):
        return {"l2": "<->", "cosine": "<=>"}[self.metric]

    @property
    def operator_class(self):
        return {"l2": "vector_l2_ops", "cosine": "vector_cosine_ops"}[self.metric]


@dataclasses.dataclass(frozen=True)
class Scale:
    name: str
    datasets: tuple
    big: Dataset  # what connections and restarts are measured on
    words: Dataset  # real ones, for recall
    limits: tuple  # what queries are measured on that ask too much of an index
    large: Dataset  # and those for a server with a quarter of the memory
    widest: Dataset  # what the memory of indexes is measured on besides `datasets`
    growth_rows: tuple  # numbers of rows that costs are compared at
    growth_ways: tuple  # how an index keeps them, by names in harness/growth.py
    growth_queries: int
    growth_rest: float  # seconds without work of the worker, until it counts as done
    filters: tuple  # what conditions that an index checks are measured on
    replicas: tuple  # what a standby searches beside its primary
    replica_seconds: float  # of one point there
    shards: tuple  # what shards and partitions search
    shard_rounds: int
    plans: tuple  # what plans are compared on
    seconds: float  # of one measured point
    rounds: int  # each point is measured so often; the median counts
    efs: tuple
    clients: tuple
    crowds: tuple  # numbers of clients beyond those, at one ef; the first is what the others are compared with
    exact_queries: int
    batches: tuple
    insert_clients: tuple
    insert_rows: int  # in one burst, at most
    insert_seconds: float
    mixed_seconds: float
    mixed_rows: int  # that can be inserted meanwhile
    connections: int
    logged_rows: int  # in the log at kill -9
    settings: dict


def clustered(name, metric, count, dimensions, queries):
    return Dataset(name, metric, "clustered", count, dimensions, queries)


def words(count):
    """The most frequent words of English and their GloVe vectors."""
    return Dataset("words-50", "cosine", "words", count, 50)


DEMO = Dataset("demo-384", "cosine", "demo", dimensions=384)

# Of the second set vectors stand out of line.
LIMITS = (clustered("limits-64", "l2", 60_000, 64, 10), clustered("limits-768", "l2", 20_000, 768, 10))
LARGE = clustered("large-768", "l2", 50_000, 768, 10)

# As small as they are at every scale: the sides are compared, not the machine.
FILTERS = (clustered("filter-128", "l2", 60_000, 128, 30), clustered("filter-768", "cosine", 20_000, 768, 30),
           words(50_000))
REPLICAS = (clustered("replica-128", "l2", 100_000, 128, 200),
            clustered("replica-768", "cosine", 50_000, 768, 200))
SHARDS = (clustered("shards-128", "l2", 100_000, 128, 200), clustered("shards-768", "cosine", 30_000, 768, 200))


def of_plans(sizes):
    return tuple(clustered(f"plans-{count}-{dimensions}", "l2", count, dimensions, 30) for count, dimensions in sizes)


PLANS = [(1_000, 32), (1_000, 128), (1_000, 768), (20_000, 32), (20_000, 128), (20_000, 768)]

# The same for every server. A search is one process; a build has as many as there are cores.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "150",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "max_parallel_workers_per_gather": "0",
    "logging_collector": "off",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
}

SCALES = {
    "small": Scale(
        name="small",
        datasets=(clustered("clustered-128", "l2", 10_000, 128, 200),
                  clustered("unit-768", "cosine", 4_000, 768, 200),
                  DEMO),
        big=clustered("clustered-128-big", "l2", 20_000, 128, 200), words=words(50_000),
        limits=LIMITS, large=LARGE, widest=clustered("unit-1536", "cosine", 2_000, 1536, 200),
        growth_rows=(10_000, 40_000), growth_ways=("full", "compact"), growth_queries=200, growth_rest=1,
        filters=FILTERS, replicas=REPLICAS, replica_seconds=3,
        shards=SHARDS, shard_rounds=5,
        plans=of_plans(PLANS),
        seconds=0.3, rounds=1, efs=(10, 20, 40, 80, 160), clients=(1, 2, 8), crowds=(2, 8, 128), exact_queries=20,
        batches=(1, 10, 100, 500, 1000), insert_clients=(1, 2), insert_rows=2_000,
        insert_seconds=3, mixed_seconds=1, mixed_rows=30_000,
        connections=5, logged_rows=2_000, settings=SETTINGS),
    "full": Scale(
        name="full",
        datasets=(clustered("clustered-128", "l2", 200_000, 128, 1_000),
                  clustered("unit-768", "cosine", 100_000, 768, 1_000),
                  DEMO),
        big=clustered("clustered-128-big", "l2", 1_000_000, 128, 1_000), words=words(400_000),
        limits=LIMITS, large=LARGE, widest=clustered("unit-1536", "cosine", 50_000, 1536, 1_000),
        growth_rows=(100_000, 1_000_000), growth_ways=("full", "compact"), growth_queries=1_000,
        growth_rest=45,
        filters=FILTERS, replicas=REPLICAS, replica_seconds=5,
        shards=SHARDS, shard_rounds=9,
        plans=of_plans(PLANS + [(200_000, 32), (200_000, 128)]),
        seconds=2, rounds=3, efs=(10, 16, 25, 40, 64, 100, 160, 250, 400), clients=(1, 2, 8),
        crowds=(2, 8, 32, 64, 128), exact_queries=50, batches=(1, 10, 100, 500, 1000), insert_clients=(1, 2),
        insert_rows=6_000, insert_seconds=8, mixed_seconds=5, mixed_rows=250_000,
        connections=20,
        logged_rows=20_000,
        settings=dict(SETTINGS, shared_buffers="2GB", maintenance_work_mem="2GB")),
}
