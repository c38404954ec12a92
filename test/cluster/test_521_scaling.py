"""The examples of docs/scaling.md, on three servers: each in its place, as the first word of its comment says, in the
order of the page but for those of replication, which copy a shard that must be there. Those for Citus are not run."""

import re
import textwrap

import numpy as np

import shards
import vectors
from cluster import ROOT, wait_until

BLOCK = re.compile(r"^```sql\n-- (\w+).*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DIMENSIONS = 64
ROWS = 1200


def blocks(kind):
    text = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    return [textwrap.dedent(statements) for place, statements in BLOCK.findall(text) if place == kind]


def run(connection, text, **hosts):
    for name, server in hosts.items():
        text = text.replace(f"'{name.replace('_', '-')}'", f"'{server.home}'").replace(f"host={name} ", f"host={server.home} ")
    return [connection.execute(statement) for statement in text.split(";\n") if statement.strip()]


@shards.needs_postgres_fdw
def test_partitions_on_other_servers(make_cluster):
    coordinator, first, second = (make_cluster(), make_cluster(wal_level="logical"), make_cluster())
    for server in (coordinator, first, second):
        server.sql("DROP EXTENSION dvec")
    [on_shard] = blocks("shard")
    for server in (first, second):
        run(server.connect(), on_shard)
    points = vectors.clustered(ROWS, DIMENSIONS, seed=521)
    with first.connect().cursor().copy("COPY items_a FROM STDIN") as copy:
        for number, point in enumerate(points):
            copy.write_row((number, number % 3 + 1, vectors.text(point)))

    connection = coordinator.connect()
    make, explain, prepare, move, by_hash = blocks("coordinator")
    run(connection, make, shard_a=first)
    # Without a second shard there is nothing to do at once; its search is as long as the LIMIT all the same.
    plan = "\n".join(row[0] for row in run(connection, explain)[0])
    assert "Custom Scan (PartitionMerge)" in plan and "LIMIT 10" in plan and "Async Foreign Scan" in plan
    check_answers(connection, points)
    run(connection, prepare, shard_b=second)
    run(connection, move)
    assert second.sql("SELECT count(*) FROM items_a") == [(ROWS,)]
    check_answers(connection, points)
    check_hash(connection, by_hash, (first, second), points)
    check_replication(coordinator, first, points)


def check_hash(connection, make, servers, points):
    [on_shard] = blocks("shards")
    for server in servers:
        run(server.connect(), on_shard)
    run(connection, make)
    with connection.cursor().copy("COPY documents FROM STDIN") as copy:
        for number, point in enumerate(points):
            copy.write_row((number, vectors.text(point)))
    parts = [server.sql("SELECT count(*) FROM documents")[0][0] for server in servers]
    assert sum(parts) == ROWS and min(parts) > ROWS / 3
    plan = "\n".join(row[0] for row in connection.execute(
        f"EXPLAIN SELECT id FROM documents ORDER BY embedding <-> '{vectors.text(points[0])}' LIMIT 10"))
    assert "Custom Scan (PartitionMerge)" in plan and plan.count("Async Foreign Scan") == 2
    check_answers(connection, points, "documents", {"true": np.full(ROWS, True), "id = 7": np.arange(ROWS) == 7})


TENANTS = {"true": np.full(ROWS, True), "tenant = 2": np.arange(ROWS) % 3 == 1}


def check_answers(connection, points, table="items", conditions=TENANTS):
    """Under each condition, which these rows satisfy."""
    connection.execute("SET hnsw.ef_search = 100")
    for query in vectors.clustered(10, DIMENSIONS, seed=522):
        distances = np.linalg.norm(points - query, axis=1)
        for condition, passes in conditions.items():
            rows = connection.execute(f"SELECT id FROM {table} WHERE {condition} ORDER BY embedding <-> %s::vector LIMIT 10",
                                      [vectors.text(query)]).fetchall()
            wanted = np.argsort(np.where(passes, distances, np.inf))[:min(10, passes.sum())]
            assert len({row[0] for row in rows} & set(wanted.tolist())) >= 0.9 * len(wanted)


def check_replication(subscriber, publisher, points):
    [publish] = blocks("publisher")
    run(publisher.connect(), publish)
    subscriber.sql("CREATE DATABASE copy")
    connection = subscriber.connect("copy")
    subscribe, index = blocks("subscriber")
    run(connection, subscribe, publisher=publisher)
    count, build = index.split(";\n")[:2]
    wait_until(lambda: connection.execute(count).fetchall() == [(0,)], "the table is copied")
    connection.execute(build)
    far = vectors.text(np.full(DIMENSIONS, 99.0))
    publisher.sql(f"INSERT INTO items_a VALUES ({ROWS}, 1, '{far}')")
    wait_until(lambda: connection.execute("SELECT id FROM items_a ORDER BY embedding <-> %s::vector LIMIT 1",
                                          [far]).fetchall() == [(ROWS,)], "the row has come")
    assert connection.execute("SELECT count(*) FROM items_a").fetchall() == [(ROWS + 1,)]
    connection.execute("DROP SUBSCRIPTION searched")
