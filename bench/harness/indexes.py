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

    @property
    def dimensions(self):
        return int(self.facts["dimensions"])

    def query(self, ef):
        return self.way.query(self.dataset, self.table, self.dimensions, ef)

    def build(self):
        """False when the server does not know this way."""
        self.peer.server.sql(f"ALTER TABLE {self.table} SET (parallel_workers = {self.peer.threads - 1})")
        options = f"m = {M}, ef_construction = {EF_CONSTRUCTION}"
        if self.way.options:
            options += f", {self.way.options}"
        statement = (f"CREATE INDEX {self.name} ON {self.table} USING hnsw "
                     f"({self.way.key(self.dataset, self.dimensions)}) WITH ({options})")
        try:
            self.numbers = self.peer.build(statement)
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.FeatureNotSupported,
                psycopg.errors.ProgramLimitExceeded) as error:
            section = self.keys["section"]
            self.bench.say(f"{section} {self.dataset.name} {self.way.label} is left out: {error}")
            self.bench.results.note(section, "refused", str(error).splitlines()[0], f"{self.dataset.name}: {self.way.label}")
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


def cached_bytes(files):
    """Of these files, what is in memory."""
    sizes = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *map(os.fspath, files)],
                           capture_output=True, text=True, check=True).stdout
    return float(sum(map(int, re.findall(r"\d+", sizes))))
