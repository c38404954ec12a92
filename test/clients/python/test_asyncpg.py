"""asyncpg with pgvector-python: it knows no text format, and copies in binary only."""

import asyncio
import io

import asyncpg
from pgvector import HalfVector, SparseVector, Vector
from pgvector.asyncpg import register_vector


def run(database, steps):
    async def body():
        connection = await asyncpg.connect(host=database.host, user=database.user,
                                           database=database.name)
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await register_vector(connection)
            await connection.execute("CREATE TABLE items (id bigint, v vector(3), h halfvec(3),"
                                     " s sparsevec(3), b bit(3))")
            await steps(connection)
        finally:
            await connection.close()
    asyncio.run(body())


ROW = (1, Vector([1, 2, 3]), HalfVector([1.5, 2, 3]), SparseVector({1: 2}, 3), asyncpg.BitString("101"))


def test_round_trip(database):
    async def steps(connection):
        await connection.execute("INSERT INTO items VALUES ($1, $2, $3, $4, $5)", *ROW)
        await connection.executemany("INSERT INTO items (v) VALUES ($1)", [([4, 5, 6],), (None,)])
        rows = await connection.fetch("SELECT * FROM items ORDER BY v")
        assert tuple(rows[0]) == ROW
        assert rows[1]["v"] == Vector([4, 5, 6]) and rows[2]["v"] is None
    run(database, steps)


def test_nearest(database):
    async def steps(connection):
        await connection.executemany("INSERT INTO items (id, v) VALUES ($1, $2)",
                                     [(i, [i, 0, 1]) for i in range(300)])
        await connection.execute("CREATE INDEX nearest ON items USING hnsw (v vector_l2_ops)")
        statement = await connection.prepare("SELECT id FROM items ORDER BY v <-> $1 LIMIT 3")
        for goal in (17, 250):
            rows = await statement.fetch([goal + 0.2, 0, 1])
            assert [row["id"] for row in rows] == [goal, goal + 1, goal - 1]
        # A cursor takes rows by and by, many more than hnsw.ef_search.
        async with connection.transaction():
            seen = [row["id"] async for row in connection.cursor(
                "SELECT id FROM items ORDER BY v <-> $1", Vector([-1, 0, 1]), prefetch=7)]
        assert seen == list(range(300))
    run(database, steps)
    assert database.scans()["nearest"] == 3


def test_copy(database):
    async def steps(connection):
        records = [(i, *ROW[1:]) for i in range(500)]
        assert await connection.copy_records_to_table("items", records=records) == "COPY 500"
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM items ORDER BY id")] == records
        image = io.BytesIO()
        await connection.copy_from_query("SELECT * FROM items ORDER BY id", output=image, format="binary")
        image.seek(0)
        await connection.execute("CREATE TABLE again (LIKE items)")
        await connection.copy_to_table("again", source=image, format="binary")
        same = "SELECT count(*) FROM items JOIN again USING (id, v, h, s, b)"
        assert await connection.fetchval(same) == 500
    run(database, steps)
