"""What a search with a target finds, and what it costs beside the best fixed ef: the least one with which the same
queries reach the target on average. The queries were held out, or drawn as the vectors were; the index measured itself
by its own rows. Processor time is that of one session, from the kernel's accounting of its process; the two ways take
turns, query by query, and the least of some repetitions counts, so others may use the machine.
"""

import dataclasses
import time

from harness import data, plan
from harness.filters import GENERIC, least_used
from harness.limits import Session, vectors

TARGETS = (0.9, 0.95, 0.99)
QUERIES = 3000  # of the sets that we make: those of large ones differ much, and so does the recall of a thousand
TIMED = 100  # of them
MOST_EF = 10000
LONGEST_MEASUREMENT = 600  # seconds


def of_target(target):
    return f"SET dvec.target_recall = {target}; SET enable_seqscan = off"


def of_ef(ef):
    return f"SET dvec.ef_search = {ef}; SET enable_seqscan = off"


class Measured:
    """An index that has measured its curve."""

    def __init__(self, bench, dataset):
        self.peer, self.dataset, self.files = bench.peers["dvec"], dataset, data.ensure(dataset)
        self.table = self.peer.load(dataset, self.files)
        self.peer.ensure_index(dataset, self.table)
        self.peer.wait_for_tail(self.table)
        self.query = self.peer.nearest(dataset, self.table)
        self.session = Session(self.peer.server)
        self.recalls = {}
        self.seconds = self.wait_for_curve()

    def wait_for_curve(self):
        began = time.monotonic()
        connection = self.session.connection
        connection.execute(of_target(TARGETS[0]))
        connection.execute(f"SELECT id FROM {self.table} ORDER BY v {self.dataset.operator} "
                           f"(SELECT v FROM {self.table} LIMIT 1) LIMIT 1")
        while not connection.execute(f"SELECT FROM dvec_recall_curve('{self.table}_hnsw') LIMIT 1").fetchall():
            if time.monotonic() > began + LONGEST_MEASUREMENT:
                raise SystemExit(f"targets: {self.dataset.name} has no curve")
            time.sleep(0.05)
        connection.execute("RESET ALL")
        return time.monotonic() - began

    def recall(self, setup):
        """Of all queries."""
        if setup not in self.recalls:
            self.recalls[setup] = self.peer.client(self.files, self.query, setup, 1, 0.01, True)["recall"]
        return self.recalls[setup]

    def chosen_ef(self, target):
        self.session.connection.execute("RESET ALL;" + of_target(target))
        [ef] = self.session.connection.execute(f"SELECT dvec_ef_search('{self.table}_hnsw', {plan.K})").fetchone()
        return ef

    def best_ef(self, target):
        """The least that reaches the target; None where none does."""
        if self.recall(of_ef(MOST_EF)) < target:
            return None
        low, high = plan.K, MOST_EF
        if self.recall(of_ef(low)) >= target:
            return low
        # Doubling first: wide searches take long.
        ef = 2 * low
        while ef < high and self.recall(of_ef(ef)) < target:
            low, ef = ef, 2 * ef
        high = min(ef, high)
        while high - low > max(1, low // 100):
            middle = (low + high) // 2
            low, high = (low, middle) if self.recall(of_ef(middle)) >= target else (middle, high)
        return high

    def times(self, setups):
        """Microseconds of a query for each setup."""
        asking = list(vectors(self.files.queries, TIMED))
        used = dict.fromkeys(setups, 0)
        connection = self.session.connection
        query = self.query.replace("$1", "%s")
        for vector in asking:
            for setup in setups:
                connection.execute("RESET ALL;" + GENERIC + setup)
                connection.execute(query, [vector], prepare=True)
                used[setup] += least_used(self.session, lambda: connection.execute(query, [vector], prepare=True))
        connection.execute("DEALLOCATE ALL")
        return {setup: each / len(asking) for setup, each in used.items()}


def measure(bench, dataset):
    index = Measured(bench, dataset)
    keys = dict(section="targets", dataset=dataset.name, peer="dvec")
    bench.results.add([{"seconds": index.seconds}], **keys)
    for target in TARGETS:
        aimed, best = of_target(target), index.best_ef(target)
        numbers = {"ef": index.chosen_ef(target), "recall": index.recall(aimed)}
        if best is not None:
            used = index.times([aimed, of_ef(best)])
            numbers |= {"best_ef": best, "best_recall": index.recall(of_ef(best)), "cpu_us": used[aimed],
                        "best_cpu_us": used[of_ef(best)], "cpu_ratio": used[aimed] / used[of_ef(best)]}
        bench.results.add([numbers], variant=target, **keys)
        bench.say(f"targets {dataset.name} {target}: {numbers}")


def targets(bench):
    asked = bench.datasets
    if asked == list(bench.scale.datasets):
        asked = [*asked, bench.scale.words, *bench.scale.filters]
    for dataset in dict.fromkeys(asked):
        if dataset.source == "clustered":
            dataset = dataclasses.replace(dataset, queries=QUERIES)
        bench.say(f"targets {dataset.name}")
        measure(bench, dataset)
        bench.results.save()
