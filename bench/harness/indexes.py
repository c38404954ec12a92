"""Ways to keep the vectors of a set in an index, and an index that is built in one of them: its size, and its curve of
recall against time."""

import dataclasses
import os
import re
import subprocess

import psycopg

from harness import data
from harness.curves import RECALLS
from harness.plan import EF_CONSTRUCTION, K, M

# Beyond those of the scale: what is found by signs needs many candidates, and so do many rows.
MORE_EFS = (640, 1000)


@dataclasses.dataclass(frozen=True)
class Way:
    """How vectors are kept in an index, here by an access method named hnsw, dvec's or pgvector's: how it is made and asked,
    and what its curve of recall against time goes over. Others are in harness/ways.py."""
    peer: str  # the server that has it
    name: str
    keeps: str = "vector"  # vector, halfvec, or bits: an index on signs, whose candidates the table puts in order
    options: str = ""

    method = "hnsw"
    maker = ""  # of the access method, unless it is the peer itself
    extension = ""  # that the server needs beyond the peer's own
    preload = ""  # the library of it that a server has to start with

    @property
    def label(self):
        return f"{self.maker or self.peer}, {self.name}"

    # ---- making ----

    def key(self, dataset, dimensions):
        return {"vector": f"v {dataset.operator_class}",
                "halfvec": f"(v::halfvec({dimensions})) {dataset.operator_class.replace('vector', 'halfvec')}",
                "bits": f"(binary_quantize(v)::bit({dimensions})) bit_hamming_ops"}[self.keeps]

    def storage(self, _dataset, _rows, _threads):
        """What stands in WITH (...)."""
        return f"m = {M}, ef_construction = {EF_CONSTRUCTION}" + (f", {self.options}" if self.options else "")

    def build_setup(self, _rows, _threads):
        """Statements before CREATE INDEX, in its session."""
        return ""

    # ---- asking ----

    def curve(self, efs, _rows):
        """The setting that the curve goes over, and its values, from the fastest search to the best."""
        return "hnsw.ef_search", tuple(dict.fromkeys((*efs, *MORE_EFS)))

    def setup(self, setting, value):
        """What a session runs before it searches."""
        return f"SET {setting} = '{value}'; SET enable_seqscan = off"

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


class Index:
    """One way to keep the vectors of a data set, on the table of its server."""

    def __init__(self, bench, section, peer, way, dataset, rows=None):
        """The table has the first `rows` vectors only, where that is given."""
        self.bench, self.peer, self.way, self.dataset = bench, peer, way, dataset
        self.files = data.ensure(dataset)
        self.facts = self.files.described()
        self.rows = rows or int(self.facts["base"])
        self.table = peer.load(dataset, self.files, rows=rows)
        self.name = f"{self.table}_index"
        self.keys = dict(section=section, dataset=dataset.name, peer=way.label)
        self.setting, self.values = way.curve(bench.scale.efs, self.rows)

    @property
    def dimensions(self):
        return int(self.facts["dimensions"])

    def build(self):
        """False when the server does not know this way."""
        threads = self.peer.threads
        self.peer.server.sql(f"ALTER TABLE {self.table} SET (parallel_workers = {threads - 1})")
        self.made = (f"USING {self.way.method} ({self.way.key(self.dataset, self.dimensions)}) "
                     f"WITH ({self.way.storage(self.dataset, self.rows, threads)})")
        try:
            self.numbers = self.peer.build(self.way.build_setup(self.rows, threads) +
                                           f"CREATE INDEX {self.name} ON {self.table} {self.made}")
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.FeatureNotSupported,
                psycopg.errors.ProgramLimitExceeded) as error:
            refused(self.bench, self.keys, error)
            return False
        return True

    def drop(self):
        self.peer.server.sql(f"DROP INDEX IF EXISTS {self.name}")

    def sizes(self):
        """Bytes: of the index, of a row in it, and of its files in memory. Of dvec's also by part."""
        rows, server = self.rows, self.peer.server
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

    def search(self, value, seconds, **more):
        query = self.way.query(self.dataset, self.table, self.dimensions, value)
        setup = self.way.setup(self.setting, value)
        self.peer.must_use(f"Index Scan using {self.name}", query, setup, self.table)
        found = self.peer.client(self.files, query, setup, 1, seconds, True, **more)
        if found["rows"] != K:
            raise SystemExit(f"{self.way.label} returned {found['rows']} rows a query, not {K}")
        return found

    def curve(self):
        """As far as the highest recall that is asked for; the first value that reaches each. In the results a value stands as
        ef, whatever the setting."""
        reached = {}
        for value in self.values:
            found = self.search(value, self.bench.scale.seconds)
            self.bench.results.add([found], ef=value, clients=1, **self.keys)
            for recall in RECALLS:
                if found["recall"] >= recall:
                    reached.setdefault(recall, value)
            if len(reached) == len(RECALLS):
                break
        return reached


def refused(bench, keys, why):
    """Notes a way that a server does not know."""
    section, dataset, label = (keys[name] for name in ("section", "dataset", "peer"))
    bench.say(f"{section} {dataset} {label} is left out: {why}")
    bench.results.note(section, "refused", str(why).splitlines()[0], f"{dataset}: {label}")


def cached_bytes(files):
    """Of these files, what is in memory."""
    sizes = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *map(os.fspath, files)],
                           capture_output=True, text=True, check=True).stdout
    return float(sum(map(int, re.findall(r"\d+", sizes))))
