"""What a row of an index takes, and what searches pay for its taking less: ways to keep the same vectors, of dvec and of
pgvector, each with its curve of recall against time. Then the same searches by a server that may use a quarter of what
pgvector's index of whole vectors takes, and what a server takes that searches nothing.

An index is built, searched, searched under the limit, and dropped before the next one is built, so there is never a choice
between two. Ways that a server refuses are left out, with what it said.
"""

import dataclasses
import os
import re
import subprocess

import psycopg

from harness import data
from harness.curves import RECALLS
from harness.memory_group import MemoryGroup, forget_pages
from harness.peers import ServerPeer
from harness.plan import EF_CONSTRUCTION, K, M
from harness.sections import note_dataset

MEGABYTE = 1 << 20

# What a server takes that searches nothing, with the settings of below: its processes, its shared memory, and the pages of
# its programs and catalogs.
FLOOR = 64 * MEGABYTE
# Under a limit nobody gives more to shared_buffers than a quarter of the memory.
SHARED_BUFFERS = 4

# Beyond those of the scale: what is found by signs needs many candidates.
MORE_EFS = (640, 1000)
LIMITED_QUERIES = 50  # whose recall is looked at under the limit
LIMITED_SECONDS = 5  # times those of a point in memory: each query of pgvector may wait for many pages


@dataclasses.dataclass(frozen=True)
class Way:
    """How vectors are kept in an index."""
    peer: str
    name: str
    keeps: str = "vector"  # vector, halfvec, or bits: an index on signs, whose candidates the table puts in order
    options: str = ""

    @property
    def label(self):
        return f"{self.peer}, {self.name}"

    def key(self, dataset, dimensions):
        return {"vector": f"v {dataset.operator_class}",
                "halfvec": f"(v::halfvec({dimensions})) {dataset.operator_class.replace('vector', 'halfvec')}",
                "bits": f"(binary_quantize(v)::bit({dimensions})) bit_hamming_ops"}[self.keeps]

    def query(self, dataset, table, dimensions, ef):
        if self.keeps == "vector":
            return f"SELECT id FROM {table} ORDER BY v {dataset.operator} $1 LIMIT {K}"
        if self.keeps == "halfvec":
            return (f"SELECT id FROM {table} ORDER BY v::halfvec({dimensions}) {dataset.operator} "
                    f"$1::halfvec({dimensions}) LIMIT {K}")
        return (f"SELECT id FROM (SELECT id, v FROM {table} ORDER BY binary_quantize(v)::bit({dimensions}) <~> "
                f"binary_quantize($1)::bit({dimensions}) LIMIT {ef}) s ORDER BY v {dataset.operator} $1 LIMIT {K}")


def compact(bits):
    return Way("dvec", f"compact, {bits} bit{'s' if bits > 1 else ''}", options=f"storage = compact, bits = {bits}")


# pgvector's whole vectors come first: the limit is made of what they take.
WHOLE = Way("pgvector", "vector")
WAYS = (WHOLE, Way("pgvector", "halfvec", "halfvec"), Way("pgvector", "binary_quantize", "bits"),
        Way("dvec", "full"), Way("dvec", "halfvec", "halfvec"), compact(8), compact(4), compact(1))


