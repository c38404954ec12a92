"""Questions put to a table through an index and without one, and what is to be said of the answers."""

import collections
import math

import numpy as np
import psycopg

import answers
from drawn import Check, Drawn, ask

QUESTIONS_PER_TABLE = 25


def rows_of(connection, random, text):
    """By a plain statement, a prepared one with a generic plan, or a cursor that fetches in steps."""
    way = random.choice(["plain", "plain", "prepared", "cursor"])
    if way == "prepared":
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.execute("DEALLOCATE ALL")
        connection.execute(f"PREPARE asked AS {text}")
        return [connection.execute("EXECUTE asked").fetchall() for _ in range(2)][1]
    if way == "cursor":
        connection.execute(f"DECLARE asked NO SCROLL CURSOR FOR {text}")
        rows = []
        for step in (1, 7, 50, None):
            rows += connection.execute(f"FETCH {step or 'ALL'} FROM asked").fetchall()
        return rows
    return connection.execute(text).fetchall()


def number(value):
    """As PostgreSQL sorts: NaN above all, NULL above that."""
    if value is None:
        return (2, 0.0)
    return (1, 0.0) if math.isnan(value) else (0, float(value))


def in_order(column, falling):
    return all((a >= b) if falling else (a <= b) for a, b in zip(column, column[1:]))


class Judge:
    def __init__(self):
        self.wanted = self.found = 0

    def complaint(self, asked, exact, answer):
        """What is wrong with the answer; nothing when all is well."""
        if asked.check == Check.SET:
            # As text: not a number is not equal to itself.
            missing = collections.Counter(map(repr, exact)) - collections.Counter(map(repr, answer))
            extra = collections.Counter(map(repr, answer)) - collections.Counter(map(repr, exact))
            return f"missing {list(missing)[:5]}, too many {list(extra)[:5]}" if missing or extra else None
        if asked.distance is None:  # several nearest queries side by side
            return None if len(exact) == len(answer) else f"{len(answer)} rows, not {len(exact)}"
        by_index = [number(row[asked.distance]) for row in answer]
        by_table = [number(row[asked.distance]) for row in exact]
        if not in_order(by_index, asked.falling):
            return "not in order"
        if asked.check == Check.SAME:
            return None if sorted(map(repr, exact)) == sorted(map(repr, answer)) else "other rows"
        return self.complaint_of_nearest(asked, by_table, by_index, answer)

    def complaint_of_nearest(self, asked, by_table, by_index, answer):
        # Rows without a distance are in no index: where such come last the index may end before them.
        if asked.nulls_last():
            by_table = [d for d in by_table if d[0] == 0]
            by_index = [d for d in by_index if d[0] == 0]
        if len(by_table) != len(by_index):
            return f"{len(by_index)} rows, not {len(by_table)}"
        if len(set(answer)) != len(answer):
            return "a row twice"
        self.wanted += len(by_table)
        self.found += sum((collections.Counter(by_table) & collections.Counter(by_index)).values())
        return None


def check_answers(connection, seed, draws, method="hnsw"):
    """Puts so many questions to tables with an index of that access method."""
    random = np.random.default_rng(seed)
    judge, wrong, tables = Judge(), [], 0
    for draw in range(draws):
        if draw % QUESTIONS_PER_TABLE == 0:
            if draw:
                drawn.drop()
            drawn = Drawn(connection, random, tables, method)
            tables += 1
        asked = ask(drawn, random)
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL enable_indexscan = off")
            exact = connection.execute(asked.text.replace("{t}", drawn.plain)).fetchall()
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL hnsw.ef_search = 200")
            if random.random() < 0.6:
                connection.execute("SET LOCAL enable_seqscan = off")
                connection.execute("SET LOCAL enable_bitmapscan = off")
            if random.random() < 0.3:
                connection.execute("SET LOCAL enable_sort = off")
            text = asked.text.replace("{t}", drawn.indexed)
            try:
                answer = rows_of(connection, random, text)
            except psycopg.Error as error:
                raise AssertionError(f"seed {seed}, draw {draw}, {drawn}\n{text}") from error
            complaint = judge.complaint(asked, exact, answer)
            if complaint:
                wrong.append(f"draw {draw}, {drawn}: {complaint}\n{text}\n{answers.plan_of(connection, text)}\n"
                             f"exact  {exact[:8]}\nindex  {answer[:8]}")
    assert not wrong, f"seed {seed}: {len(wrong)} of {draw + 1}\n" + "\n\n".join(wrong[:10])
    recall = judge.found / max(judge.wanted, 1)
    print(f"seed {seed}: {draw + 1} questions of {tables} tables, {judge.found} of {judge.wanted} near rows")
    assert recall >= 0.99, f"seed {seed}: {judge.found} of {judge.wanted} near rows found"
