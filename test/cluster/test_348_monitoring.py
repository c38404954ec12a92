"""monitoring/: the query gives the metrics, each rule fires in the state that it is about and in no other, and what the
rules and the dashboard name is there. Servers are brought into those states; the times of samples are made up."""

import json
import pathlib
import re
import shutil

import pytest
import yaml

import answers
import replicas
import vectors
from cluster import wait_until
from promql import Evaluation, seconds
from test_210_failed_sync import insert_until_it_fails
from test_331_stopped_worker import in_thread
from worker import stop_in_its_sleep, stopped, wait_until_linked

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
POSTGRES_EXPORTER = yaml.safe_load((MONITORING / "postgres_exporter.yaml").read_text(encoding="utf-8"))["dvec_index"]
SQL_EXPORTER = yaml.safe_load((MONITORING / "sql_exporter.yaml").read_text(encoding="utf-8"))
RULES = {rule["alert"]: rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
         for rule in group["rules"]}
LABELS = ["datname", "index", "table"]
METRICS = {name: meaning["usage"].lower() for column in POSTGRES_EXPORTER["metrics"]
           for name, meaning in column.items() if meaning["usage"] != "LABEL"}
DIMENSIONS = 64
MINUTE = 60


def samples(connection):
    """What an exporter would hand out now."""
    cursor = connection.execute(POSTGRES_EXPORTER["query"])
    names = [column.name for column in cursor.description]
    assert sorted(names) == sorted(LABELS + list(METRICS)), "the query gives other columns than the file says"
    result = {}
    for row in cursor.fetchall():
        row = dict(zip(names, row))
        labels = frozenset((label, row[label]) for label in LABELS)
        result |= {(f"dvec_index_{name}", labels): float(row[name]) for name in METRICS if row[name] is not None}
    return result


def lasting(values, since, minutes=20):
    """A history in which nothing changes from then on."""
    return [(since + MINUTE * minute, values) for minute in range(minutes)]


def firing(history):
    """The rules that fire at the end of a history: their expressions have held for as long as they say."""
    end = history[-1][0]
    result = {}
    for name, rule in RULES.items():
        held = [set(Evaluation(rule["expr"], history, at).result)
                for at in range(end - seconds(rule.get("for", "0s")), end + 1, MINUTE)]
        if labels := set.intersection(*held):
            result[name] = {dict(series)["index"] for series in labels}
    return result


def check_fires(history, *names, index="items_v_idx"):
    assert firing(history) == {name: {index} for name in names}


@pytest.fixture
def items(make_cluster):
    """A table that is indexed and linked, with all else as usual."""
    def make(**settings):
        cluster = make_cluster(**settings)
        cluster.rows = vectors.clustered(8000, DIMENSIONS, seed=348)
        connection = cluster.connect()
        vectors.make_table(connection, cluster.rows[:490])
        vectors.copy_in(connection, "items", 490, cluster.rows[490:500])
        wait_until_linked(connection)
        return cluster, connection
    return make


def search(connection, times=3):
    answers.force_index(connection, ef_search=10)
    for _ in range(times):
        connection.execute("SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 1) LIMIT 5").fetchall()


def test_stopped_worker(items):
    """Rows are not linked, searches look at all of them, and the log is not checkpointed."""
    cluster, connection = items(dvec__log_max_size="2MB", dvec__log_segment_size="256kB", dvec__tail_limit="1GB")
    search(connection)
    before = samples(connection)
    search(connection)
    healthy = lasting(before, 0) + lasting(samples(connection), 20 * MINUTE)
    check_fires(healthy)
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        first = 500

        def log_share():
            state = answers.index_state(connection, "items_v_idx")
            return state["log_bytes"] / (2 << 20)

        while log_share() <= 0.8:
            assert first < len(cluster.rows), "the log does not grow"
            vectors.copy_in(connection, "items", first, cluster.rows[first:first + 200])
            first += 200
        history = healthy
        for minute in range(40, 60):
            search(connection)
            history.append((minute * MINUTE, samples(connection)))
        check_fires(history, "DvecTailLong", "DvecLinkingStands", "DvecLogNearLimit")