class Index:
    """One way to keep the vectors of a data set, on the table of its server."""

    def __init__(self, bench, peer, way, dataset):
        self.bench, self.peer, self.way, self.dataset = bench, peer, way, dataset
        self.files = data.ensure(dataset)
        self.facts = self.files.described()
        self.table = peer.load(dataset, self.files)
        self.name = f"{self.table}_memory"
        self.keys = dict(section="memory", dataset=dataset.name, peer=way.label)

    @property
    def dimensions(self):
        return int(self.facts["dimensions"])

    def query(self, ef):
        return self.way.query(self.dataset, self.table, self.dimensions, ef)

    def build(self):
        """False when the server does not know this way."""
        server = self.peer.server
        server.sql(f"ALTER TABLE {self.table} SET (parallel_workers = {self.peer.threads - 1})")
        options = f"m = {M}, ef_construction = {EF_CONSTRUCTION}"
        if self.way.options:
            options += f", {self.way.options}"
        statement = (f"CREATE INDEX {self.name} ON {self.table} USING hnsw "
                     f"({self.way.key(self.dataset, self.dimensions)}) WITH ({options})")
        try:
            self.numbers = self.peer.build(statement)
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.FeatureNotSupported,
                psycopg.errors.ProgramLimitExceeded) as error:
            self.bench.say(f"memory {self.dataset.name} {self.way.label} is left out: {error}")
            self.bench.results.note("memory", "refused", str(error).splitlines()[0], f"{self.dataset.name}: {self.way.label}")
            return False
        return True

    def drop(self):
        self.peer.server.sql(f"DROP INDEX IF EXISTS {self.name}")

    def sizes(self):
        """Bytes: of the index, of a row in it, and of its files in memory. Of dvec's also by part."""
        rows, server = self.facts["base"], self.peer.server
        if self.peer.extension != "dvec":
            size = float(server.value("SELECT pg_relation_size(%s)", [self.name]))
            first = self.peer.server.data / server.value("SELECT pg_relation_filepath(%s)", [self.name])
            files = [first, *first.parent.glob(first.name + ".*")]
            return {"index_bytes": size, "row_bytes": size / rows, "cached_bytes": cached_bytes(files)}
        parts = dict(server.sql("SELECT part, bytes::float8 FROM dvec_index_size(%s)", [self.name]))
        # Room for further rows is no memory: nobody has written there yet.
        size = sum(bytes_ for part, bytes_ in parts.items() if part not in ("log", "free"))
        folder = server.value("SELECT concat_ws('_', CASE c.reltablespace WHEN 0 THEN d.dattablespace ELSE c.reltablespace END,"
                              " d.oid, pg_relation_filenode(c.oid)) FROM pg_class c, pg_database d "
                              "WHERE d.datname = current_database() AND c.oid = %s::regclass", [self.name])
        return {"index_bytes": size, "row_bytes": size / rows,
                "cached_bytes": cached_bytes((server.data / "dvec" / folder).glob("*.[0-9]*"))} | {
                    f"row_{part}": parts[part] / rows for part in ("links", "codes", "vectors", "upper", "free")}

    # ---- searching ----

    def search(self, ef, seconds, **more):
        query, setup = self.query(ef), self.peer.setup(ef)
        self.peer.must_use(f"Index Scan using {self.name}", query, setup, self.table)
        found = self.peer.client(self.files, query, setup, 1, seconds, True, **more)
        if found["rows"] != K:
            raise SystemExit(f"{self.way.label} returned {found['rows']} rows a query, not {K}")
        return found

    def curve(self):
        """Over ef, as far as the highest recall that is asked for; the least ef that reaches each."""
        reached = {}
        for ef in dict.fromkeys((*self.bench.scale.efs, *MORE_EFS)):
            found = self.search(ef, self.bench.scale.seconds)
            self.bench.results.add([found], ef=ef, clients=1, **self.keys)
            for recall in RECALLS:
                if found["recall"] >= recall:
                    reached.setdefault(recall, ef)
            if len(reached) == len(RECALLS):
                break
        return reached

    def limited(self, limit, reached):
        """The same server, started in the group with none of its files in memory."""
        server = self.peer.server
        in_memory = server.settings
        server.settings = in_memory | {"shared_buffers": f"{limit // SHARED_BUFFERS // MEGABYTE}MB", "max_connections": "10"}
        server.stop()
        try:
            for recall, ef in reached.items():
                forget_pages(server.data)
                with MemoryGroup(limit):
                    server.start()
                # The measured queries come behind those, and none comes twice: who is fast would find in memory
                # what it has read for the first time.
                found = self.search(ef, LIMITED_SECONDS * self.bench.scale.seconds, recall_queries=LIMITED_QUERIES,
                                    first_query=LIMITED_QUERIES,
                                    most_queries=int(self.facts["queries"]) - LIMITED_QUERIES)
                found["ef_search"] = ef
                self.bench.results.add([found], variant=f"limited, {recall:g}", **self.keys)
                server.stop()
        finally:
            server.settings = in_memory
            if server.process is not None:
                server.stop()
            server.start()


def cached_bytes(files):
    """Of these files, what is in memory."""
    sizes = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *map(os.fspath, files)],
                           capture_output=True, text=True, check=True).stdout
    return float(sum(map(int, re.findall(r"\d+", sizes))))


def measure(bench, peer, way, dataset, limit):
    """Returns the limit: that of the first way is made of what it takes itself."""
    index = Index(bench, peer, way, dataset)
    bench.say(f"memory {dataset.name} {way.label}")
    if not index.build():
        return limit
    try:
        reached = index.curve()
        sizes = index.sizes()
        bench.results.add([index.numbers | sizes], variant="index", **index.keys)
        if way == WHOLE:
            limit = int(sizes["index_bytes"]) // 4 + FLOOR
            bench.results.add([{"limit_bytes": limit}], section="memory", dataset=dataset.name, variant="limit")
        if limit is not None:
            bench.say(f"memory {dataset.name} {way.label} in {limit / MEGABYTE:.0f} MB")
            index.limited(limit, reached)
    except OSError as error:
        bench.say(f"memory: no limit: {error}")
    finally:
        index.drop()
    bench.results.save()
    return limit


def memory(bench):
    asked = bench.datasets
    if asked == list(bench.scale.datasets):
        asked = [*asked, bench.scale.widest]
    peers = {name: ServerPeer(name, bench.scale, bench.peers.threads,
                              *([bench.peers.pgvector] if name == "pgvector" else []), cluster=f"memory-{name}")
             for name in ("pgvector", "dvec") if name in bench.peers.names}
    try:
        for dataset in asked:
            note_dataset(bench, dataset, data.ensure(dataset))
            limit = None
            for way in WAYS:
                if way.peer in peers:
                    limit = measure(bench, peers[way.peer], way, dataset, limit)
    finally:
        for peer in peers.values():
            peer.destroy()
