"""Conditions that the index checks inside its search give the rows that the table gives: whatever the types
of the columns, the conditions, the values (NULL, NaN, infinities, empty arrays) and the history, kill -9
included.

DVEC_FILTER_TABLES sets how many tables are drawn, DVEC_FILTER_SEED which. A failure prints the seed of the
table, and the question.
"""

import os

import numpy as np
import pytest

from filtered import Tables, prepare

TABLES = int(os.environ.get("DVEC_FILTER_TABLES", "10"))
SEED = int(os.environ.get("DVEC_FILTER_SEED", "420"))
QUESTIONS = 25
PARTS = 2


def connect(cluster):
    connection = cluster.connect()
    # So wide that every row of such tables is measured: what is missing then is missing by mistake.
    connection.execute("SET dvec.ef_search = 1000; SET timezone = 'Europe/Berlin'")
    return connection


def answer(connection, table, question, index):
    for setting in ("seqscan", "sort"):
        connection.execute(f"SET enable_{setting} = {'off' if index else 'on'}")
    return connection.execute(question.replace("{t}", table)).fetchall()


def distances(rows):
    return [distance for _, distance in rows]


def check(connection, tables, question, complete, seed):
    wanted = answer(connection, tables.plain, question, index=False)
    given = answer(connection, tables.indexed, question, index=True)
    what = f"seed {seed}: {tables}\n{question}"
    assert distances(given) == distances(wanted), what
    # Of rows at one distance a LIMIT may take any.
    if complete:
        assert sorted(given) == sorted(wanted), what
    assert len(set(given)) == len(given), f"{what}\na row came twice"


def uses_conditions(connection, table, question):
    plan = connection.execute("EXPLAIN " + question.replace("{t}", table)).fetchall()
    return any("Index Cond: " in line for [line] in plan)


def check_questions(connection, tables, seed):
    checked = 0
    for _ in range(QUESTIONS):
        question, complete = tables.question()
        check(connection, tables, question, complete, seed)
        checked += uses_conditions(connection, tables.indexed, question)
    # Only IS NOT TRUE and IS UNKNOWN cannot be checked by the index.
    assert tables.rows == 0 or checked > QUESTIONS / 2, f"seed {seed}: the index checked {checked}"
    assert connection.execute(
        f"SELECT * FROM dvec_check('{tables.indexed}_v_{'_'.join(c.name for c in tables.columns)}_idx')"
    ).fetchall() == [], f"seed {seed}"


@pytest.mark.parametrize("part", range(PARTS))
def test_filtered_answers_are_those_of_the_table(cluster, part):
    connection = connect(cluster)
    prepare(connection)
    made = []
    for number in range(TABLES // PARTS):
        seed = SEED * 1000 + part * TABLES + number
        tables = Tables(connection, np.random.default_rng(seed), number)
        tables.make()
        check_questions(connection, tables, seed)
        tables.change()
        check_questions(connection, tables, seed)
        made.append((tables, seed))
    cluster.kill()
    cluster.start()
    connection = connect(cluster)
    for tables, seed in made[-6:]:
        tables.connection = connection
        check_questions(connection, tables, seed)
        tables.change()
        connection.execute(f"VACUUM {tables.indexed}")
        check_questions(connection, tables, seed)
