"""Random tables with columns behind the vector, and random conditions on them: for test_420_filtered.py.

A table is drawn twice, with an index on the vector and the columns and without any, and goes through the
same history in both. A condition is text, so that the same can be asked of either.
"""

import dataclasses

import numpy as np

import vectors

DIMENSIONS = 8
NUMBERS = ["0", "1", "-1", "7", "100", "32767", "-32768"]
INTEGERS = ["2147483647", "-2147483648"]
BIG_INTEGERS = ["9223372036854775807", "9223372036854775806", "-9223372036854775808", "-9223372036854775807"]
FLOATS = ["NaN", "-NaN", "Infinity", "-Infinity", "-0", "1e-30", "-1e30", "0.1", "16777217"]
MOMENTS = ["infinity", "-infinity", "1999-12-31 23:59:59.999999", "2000-01-01", "2024-03-31 02:30:00",
           "2024-10-27 02:30:00", "294276-12-31", "4713-01-01 BC", "2024-02-29 12:00"]
WORDS = ["", "a", "ab", "abcd", "abcde", "abcdf", "customer-1", "customer-2", "customer-10", "Äpfel", "äpfel",
         "ÄPFEL", "zzzzzzzzzzzzz", "\U0001f600"]


def drawn_numbers(random):
    return NUMBERS + [str(random.integers(-50, 50)) for _ in range(8)]


def drawn_moments(random):
    return MOMENTS + [f"2024-{random.integers(1, 13):02}-{random.integers(1, 29):02} {random.integers(24):02}:30"
                      for _ in range(8)]


def drawn_words(random):
    return WORDS + ["".join(random.choice(list("abcß")) for _ in range(random.integers(1, 9))) for _ in range(8)]


def drawn_uuids(random):
    return [f"{random.integers(3):08x}-0000-0000-0000-{random.integers(6):012x}" for _ in range(8)] + [
        "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"]


def drawn_arrays(elements):
    def draw(random):
        pool = elements(random)
        arrays = ["{}", "{NULL}"]
        for _ in range(14):
            chosen = [str(random.choice(pool)) for _ in range(random.integers(1, 5))]
            quoted = [f'"{element}"' for element in chosen]
            if random.random() < 0.2:
                quoted.append("NULL")
            arrays.append("{" + ",".join(quoted) + "}")
        return arrays
    return draw


@dataclasses.dataclass
class Type:
    name: str
    values: object  # of a generator, its literals
    compared: tuple = ()  # other types that its family compares it with
    array: bool = False


TYPES = [
    Type("smallint", drawn_numbers, ("integer", "bigint")),
    Type("integer", lambda random: drawn_numbers(random) + INTEGERS, ("smallint", "bigint")),
    Type("bigint", lambda random: drawn_numbers(random) + INTEGERS + BIG_INTEGERS, ("smallint", "integer")),
    Type("real", lambda random: drawn_numbers(random) + FLOATS, ("double precision",)),
    Type("double precision", lambda random: drawn_numbers(random) + FLOATS, ("real",)),
    Type("numeric", lambda random: drawn_numbers(random) + BIG_INTEGERS + FLOATS + ["1e400", "-1e400", "0.10"]),
    Type("boolean", lambda random: ["true", "false"]),
    Type("date", drawn_moments, ("timestamp", "timestamptz")),
    Type("timestamp", drawn_moments, ("date", "timestamptz")),
    Type("timestamptz", drawn_moments, ("date", "timestamp")),
    Type("uuid", drawn_uuids),
    Type("text", drawn_words),
    Type("text COLLATE linguistic", drawn_words),
    Type("text COLLATE no_case", drawn_words),
    Type("varchar(20)", drawn_words),
    Type("mood", lambda random: ["sad", "ok", "happy", "merry"]),
    Type("positive", lambda random: ["0", "1", "7", "100"]),
    Type("integer[]", drawn_arrays(drawn_numbers), array=True),
    Type("text[]", drawn_arrays(drawn_words), array=True),
    Type("uuid[]", drawn_arrays(drawn_uuids), array=True),
]
# A domain, and an enum whose labels are not in the order they were made.
PREPARATION = """
    CREATE DOMAIN positive AS integer CHECK (value >= 0);
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy';
    ALTER TYPE mood ADD VALUE 'merry';
"""
# One that does not compare bytes, and one by which different texts are equal.
COLLATIONS = """
    CREATE COLLATION linguistic FROM "en-x-icu";
    CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
"""
# Of a server that is built without ICU.
COLLATIONS_OF_BYTES = """
    CREATE COLLATION linguistic FROM "C";
    CREATE COLLATION no_case FROM "C";
"""
OPERATORS = ["=", "<", "<=", ">=", ">"]
MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">=": "<=", ">": "<"}


def prepare(connection):
    connection.execute(PREPARATION)
    [has_icu] = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'en-x-icu')").fetchone()
    connection.execute(COLLATIONS if has_icu else COLLATIONS_OF_BYTES)


def literal(text, type_name):
    return "'" + text.replace("'", "''") + f"'::{type_name}"