def test_waiting_sessions(items):
    cluster, connection = items(dvec__tail_limit="64kB")
    before = samples(connection)
    writer = cluster.connect_for_thread()
    [[pid]] = writer.execute("SELECT pg_backend_pid()").fetchall()
    with stopped(cluster.worker_pid(), stop_in_its_sleep):
        thread, _ = in_thread(writer, "INSERT INTO items SELECT id + 1000, v FROM items CROSS JOIN generate_series(1, 4)")
        wait_until(lambda: answers.index_state(connection, "items_v_idx")["waits"] > 0, "the session waits")
        # It may have lost its patience by then, and the wait is over.
        connection.execute("SELECT pg_cancel_backend(%s)", [pid])
        thread.join()
    after = samples(connection)
    waited = {key: after[key] - before[key] for key in after if key[0] == "dvec_index_wait_seconds_total"}
    [seconds_waited] = waited.values()
    assert seconds_waited > 0
    # A session that waits so all the time, seen once a minute.
    history = [(minute * MINUTE, before | {key: before[key] + more * (minute * MINUTE / seconds_waited)
                                           for key, more in waited.items()}) for minute in range(20)]
    assert "DvecSessionsWait" in firing(history)
    assert "DvecSessionsWait" not in firing(lasting(before, 0))


def is_at_rest(connection):
    """Nothing is repaired or linked, which would fire other rules if it lasted as long as the samples pretend."""
    state = answers.index_state(connection, "items_v_idx")
    return state["state"] == "ready" and state["tail"] == 0


