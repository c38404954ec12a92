"""Who may read the folder of the sidecars, and when what is in it goes."""

import stat

import psycopg
import pytest

import vectors
from cluster import wait_until
from worker import wait_until_linked


def modes(cluster):
    """The permissions of everything in $PGDATA/dvec: those of folders, those of files."""
    root = cluster.data / "dvec"
    paths = [root, *root.rglob("*")]
    return ({stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()},
            {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()})


@pytest.mark.parametrize("group", [False, True], ids=["owner", "group"])
def test_follows_the_data_directory(make_cluster, group):
    cluster = make_cluster(start=False)
    # As initdb --allow-group-access makes it; what is there already is the administrator's to change.
    cluster.data.chmod(0o750 if group else 0o700)
    (cluster.data / "dvec/starts").unlink()
    cluster.start()
    connection = cluster.connect()
    rows = vectors.clustered(300, 8, seed=336)
    vectors.make_table(connection, rows)
    vectors.copy_in(connection, "items", 1000, rows)
    wait_until_linked(connection)
    assert modes(cluster) == (({0o750}, {0o640}) if group else ({0o700}, {0o600}))


@pytest.fixture
def unswept(make_cluster):
    """Nothing but the statement itself removes what it leaves."""
    cluster = make_cluster(faults=True, dvec__sweep_interval="1d")
    connection = cluster.connect()
    connection.execute("CREATE TABLE items (id integer, v vector(64))")
    vectors.copy_in(connection, "items", 0, vectors.clustered(3000, 64, seed=337))
    return cluster, connection


def build_in_which(connection, call):
    """A build that calls the function when it has read most of the rows."""
    connection.execute(f"CREATE FUNCTION reached(id integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS "
                       f"$$ BEGIN IF id = 2900 THEN PERFORM {call}; END IF; RETURN true; END $$")
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops) WHERE reached(id)")


def test_cancelled_build(unswept):
    cluster, connection = unswept
    before = cluster.folders()
    with pytest.raises(psycopg.errors.QueryCanceled):
        build_in_which(connection, "pg_cancel_backend(pg_backend_pid())")
    assert cluster.folders() == before


def test_terminated_build(unswept):
    cluster, _ = unswept
    before = cluster.folders()
    victim = cluster.connect_for_thread()
    with pytest.raises(psycopg.OperationalError):
        build_in_which(victim, "pg_terminate_backend(pg_backend_pid())")
    victim.close()
    wait_until(lambda: cluster.folders() == before, "nothing is left")


@pytest.mark.parametrize("files", ["nodes", "upper", "checkpoint"])
def test_build_on_a_full_disk(unswept, files):
    cluster, connection = unswept
    before = cluster.folders()
    with cluster.faults.in_force("no_space", files), pytest.raises(psycopg.errors.DiskFull):
        connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops) ")
    assert cluster.folders() == before
    connection.execute("CREATE INDEX ON items USING hnsw (v vector_l2_ops) ")
    assert len(cluster.folders()) == len(before) + 1
