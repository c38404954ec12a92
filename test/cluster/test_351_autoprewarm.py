"""What was searched before the machine went down is in memory again after it has come up, without a query."""

import os
import re
import struct

import pytest

import vectors
from cluster import wait_until
from replicas import PRIMARY, Replicas
from test_343_prewarm import bytes_in_memory, forget, mostly_in_memory

ROWS = vectors.clustered(4000, 64, seed=351)
QUERY = f"'{vectors.text(ROWS[7])}'"
FILES = ("nodes.1", "upper.1")


def search(connection, table, times=1):
    connection.execute("SET enable_seqscan = off")
    for _ in range(times):
        connection.execute(f"SELECT id FROM {table} ORDER BY v <-> {QUERY} LIMIT 5").fetchall()


def make_tables(cluster, *names):
    connection = cluster.connect()
    for name in names:
        vectors.make_table(connection, ROWS, name)
    return {name: cluster.folder_of(f"{name}_v_idx") for name in names}


def forget_graph(folder):
    """As a machine that was switched off has. Of the two files the first is the one that counts."""
    for name in FILES:
        forget(folder / name)
    if bytes_in_memory(folder / FILES[0]) > 0:
        pytest.skip("this file system keeps what is to be dropped")


def is_in_memory(folder):
    return all(mostly_in_memory(folder / name) for name in FILES)


def outcomes(cluster):
    """What the worker has said, by start."""
    return [line for line in cluster.log_text().splitlines() if "dvec worker prewarmed" in line]


def await_outcome(cluster, number=1):
    wait_until(lambda: len(outcomes(cluster)) >= number, f"{number} times prewarmed")
    return outcomes(cluster)[number - 1]


def noted(cluster):
    """File numbers in dvec/searched, those searched most first; nothing where there is no such file."""
    try:
        image = (cluster.data / "dvec/searched").read_bytes()
    except FileNotFoundError:
        return None
    magic, version, count, _ = struct.unpack_from("<IIII", image)
    assert (magic, version) == (0x48435644, 1)
    return [struct.unpack_from("<IIIId", image, 16 + 24 * number)[2] for number in range(count)]


def number_of(folder):
    return int(folder.name.split("_")[2])


def test_what_was_searched_comes_back(make_cluster):
    cluster = make_cluster()
    folders = make_tables(cluster, "searched", "resting")
    search(cluster.connect(), "searched")
    cluster.stop()
    assert noted(cluster) == [number_of(folders["searched"])]
    for folder in folders.values():
        forget_graph(folder)
    cluster.start()
    wait_until(lambda: is_in_memory(folders["searched"]), "the index is in memory")
    size = sum((folders["searched"] / name).stat().st_size for name in FILES) // 1024
    said = await_outcome(cluster)
    assert f"prewarmed 1 of 1 indexes: {size} kB, of which {size} kB were not in memory" in said
    assert bytes_in_memory(folders["resting"] / "nodes.1") == 0
    # The machine stays up: what is in memory is not read again, and nothing forgotten although nobody searches.
    # A machine that needs memory may have taken pages, but not most of them.
    cluster.restart()
    read_again = int(re.search("of which ([0-9]+) kB were not in memory", await_outcome(cluster, 2)).group(1))
    assert read_again < size / 2
    assert noted(cluster) == [number_of(folders["searched"])]


def test_after_a_crash(make_cluster):
    """The first search of an index is noted soon."""
    cluster = make_cluster()
    folders = make_tables(cluster, "items")
    search(cluster.connect(), "items")
    wait_until(lambda: noted(cluster), "the index is noted")
    cluster.kill()
    forget_graph(folders["items"])
    cluster.start()
    wait_until(lambda: is_in_memory(folders["items"]), "the index is in memory")


def test_the_most_searched_come_first(make_cluster):
    cluster = make_cluster()
    folders = make_tables(cluster, "a", "b", "c")
    connection = cluster.connect()
    for table, times in (("a", 3), ("b", 9), ("c", 6)):
        search(connection, table, times)
    cluster.stop()
    assert noted(cluster) == [number_of(folders[name]) for name in "bca"]
    # Searches of before are counted.
    cluster.start()
    search(cluster.connect(), "a", 5)
    cluster.stop()
    assert noted(cluster) == [number_of(folders[name]) for name in "bac"]


def spoilt(image, damage):
    other = bytearray(image)
    if damage == "flipped":
        other[-1] ^= 1
    elif damage == "newer":
        other[4] += 1
    return {"short": image[:-1], "empty": b"", "text": b"x" * 4000}.get(damage, bytes(other))