def test_damage(items):
    cluster, connection = items()
    before = samples(connection)
    [nodes] = cluster.folder_of("items_v_idx").glob("nodes.*")
    with open(nodes, "r+b") as file:
        size = nodes.stat().st_size
        for offset in range(4096 + 200, size // 2, 997):
            file.seek(offset)
            file.write(b"\xa5")
    assert connection.execute("SELECT * FROM dvec_check('items_v_idx', heap => false)").fetchall()
    wait_until(lambda: is_at_rest(connection), "it is repaired, and linked", 60)
    check_fires(lasting(before, 0) + lasting(samples(connection), 20 * MINUTE), "DvecDamage")


def test_failed_sync(items):
    cluster, connection = items(faults=True, dvec__log_segment_size="16MB", dvec__checkpoint_timeout="1s",
                                dvec__log_flush_interval="20ms")
    before = samples(connection)
    insert_until_it_fails(cluster, "log", 1000)
    # The session that hears of it first raises its error before the failure is counted.
    wait_until(lambda: connection.execute("SELECT failed_syncs > 0 FROM dvec_stat_indexes "
                                          "WHERE index = 'items_v_idx'::regclass").fetchone()[0], "it is counted")
    wait_until(lambda: is_at_rest(connection), "it is built anew, and linked", 60)
    check_fires(lasting(before, 0) + lasting(samples(connection), 20 * MINUTE), "DvecSyncFailed")


def test_repair_that_fails(make_cluster):
    cluster = make_cluster()
    connection = cluster.connect()
    connection.execute("CREATE FUNCTION part(v vector) RETURNS vector LANGUAGE sql IMMUTABLE "
                       "AS 'SELECT subvector(v, 1, 4)' SET search_path = public")
    vectors.make_table(connection, vectors.clustered(300, 8, seed=349))
    connection.execute("CREATE INDEX parts ON items USING hnsw ((part(v)::vector(4)) vector_l2_ops)")
    connection.execute("ALTER FUNCTION part RESET search_path")
    folder = cluster.folder_of("parts")
    cluster.stop()
    shutil.rmtree(folder)
    cluster.start()
    connection = cluster.connect()
    plan = "EXPLAIN SELECT id FROM items ORDER BY part(v)::vector(4) <-> '[1,2,3,4]' LIMIT 5"

    def is_to_be_repaired():
        connection.execute(plan)
        return connection.execute("SELECT 1 FROM dvec_indexes WHERE index = 'parts'::regclass "
                                  "AND state IN ('needs_repair', 'repairing')").fetchall()

    wait_until(is_to_be_repaired, "the index is to be repaired")
    wait_until(lambda: "parts" in cluster.log_text() and "subvector" in cluster.log_text(), "the repair fails")
    wait_until(lambda: answers.index_state(connection, "parts")["state"] == "needs_repair", "it waits for the next attempt")
    check_fires(lasting(samples(connection), 0), "DvecRepairStuck", index="parts")


def test_standby_whose_follower_stands(make_cluster, standbys):
    primary = make_cluster(**replicas.PRIMARY)
    vectors.make_table(primary.connect(), vectors.clustered(300, 8, seed=350))
    standby = standbys.make(primary)
    replicas.wait_until_followed(standby)
    replicas.wait_until_taken_in(standby, primary)
    connection = standby.connect()
    check_fires(lasting(samples(connection), 0))
    with stopped(standby.child("dvec follower"), stop_in_its_sleep):
        primary.sql("SELECT pg_logical_emit_message(false, 'monitoring', repeat('x', 1000000)) FROM generate_series(1, 18)")
        replicas.wait_until_replayed(standby, primary)
        check_fires(lasting(samples(connection), 0), "DvecStandbyBehind")


def test_standby_that_waits_for_a_lock(make_cluster, standbys):
    """Its follower reads all WAL, and one page of the table later: queries go on with the index."""
    primary = make_cluster(**replicas.PRIMARY)
    vectors.make_table(primary.connect(), vectors.clustered(300, 8, seed=350))
    standby = standbys.make(primary)
    replicas.wait_until_followed(standby)
    replicas.wait_until_taken_in(standby, primary)
    connection = standby.connect()
    locking = primary.connect(autocommit=False)
    locking.execute("INSERT INTO items SELECT id + 1000, v FROM items LIMIT 10")
    locking.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    primary.sql("SELECT pg_logical_emit_message(false, 'monitoring', repeat('x', 1000000)) FROM generate_series(1, 18)")
    replicas.wait_until_replayed(standby, primary)
    [[behind]] = connection.execute("SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), reconcile_lsn) FROM dvec_indexes")
    assert behind > 16 << 20, "the index has all of the table"
    wait_until(lambda: connection.execute("SELECT read_lsn >= pg_last_wal_replay_lsn() FROM dvec_indexes").fetchall()
               == [(True,)], "all WAL is read")
    taken = samples(connection)
    assert [value for (name, _), value in taken.items() if name == "dvec_index_pages_behind"] == [1]
    check_fires(lasting(taken, 0))
    locking.rollback()


def test_files_agree():
    """Both exporters give the same metrics; the rules and the dashboard use what there is, and each rule is documented."""
    [query] = SQL_EXPORTER["queries"]
    assert query["query"] == POSTGRES_EXPORTER["query"]
    assert {metric["metric_name"]: metric["type"] for metric in SQL_EXPORTER["metrics"]} == {
        f"dvec_index_{name}": kind for name, kind in METRICS.items()}
    for metric in SQL_EXPORTER["metrics"]:
        assert metric["key_labels"] == LABELS and metric["metric_name"] == f"dvec_index_{metric['values'][0]}"
    for name, kind in METRICS.items():
        assert (kind == "counter") == name.endswith("_total"), name
    known = {f"dvec_index_{name}" for name in METRICS}
    dashboard = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))
    variables = {"$database": ".*", "$index": ".*", "$__rate_interval": "5m"}
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for expression in shown + [rule["expr"] for rule in RULES.values()]:
        for variable, value in variables.items():
            expression = expression.replace(variable, value)
        used = Evaluation(expression, [], 0).metrics
        assert used and used <= known, f"{expression} names {used - known}"
    documented = set(re.findall(r"\*\*(Dvec\w+)\*\*", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    assert documented == set(RULES)
