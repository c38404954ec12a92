"""Django with pgvector.django: its migrations create extension, table and indexes."""

import django
from django.conf import settings


def configure(database):
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": database.host,
                               "NAME": database.name, "USER": database.user}},
        INSTALLED_APPS=["shop"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
    django.setup()


def make_table():
    """Runs the written migration, then what the autodetector finds missing, as makemigrations would."""
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.state import ProjectState
    call_command("migrate", verbosity=0)
    executor = MigrationExecutor(connection)
    state = executor.loader.project_state()
    found = MigrationAutodetector(state, ProjectState.from_apps(apps)).changes(executor.loader.graph)
    with connection.schema_editor() as editor:
        for migration in found["shop"]:
            state = migration.apply(state, editor)


def test_django(database):
    configure(database)
    make_table()
    from django.db.models import Avg
    from pgvector import HalfVector, SparseVector, Vector
    from pgvector.django import (CosineDistance, HammingDistance, JaccardDistance, L1Distance,
                                 L2Distance, MaxInnerProduct)
    from shop.models import Item

    assert database.sql("SELECT extname FROM pg_extension WHERE extname = 'vector'") == [("vector",)]
    Item.objects.bulk_create(
        Item(name=f"item {i}", embedding=[i, 1, 0], half=[i, 1, 0], sparse=SparseVector({0: i}, 3),
             bits=format(i % 8, "03b")) for i in range(1, 101))
    item = Item.objects.get(name="item 5")
    assert Vector(item.embedding) == Vector([5, 1, 0])
    assert HalfVector(item.half) == HalfVector([5, 1, 0])
    assert item.sparse == SparseVector({0: 5}, 3) and item.bits == "101"

    def first(distance):
        return Item.objects.order_by(distance, "id").first().name
    assert first(MaxInnerProduct("embedding", [1, 0, 0])) == "item 100"
    assert first(CosineDistance("embedding", [1, 1, 0])) == "item 1"
    assert first(L1Distance("embedding", [9, 2, 0])) == "item 9"
    assert first(L2Distance("half", HalfVector([8, 1, 0]))) == "item 8"
    assert first(L2Distance("sparse", SparseVector({0: 3}, 3))) == "item 3"
    assert first(JaccardDistance("bits", "111")) == "item 7"
    assert Vector(Item.objects.aggregate(mean=Avg("embedding"))["mean"]) == Vector([50.5, 1, 0])

    near = Item.objects.order_by(L2Distance("embedding", [30.1, 1, 0]))
    assert [item.name for item in near[:3]] == ["item 30", "item 31", "item 29"]
    few = near.filter(name__endswith="0")[:10]
    assert [item.name for item in few][:3] == ["item 30", "item 40", "item 20"] and len(few) == 10
    assert list(Item.objects.order_by(HammingDistance("bits", "111"))[:12].values_list("bits", flat=True)) \
        == ["111"] * 12
    close = Item.objects.alias(distance=L2Distance("embedding", [3, 1, 0])).filter(distance__lt=1.5)
    assert close.count() == 3

    item.embedding = [1000, 1, 0]
    item.save()
    item.refresh_from_db()
    assert near.last() == item
    assert set(database.scans()) == {"item_l2", "item_bits"} and min(database.scans().values()) > 0