def begin_with_damaged(cluster, damage):
    """Starts the server with such a list; returns the folder of the index that it would name."""
    folder = make_tables(cluster, "items")["items"]
    search(cluster.connect(), "items")
    cluster.stop()
    path = cluster.data / "dvec/searched"
    image = spoilt(path.read_bytes(), damage)
    path.write_bytes(image)
    forget_graph(folder)
    cluster.start()
    make_tables(cluster, "others")
    search(cluster.connect(), "others")
    return folder, image


def test_a_damaged_file_is_none(make_cluster):
    """On a server for each kind of damage, which wait at the same time."""
    begun = [(cluster, *begin_with_damaged(cluster, damage)) for damage in ("flipped", "short", "empty", "text", "newer")
             for cluster in [make_cluster()]]
    for cluster, folder, image in begun:
        path = cluster.data / "dvec/searched"
        # By the time that another index is noted, this one would have been read.
        wait_until(lambda: path.read_bytes() != image, "the file is made anew")
        assert len(noted(cluster)) == 1
        assert bytes_in_memory(folder / "nodes.1") == 0
        assert outcomes(cluster) == []
    cluster.restart()
    assert "prewarmed 1 of 1 indexes" in await_outcome(cluster)


def test_turned_off(make_cluster):
    cluster = make_cluster()
    folders = make_tables(cluster, "items")
    search(cluster.connect(), "items")
    cluster.stop()
    forget_graph(folders["items"])
    cluster.configure(dvec__autoprewarm="off")
    (cluster.data / "dvec/searched").rename(cluster.data / "kept")
    cluster.start()
    search_others = make_tables(cluster, "others")
    search(cluster.connect(), "others")
    cluster.stop()
    assert noted(cluster) is None
    (cluster.data / "kept").rename(cluster.data / "dvec/searched")
    cluster.start()
    assert cluster.sql("SHOW dvec.autoprewarm") == [("off",)]
    cluster.configure(dvec__autoprewarm="on")
    cluster.sql("SELECT pg_reload_conf()")
    # From now on searches are noted.
    search(cluster.connect(), "others")
    wait_until(lambda: number_of(search_others["others"]) in noted(cluster), "the search is noted")
    assert bytes_in_memory(folders["items"] / "nodes.1") == 0
    assert outcomes(cluster) == []


def test_an_index_that_was_dropped(make_cluster):
    cluster = make_cluster(dvec__sweep_interval="1s")
    folders = make_tables(cluster, "kept", "dropped")
    connection = cluster.connect()
    for table in folders:
        search(connection, table)
    cluster.stop()
    path = cluster.data / "dvec/searched"
    before = path.read_bytes()
    cluster.start()
    assert "prewarmed 2 of 2 indexes" in await_outcome(cluster)
    cluster.sql("DROP TABLE dropped")
    cluster.sql("CHECKPOINT")
    wait_until(lambda: not folders["dropped"].exists(), "the folder is gone")
    cluster.stop()
    assert noted(cluster) == [number_of(folders["kept"])]
    # Dropped while the list was not written.
    path.write_bytes(before)
    forget_graph(folders["kept"])
    cluster.start()
    assert "prewarmed 1 of 2 indexes" in await_outcome(cluster, 2)
    assert is_in_memory(folders["kept"])


def test_a_list_that_cannot_be_written(make_cluster):
    """That is reported once, and keeps nobody from searching."""
    cluster = make_cluster(faults=True)
    make_tables(cluster, "items", "others")
    connection = cluster.connect()
    with cluster.faults.in_force("fail_sync", "searched.new"):
        search(connection, "items")
        wait_until(lambda: "searched.new" in cluster.log_text(), "the failure is reported")
        search(connection, "others")
    assert noted(cluster) is None
    cluster.stop()
    assert len(noted(cluster)) == 2
    assert cluster.log_text().count("searched.new") == 1


def test_on_a_standby(make_cluster):
    primary = make_cluster(**PRIMARY)
    make_tables(primary, "items")
    with_standby = Replicas()
    try:
        standby = with_standby.make(primary)
        folder = standby.data / "dvec" / primary.folder_of("items_v_idx").name
        session = standby.connect()
        session.execute("SET enable_seqscan = off")

        def is_noted():
            search(session, "items")
            return noted(standby)

        wait_until(is_noted, "a search of the standby's own index is noted", 60)
        standby.stop()
        for name in os.listdir(folder):
            forget(folder / name)
        if bytes_in_memory(folder / "nodes.1") > 0:
            pytest.skip("this file system keeps what is to be dropped")
        standby.start()
        assert "prewarmed 1 of 1 indexes" in await_outcome(standby)
        assert is_in_memory(folder)
    finally:
        with_standby.destroy()
