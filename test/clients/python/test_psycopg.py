"""psycopg 3 with pgvector-python: parameters and results in text and binary, binary COPY both ways."""

import asyncio

import numpy as np
import psycopg
import pytest
from pgvector import Bit, HalfVector, SparseVector, Vector
from pgvector.psycopg import register_vector, register_vector_async

VALUES = {"vector": Vector([1, 2.5, -3]), "halfvec": HalfVector([1, 2.5, -3]),
          "sparsevec": SparseVector({0: 1, 2: -3.5}, 3), "bit": Bit("101")}


def value_of(column, read):
    """psycopg itself leaves bit strings as they come."""
    if column == "bit" and read is not None:
        return Bit.from_binary(read) if isinstance(read, bytes) else Bit(read)
    return read


@pytest.fixture
def connection(database):
    with psycopg.connect(host=database.host, user=database.user, dbname=database.name,
                         autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        connection.execute("CREATE TABLE items (id bigserial PRIMARY KEY, vector vector(3),"
                           " halfvec halfvec(3), sparsevec sparsevec(3), bit bit(3))")
        yield connection


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("column", VALUES)
def test_round_trip(connection, column, binary):
    placeholder = "%b" if binary else "%t"
    connection.execute(f"INSERT INTO items ({column}) VALUES ({placeholder}), (NULL)",
                       [VALUES[column]])
    cursor = connection.cursor(binary=binary)
    rows = cursor.execute(f"SELECT {column}, {column}::text FROM items ORDER BY id").fetchall()
    [(value, text), (nothing, _)] = rows
    assert value_of(column, value) == VALUES[column] and nothing is None
    assert text == {"vector": "[1,2.5,-3]", "halfvec": "[1,2.5,-3]", "sparsevec": "{1:1,3:-3.5}/3",
                    "bit": "101"}[column]


def test_numpy_and_arrays(connection):
    rows = [np.array([1, 2, 3], dtype=np.float32), np.array([4, 5, 6], dtype=np.float32)]
    connection.cursor().executemany("INSERT INTO items (vector) VALUES (%s)", [[row] for row in rows])
    [[both]] = connection.execute("SELECT array_agg(vector ORDER BY id) FROM items").fetchall()
    assert [list(value.to_list()) for value in both] == [[1, 2, 3], [4, 5, 6]]
    found = connection.execute("SELECT id FROM items WHERE vector = ANY(%s)", [rows[1:]]).fetchall()
    assert found == [(2,)]


@pytest.mark.parametrize("column, operator, opclass", [
    ("vector", "<->", "vector_l2_ops"), ("halfvec", "<=>", "halfvec_cosine_ops"),
    ("sparsevec", "<#>", "sparsevec_ip_ops"), ("bit", "<~>", "bit_hamming_ops")])
def test_nearest(connection, database, column, operator, opclass):
    connection.execute(
        """INSERT INTO items (vector, halfvec, sparsevec, bit)
           SELECT v, v, v, binary_quantize(v)
           FROM generate_series(1, 200) i, LATERAL (SELECT ARRAY[i, 100 - i, 1]::vector(3)) AS d (v)""")
    connection.execute(f"CREATE INDEX nearest ON items USING hnsw ({column} {opclass})")
    query = f"SELECT {column} {operator} %s FROM items ORDER BY 1 LIMIT 5"
    connection.execute("SET enable_indexscan = off; SET enable_seqscan = on")
    exact = connection.execute(query, [VALUES[column]]).fetchall()
    connection.execute("SET enable_indexscan = on; SET enable_seqscan = off")
    assert connection.execute(query, [VALUES[column]], prepare=True).fetchall() == exact
    assert database.scans() == {"nearest": 1}


def test_binary_copy(connection):
    columns = list(VALUES)
    types = ["int8", *columns]
    values = list(VALUES.values())
    with connection.cursor().copy(f"COPY items (id, {', '.join(columns)}) FROM STDIN"
                                  " (FORMAT binary)") as copy:
        copy.set_types(types)
        for number in range(500):
            copy.write_row([number, *values])
        copy.write_row([500, *[None] * len(values)])
    with connection.cursor(binary=True).copy(
            f"COPY (SELECT id, {', '.join(columns)} FROM items ORDER BY id) TO STDOUT"
            " (FORMAT binary)") as copy:
        copy.set_types(types)
        rows = list(copy.rows())
    assert len(rows) == 501
    for number, row in enumerate(rows[:500]):
        assert row[0] == number
        assert [value_of(*field) for field in zip(columns, row[1:])] == values
    assert rows[500][1:] == (None,) * len(values)


def test_errors_have_their_sqlstate(connection):
    with pytest.raises(psycopg.errors.DataException) as raised:
        connection.execute("INSERT INTO items (vector) VALUES (%s)", [Vector([1, 2])])
    assert raised.value.diag.message_primary == "expected 3 dimensions, not 2"


def test_async(database):
    async def run():
        async with await psycopg.AsyncConnection.connect(
                host=database.host, user=database.user, dbname=database.name) as connection:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            await register_vector_async(connection)
            cursor = await connection.execute("SELECT %s::vector + %s::vector",
                                              [Vector([1, 2]), Vector([3, 4])])
            return await cursor.fetchone()
    [total] = asyncio.run(run())
    assert total == Vector([4, 6])
