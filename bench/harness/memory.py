"""What a row of an index takes, and what searches pay for its taking less: ways to keep the same vectors (harness/ways.py), of
dvec, of pgvector and of what builds on it, each with its curve of recall against time. Then the same searches by a server that
may use a quarter of what pgvector's index of whole vectors takes, and what a server takes that searches nothing.

An index is built, searched, searched under the limit, and dropped before the next one is built, so there is never a choice
between two. Ways that a server refuses are left out, with what it said.
"""

import contextlib

from harness import data
from harness.indexes import Index, refused
from harness.memory_group import MemoryGroup, forget_pages
from harness.peers import ServerPeer
from harness.sections import note_dataset
from harness.ways import WAYS, WHOLE

MEGABYTE = 1 << 20

# What a server takes that searches nothing, with the settings of below: its processes, its shared memory, and the pages of
# its programs and catalogs.
FLOOR = 64 * MEGABYTE
# Under a limit nobody gives more to shared_buffers than a quarter of the memory.
SHARED_BUFFERS = 4

LIMITED_QUERIES = 50  # whose recall is looked at under the limit
LIMITED_SECONDS = 5  # times those of a point in memory: each query of pgvector may wait for many pages


class LimitedIndex(Index):
    """One that is also searched where memory is short."""

    def limited(self, limit, reached):
        """The same server, started in the group with none of its files in memory."""
        server = self.peer.server
        in_memory = server.settings
        server.settings = in_memory | {"shared_buffers": f"{limit // SHARED_BUFFERS // MEGABYTE}MB", "max_connections": "10"}
        server.stop()
        try:
            for recall, value in reached.items():
                forget_pages(server.data)
                with MemoryGroup(limit):
                    server.start()
                # The measured queries come behind those, and none comes twice: who is fast would find in memory
                # what it has read for the first time.
                found = self.search(value, LIMITED_SECONDS * self.bench.scale.seconds, recall_queries=LIMITED_QUERIES,
                                    first_query=LIMITED_QUERIES,
                                    most_queries=int(self.facts["queries"]) - LIMITED_QUERIES)
                found["ef_search"] = value
                self.bench.results.add([found], variant=f"limited, {recall:g}", **self.keys)
                server.stop()
        finally:
            server.settings = in_memory
            if server.process is not None:
                server.stop()
            server.start()


@contextlib.contextmanager
def extended(bench, server, way):
    """Gives the server the extension that the way needs, and takes it again: the others are measured without. False when
    there is none to give."""
    if not way.extension:
        yield True
        return
    if not server.sql("SELECT name FROM pg_available_extensions WHERE name = %s", [way.extension]):
        yield False
        return
    former = server.settings
    if way.preload:
        server.settings = former | {"shared_preload_libraries": f"{former['shared_preload_libraries']},{way.preload}"}
        server.stop()
        server.start()
    server.sql(f"CREATE EXTENSION {way.extension}")
    version = server.value("SELECT extversion FROM pg_extension WHERE extname = %s", [way.extension])
    bench.results.note("memory", "version", version, way.maker)
    try:
        yield True
    finally:
        server.sql(f"DROP EXTENSION {way.extension}")
        server.settings = former
        server.stop()
        server.start()


def measure(bench, peer, way, dataset, limit):
    """Returns the limit: that of the first way is made of what it takes itself."""
    bench.say(f"memory {dataset.name} {way.label}")
    with extended(bench, peer.server, way) as known:
        if known:
            return measure_index(bench, LimitedIndex(bench, "memory", peer, way, dataset), limit)
    refused(bench, dict(section="memory", dataset=dataset.name, peer=way.label), f"no extension {way.extension}")
    return limit


def measure_index(bench, index, limit):
    way, dataset = index.way, index.dataset
    if not index.build():
        return limit
    try:
        reached = index.curve()
        sizes = index.sizes()
        bench.results.add([index.numbers | sizes], variant="index", **index.keys)
        for metric, words in (("made", index.made), ("curve", index.setting)):
            bench.results.put(dict(index.keys, variant="index", metric=metric, value=" ".join(words.split())))
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
