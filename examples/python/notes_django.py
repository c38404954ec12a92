"""Notes of several tenants, searched by meaning with Django's ORM. In one file; in a project the settings, the model and the
migration stand in their usual places.

    pip install 'psycopg[binary]' pgvector django
    DATABASE_URL=postgresql://user@host/database python notes_django.py

prints

    0.113  the cat sleeps on the warm stove
    0.418  a kitten and a cat chase a ball
"""

import os
import zlib

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

NOTES = [
    (1, "the cat sleeps on the warm stove"),
    (1, "a kitten and a cat chase a ball"),
    (1, "the train to the mountains leaves at nine"),
    (2, "a cat asleep beside the stove"),
    (2, "bread rises best in a warm kitchen"),
]
DIMENSIONS = 64

# Of the usual keys of DATABASES: HOST, PORT, USER, PASSWORD and NAME.
address = conninfo_to_dict(os.environ.get("DATABASE_URL", ""))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": address.pop("dbname", "postgres"),
                           **{key.upper(): value for key, value in address.items()}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()

from django.db import connection, models, transaction  # noqa: E402
from pgvector.django import CosineDistance, HnswIndex, VectorField  # noqa: E402


def embed(text):
    """Stands for a model: texts with the same pairs of letters are near each other."""
    counts = [0.0] * DIMENSIONS
    for first, second in zip(text, text[1:]):
        counts[zlib.crc32((first + second).encode()) % DIMENSIONS] += 1
    return counts


class Note(models.Model):
    tenant_id = models.IntegerField()
    text = models.TextField()
    embedding = VectorField(dimensions=DIMENSIONS)

    class Meta:
        app_label = "notes"
        db_table = "notes"
        # The tenant stands behind the vector: the index checks it, and a search never looks at others' rows in the
        # table. Django wants an operator class for each field: that of a number is its type's.
        indexes = [HnswIndex(name="notes_by_meaning", fields=["embedding", "tenant_id"], m=16, ef_construction=64,
                             opclasses=["vector_cosine_ops", "int4_ops"])]


def make_table():
    """What a migration does; there `RunSQL("CREATE EXTENSION IF NOT EXISTS dvec")` comes first."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS dvec")
        cursor.execute("DROP TABLE IF EXISTS notes")
    with connection.schema_editor() as editor:
        editor.create_model(Note)


def nearest(tenant, question, limit=2):
    return Note.objects.filter(tenant_id=tenant).annotate(
        distance=CosineDistance("embedding", embed(question))).order_by("distance")[:limit]


def main():
    make_table()
    Note.objects.bulk_create(Note(tenant_id=tenant, text=text, embedding=embed(text)) for tenant, text in NOTES)
    with transaction.atomic():
        with connection.cursor() as cursor:
            # How wide this transaction searches: more finds more of the nearest, and takes longer.
            cursor.execute("SET LOCAL dvec.ef_search = 100")
        for note in nearest(1, "a cat on the warm stove"):
            print(f"{note.distance:.3f}  {note.text}")
    connection.close()


if __name__ == "__main__":
    main()
