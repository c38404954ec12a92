"""Test data and exact answers, all from seeds."""

import numpy as np

OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>"}


def clustered(count, dimensions, seed, clusters=64):
    """Points around random centres, as embeddings are: float32[count, dimensions]."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, dimensions))
    points = centres[random.integers(clusters, size=count)]
    return (points + 0.4 * random.normal(size=points.shape)).astype(np.float32)


def text(vector):
    """As the vector type reads it, exactly."""
    return "[" + ",".join(repr(float(x)) for x in vector) + "]"


def distances(metric, rows, query):
    """As the operator of the metric computes them, in double precision."""
    rows = rows.astype(np.float64)
    query = query.astype(np.float64)
    if metric == "l2":
        return np.sqrt(((rows - query) ** 2).sum(axis=1))
    if metric == "ip":
        return -(rows @ query)
    if metric == "cosine":
        return 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    if metric == "l1":
        return np.abs(rows - query).sum(axis=1)
    raise ValueError(metric)


def copy_in(connection, table, first_id, rows):
    """COPY of (id integer, v vector) rows in binary format; ids count up from `first_id`."""
    count, dimensions = rows.shape
    record = np.dtype([("columns", ">i2"), ("id_length", ">i4"), ("id", ">i4"),
                       ("v_length", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"),
                       ("v", ">f4", (dimensions,))])
    image = np.zeros(count, record)
    image["columns"] = 2
    image["id_length"] = 4
    image["id"] = np.arange(first_id, first_id + count)
    image["v_length"] = 4 + 4 * dimensions
    image["dimensions"] = dimensions
    image["v"] = rows
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} (id, v) FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            copy.write(image.tobytes())
            copy.write(b"\xff\xff")


def make_table(connection, rows, table="items", opclass="vector_l2_ops", options="", first_id=0):
    """A table (id, v) of `rows`, with an hnsw index named TABLE_v_idx."""
    connection.execute(f"CREATE TABLE {table} (id integer, v vector({rows.shape[1]}))")
    if len(rows):
        copy_in(connection, table, first_id, rows)
    connection.execute(f"CREATE INDEX ON {table} USING hnsw (v {opclass}) {options}")
