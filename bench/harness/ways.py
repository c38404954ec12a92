"""The ways to keep vectors in an index that the section `memory` compares: of dvec, of pgvector, and of two extensions that
index pgvector's types, VectorChord and pgvectorscale, where pgvector's server has them."""

import math

from harness.indexes import Way, compact
from harness.plan import K


class VectorChordLists(Way):
    """VectorChord's vchordrq: lists around centroids, with codes of one bit an element; whose lower bound is near enough is
    looked at exactly. Made as its documentation says for that many rows, which have no lists before there are 100,000."""
    method = "vchordrq"
    maker = "VectorChord"
    extension = preload = "vchord"

    @staticmethod
    def lists(rows):
        if rows < 100_000:
            return 0
        return rows // 500 if rows < 2_000_000 else round(4 * math.sqrt(rows))

    def storage(self, dataset, rows, threads):
        lines = [self.options] if self.options else []
        if self.lists(rows):
            lines += ["residual_quantization = true", "[build.internal]", f"lists = [{self.lists(rows)}]",
                      f"spherical_centroids = {'true' if dataset.metric == 'cosine' else 'false'}",
                      f"build_threads = {threads}"]
        return "options = $$\n" + "\n".join(lines) + "\n$$"

    def curve(self, _efs, rows):
        if not self.lists(rows):
            return "vchordrq.epsilon", (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.9, 2.5, 3.2, 4)
        # Fewer lists might not have as many rows as are asked for.
        shares = [share for share in (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
                  if share * rows >= 20 * K]
        return "vchordrq.probes", tuple(dict.fromkeys(max(1, round(share * self.lists(rows))) for share in shares))


class VectorChordMoreLists(VectorChordLists):
    """With as many as the documentation wants at least where there is one level of them."""

    @staticmethod
    def lists(rows):
        return math.ceil(4 * math.sqrt(rows))


class VectorChordGraph(Way):
    """VectorChord's vchordg: a graph, with codes of two bits an element, by its defaults."""
    method = "vchordg"
    maker = "VectorChord"
    extension = preload = "vchord"

    def storage(self, _dataset, _rows, _threads):
        return "options = $$$$"

    def curve(self, efs, rows):
        return "vchordg.ef_search", super().curve(efs, rows)[1]


class DiskAnn(Way):
    """pgvectorscale's diskann by its defaults: a graph of 50 links, with codes of two bits an element below 900 dimensions
    and one bit from there."""
    method = "diskann"
    maker = "pgvectorscale"
    extension = "vectorscale"

    def storage(self, _dataset, _rows, _threads):
        return "storage_layout = memory_optimized"

    def build_setup(self, rows, threads):
        # Before PostgreSQL 17 no index but a btree is given workers, and this asks for none by itself. Its leader waits.
        return f"SET diskann.force_parallel_workers = {threads}; " if rows >= 65_536 else ""

    def curve(self, efs, rows):
        return "diskann.query_rescore", super().curve(efs, rows)[1]

    def setup(self, setting, value):
        # Of the pairs that were tried none found more in less time than those of equal numbers.
        return f"SET diskann.query_search_list_size = {value}; {super().setup(setting, value)}"


# pgvector's whole vectors come first: the limit is made of what they take.
WHOLE = Way("pgvector", "vector")
WAYS = (WHOLE, Way("pgvector", "halfvec", "halfvec"), Way("pgvector", "binary_quantize", "bits"),
        VectorChordLists("pgvector", "vchordrq"), VectorChordMoreLists("pgvector", "vchordrq, more lists"),
        VectorChordLists("pgvector", "vchordrq, vectors in the table", options="rerank_in_table = true"),
        VectorChordGraph("pgvector", "vchordg"), DiskAnn("pgvector", "diskann"),
        Way("dvec", "full"), Way("dvec", "halfvec", "halfvec"), compact(8), compact(4), compact(1))
