"""A partitioned table whose partitions are on several servers, by postgres_fdw alone."""

import pathlib

import pytest

import vectors
from cluster import BIN
from pgvector_beside import ask_pg_config

DIMENSIONS = 16
PER_SHARD = 1500
OPTIONS = "extensions 'dvec', async_capable 'true'"


def has_postgres_fdw():
    """Whether the tree that tests run in has it: some packages of servers come without."""
    return pathlib.Path(f"{BIN.parent}{ask_pg_config('--sharedir')}/extension/postgres_fdw.control").exists()


needs_postgres_fdw = pytest.mark.skipif(not has_postgres_fdw(), reason="no server with postgres_fdw")


def make_shard(server, number, dbname="postgres"):
    """The table of one partition, with its index."""
    server.sql(f"CREATE TABLE items_{number} (id integer, tenant integer, v vector({DIMENSIONS})); "
               f"CREATE INDEX ON items_{number} USING hnsw (v vector_l2_ops) WITH (ef_search = 100)", dbname=dbname)


def attach(connection, server, number, options="", dbname="postgres", remote=None):
    """Makes a shard known: from then on it is the partition of its number."""
    name = f"shard_{number}"
    connection.execute(
        f"CREATE SERVER {name} FOREIGN DATA WRAPPER postgres_fdw "
        f"OPTIONS (host '{server.home}', port '5432', dbname '{dbname}', {OPTIONS}{options})")
    connection.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (user 'postgres')")
    attach_table(connection, name, number, remote)


def attach_table(connection, server, number, remote=None):
    connection.execute(
        f"CREATE FOREIGN TABLE items_{number} PARTITION OF items "
        f"FOR VALUES FROM ({number * PER_SHARD}) TO ({(number + 1) * PER_SHARD}) "
        f"SERVER {server} OPTIONS (table_name '{remote or f'items_{number}'}')")


def make_sharded(coordinator, servers, options=""):
    """items on `servers`, and a partition on the coordinator behind them; all vectors."""
    connection = coordinator.connect()
    connection.execute("CREATE EXTENSION postgres_fdw")
    connection.execute(
        f"CREATE TABLE items (id integer, tenant integer, v vector({DIMENSIONS})) PARTITION BY RANGE (id)")
    points = vectors.clustered(PER_SHARD * (len(servers) + 1), DIMENSIONS, seed=520)
    for number, server in enumerate(servers):
        make_shard(server, number)
        attach(connection, server, number, options)
    here = len(servers)
    connection.execute(f"CREATE TABLE items_{here} PARTITION OF items "
                       f"FOR VALUES FROM ({here * PER_SHARD}) TO ({(here + 1) * PER_SHARD})")
    connection.execute(f"CREATE INDEX ON items_{here} USING hnsw (v vector_l2_ops) WITH (ef_search = 100)")
    for number, server in enumerate([*servers, coordinator]):
        own = server.connect()
        fill(own, number, points)
        own.execute(f"VACUUM ANALYZE items_{number}")
    return points


def fill(connection, number, points):
    with connection.cursor().copy(f"COPY items_{number} FROM STDIN") as copy:
        for row in range(number * PER_SHARD, (number + 1) * PER_SHARD):
            copy.write_row((row, row % 10, vectors.text(points[row])))