class Column:
    def __init__(self, name, type_, random):
        self.name, self.type = name, type_
        self.nulls = float(random.choice([0, 0.1, 0.5]))
        # What fits a type decides which of the literals it reads.
        self.pool = type_.values(random)

    def base(self):
        return self.type.name.split(" COLLATE")[0]

    def value(self, random):
        return "NULL" if random.random() < self.nulls else literal(str(random.choice(self.pool)), self.base())

    def argument(self, random):
        """A literal, mostly of the column's own type."""
        other = self.type.compared and random.random() < 0.4
        type_name = str(random.choice(self.type.compared)) if other else self.base()
        if random.random() < 0.04:
            return f"NULL::{type_name}"
        return literal(str(random.choice(self.pool)), type_name)

    def any_of(self, random):
        items = ",".join("NULL" if random.random() < 0.15 else literal(str(random.choice(self.pool)), self.base())
                         for _ in range(random.integers(0, 5)))
        return f"ARRAY[{items}]::{self.base()}[]"

    def condition(self, random):
        if random.random() < 0.12:
            return f"{self.name} IS {random.choice(['NULL', 'NOT NULL'])}"
        if self.base() == "boolean" and random.random() < 0.6:
            form = random.choice(["{}", "NOT {}", "{} IS TRUE", "{} IS FALSE", "{} IS NOT TRUE", "{} IS UNKNOWN"])
            return str(form).format(self.name)
        if self.type.array:
            operator = str(random.choice(["&&", "@>", "<@", "="]))
            return f"{self.name} {operator} {self.argument(random)}"
        if random.random() < 0.2:
            operator = "=" if random.random() < 0.7 else str(random.choice(OPERATORS))
            return f"{self.name} {operator} ANY ({self.any_of(random)})"
        if random.random() < 0.15:
            return f"{self.name} BETWEEN {self.argument(random)} AND {self.argument(random)}"
        operator = str(random.choice(OPERATORS))
        if random.random() < 0.2:
            return f"{self.argument(random)} {MIRRORED[operator]} {self.name}"
        return f"{self.name} {operator} {self.argument(random)}"


class Tables:
    """Two tables of the same rows and the same history: `plain`, and `indexed`."""

    def __init__(self, connection, random, number):
        self.connection, self.random = connection, random
        self.plain, self.indexed = f"plain_{number}", f"indexed_{number}"
        types = random.choice(len(TYPES), size=random.integers(1, 5), replace=False)
        self.columns = [Column(f"c{i}", TYPES[number], random) for i, number in enumerate(types)]
        self.rows = int(random.choice([0, 5, 200, 700, 1200], p=[.05, .1, .25, .35, .25]))
        self.ids = 0

    def __str__(self):
        return f"{self.rows} rows with " + ", ".join(column.type.name for column in self.columns)

    def both(self, statement):
        for table in (self.plain, self.indexed):
            self.connection.execute(statement.replace("{t}", table))

    def keep_readable(self):
        """Of each pool what the column's type, and those it is compared with, can read."""
        for column in self.columns:
            names = (column.base(), *column.type.compared)
            column.pool = [text for text in column.pool
                           if all(self.reads(text, name) for name in names)]

    def reads(self, text, type_name):
        try:
            self.connection.execute(f"SELECT {literal(text, type_name)}")
            return True
        except Exception as error:  # psycopg's classes, one for each SQLSTATE
            assert error.sqlstate.startswith("22") or error.sqlstate.startswith("23"), error
            return False

    def make(self):
        self.keep_readable()
        definition = "".join(f", {column.name} {column.type.name}" for column in self.columns)
        for table in (self.plain, self.indexed):
            self.connection.execute(f"CREATE TABLE {table} (id integer, v vector({DIMENSIONS}){definition})")
        before = self.random.random() < 0.5
        if before:
            self.insert(self.rows // 2)
        names = ", ".join(column.name for column in self.columns)
        self.connection.execute(f"CREATE INDEX ON {self.indexed} USING hnsw (v vector_l2_ops, {names})")
        self.insert(self.rows - self.ids)
        self.both("ANALYZE {t}")

    def insert(self, count):
        values = []
        for _ in range(count):
            row = np.rint(2 * self.random.normal(size=DIMENSIONS)) / 2
            v = "NULL" if self.random.random() < 0.02 else f"'{vectors.text(row)}'"
            cells = "".join(", " + column.value(self.random) for column in self.columns)
            values.append(f"({self.ids}, {v}{cells})")
            self.ids += 1
        for start in range(0, len(values), 300):
            self.both("INSERT INTO {t} VALUES " + ",".join(values[start:start + 300]))

    def change(self):
        """Deletes, updates of a column behind the vector alone, a vacuum or none, new rows."""
        self.both(f"DELETE FROM {{t}} WHERE id % {self.random.integers(3, 9)} = 0")
        column = self.columns[self.random.integers(len(self.columns))]
        self.both(f"UPDATE {{t}} SET {column.name} = {column.value(self.random)} "
                  f"WHERE id % {self.random.integers(3, 9)} = 1")
        if self.random.random() < 0.5:
            self.both("VACUUM {t}")
        self.insert(self.rows // 8)

    # ---- questions ----

    def question(self):
        """A question, and whether its answer has all rows there are."""
        conditions = [self.columns[i].condition(self.random)
                      for i in self.random.integers(len(self.columns), size=self.random.integers(1, 4))]
        query = vectors.text(self.random.normal(size=DIMENSIONS))
        distance = f"v <-> '{query}'"
        if self.random.random() < 0.2:
            conditions.append(f"{distance} < {self.random.random() * 6:.3f}")
        order = f" ORDER BY {distance}" if self.random.random() < 0.8 else f" ORDER BY 1 - ({distance}) DESC"
        limit = int(self.random.choice([1, 5, 20, 5000])) if self.random.random() < 0.8 else None
        end = f" LIMIT {limit}" if limit else ""
        # Rows without a vector come last in the one order and first in the other.
        conditions.append("v IS NOT NULL")
        self.random.shuffle(conditions)
        return (f"SELECT id, {distance} FROM {{t}} WHERE {' AND '.join(conditions)}{order}{end}",
                limit is None or limit > self.ids)
