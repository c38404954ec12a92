"""Notes of several tenants, searched by meaning with psycopg.

    pip install 'psycopg[binary]' pgvector
    DATABASE_URL=postgresql://user@host/database python notes_psycopg.py

prints

    0.113  the cat sleeps on the warm stove
    0.418  a kitten and a cat chase a ball
"""

import os
import zlib

import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

NOTES = [
    (1, "the cat sleeps on the warm stove"),
    (1, "a kitten and a cat chase a ball"),
    (1, "the train to the mountains leaves at nine"),
    (2, "a cat asleep beside the stove"),
    (2, "bread rises best in a warm kitchen"),
]
DIMENSIONS = 64


def embed(text):
    """Stands for a model: texts with the same pairs of letters are near each other."""
    counts = [0.0] * DIMENSIONS
    for first, second in zip(text, text[1:]):
        counts[zlib.crc32((first + second).encode()) % DIMENSIONS] += 1
    return Vector(counts)


def prepare(connection):
    connection.execute("CREATE EXTENSION IF NOT EXISTS dvec")
    register_vector(connection)
    connection.execute("DROP TABLE IF EXISTS notes")
    connection.execute(f"CREATE TABLE notes (id bigserial PRIMARY KEY, tenant_id integer NOT NULL, "
                       f"text text NOT NULL, embedding vector({DIMENSIONS}) NOT NULL)")
    # The tenant stands behind the vector: the index checks it, and a search never looks at others' rows in the table.
    connection.execute("CREATE INDEX ON notes USING hnsw (embedding vector_cosine_ops, tenant_id)")


def add(connection, notes):
    """COPY is the fastest way to bring in many rows; a row is found as soon as its transaction has committed."""
    with connection.cursor().copy("COPY notes (tenant_id, text, embedding) FROM STDIN WITH (FORMAT binary)") as copy:
        copy.set_types(["integer", "text", "vector"])
        for tenant, text in notes:
            copy.write_row([tenant, text, embed(text)])


def nearest(connection, tenant, question, limit=2):
    return connection.execute(
        "SELECT text, embedding <=> %(question)s AS distance FROM notes WHERE tenant_id = %(tenant)s "
        "ORDER BY embedding <=> %(question)s LIMIT %(limit)s",
        {"question": embed(question), "tenant": tenant, "limit": limit}).fetchall()


def main():
    with psycopg.connect(os.environ.get("DATABASE_URL", "")) as connection:
        prepare(connection)
        add(connection, NOTES)
        connection.commit()
        # How wide this transaction searches: more finds more of the nearest, and takes longer.
        connection.execute("SET LOCAL dvec.ef_search = 100")
        for text, distance in nearest(connection, 1, "a cat on the warm stove"):
            print(f"{distance:.3f}  {text}")


if __name__ == "__main__":
    main()
