"""LlamaIndex's PGVectorStore, through its own code: it creates extension, table, index and rows, and
sets hnsw.ef_search and ivfflat.probes for its queries."""

import asyncio

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (FilterOperator, MetadataFilter, MetadataFilters,
                                                  VectorStoreQuery, VectorStoreQueryMode)
from llama_index.vector_stores.postgres import PGVectorStore

TEXTS = ["banana", "cherry", "apple pie", "zebra", "mississippi", "queue", "rhythm", "yellow wall"]
DIMENSIONS = 26


def embedding(text):
    """One that needs no model: how often each letter occurs."""
    return [float(text.count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]


def nodes():
    return [TextNode(id_=text, text=text, embedding=embedding(text), metadata={"length": len(text)},
                     relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"source of {text}")})
            for text in TEXTS]


def store(database, **options):
    return PGVectorStore.from_params(
        connection_string=database.url("postgresql+psycopg2"),
        async_connection_string=database.url("postgresql+asyncpg"), table_name="words",
        embed_dim=DIMENSIONS, **options)


@pytest.fixture(autouse=True)
def no_failure_is_only_logged(caplog):
    """The store goes on when it could not make its objects."""
    yield
    assert [record.message for record in caplog.get_records("call") if record.levelname == "WARNING"] == []


# As the documentation has it; the store takes the entries out, so each store gets its own.
def hnsw(**more):
    return {"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40, **more}


def query(text, top=3, **more):
    return VectorStoreQuery(query_embedding=embedding(text), similarity_top_k=top, **more)


LONG = MetadataFilters(filters=[MetadataFilter(key="length", value=8, operator=FilterOperator.GT)])


@pytest.mark.parametrize("options, opclass", [
    ({"hnsw_kwargs": hnsw()}, "vector_cosine_ops"),
    ({"hnsw_kwargs": hnsw(hnsw_dist_method="halfvec_cosine_ops"), "use_halfvec": True}, "halfvec_cosine_ops"),
    ({"hnsw_kwargs": hnsw(), "use_jsonb": True, "hybrid_search": True}, "vector_cosine_ops")],
    ids=["vector", "halfvec", "hybrid"])
def test_store(database, options, opclass):
    words = store(database, **options)
    assert words.add(nodes()) == TEXTS
    [[definition]] = database.sql("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'")
    assert f"{opclass}) WITH (m='16', ef_construction='64')" in definition

    found = words.query(query("mississippi"))
    assert found.ids[0] == "mississippi"
    assert found.similarities == sorted(found.similarities, reverse=True)
    filtered = words.query(query("banana", top=5, filters=LONG))
    assert set(filtered.ids) == {"apple pie", "mississippi", "yellow wall"}
    # More rows than ef_search lets pgvector return.
    assert len(words.query(query("queue", top=8), hnsw_ef_search=2).ids) == 8
    assert len(words.query(query("banana", top=2, mode=VectorStoreQueryMode.MMR)).ids) == 2
    if "hybrid_search" in options:
        both = words.query(query("zebra", top=2, mode=VectorStoreQueryMode.HYBRID, query_str="cherry",
                                 sparse_top_k=2))
        assert {"zebra", "cherry"} <= set(both.ids)

    words.delete("source of mississippi")
    words.delete_nodes(["queue"])
    left = store(database, perform_setup=False).query(query("mississippi", top=20))
    assert set(left.ids) == set(TEXTS) - {"mississippi", "queue"}
    words.client.dispose()
    assert sum(database.scans().values()) > 0


def test_asynchronous(database):
    async def use():
        words = store(database, hnsw_kwargs=hnsw())
        await words.async_add(nodes())
        found = await words.aquery(query("zebra"))
        filtered = await words.aquery(query("banana", top=5, filters=LONG))
        await words.adelete("source of zebra")
        left = await words.aquery(query("zebra", top=20))
        await words.close()
        return found.ids[0], set(filtered.ids), set(left.ids)

    first, filtered, left = asyncio.run(use())
    assert first == "zebra"
    assert filtered == {"apple pie", "mississippi", "yellow wall"}
    assert left == set(TEXTS) - {"zebra"}


def test_ivfflat(database):
    """The store has a setting for an index that its user makes."""
    words = store(database)
    words.add(nodes())
    database.sql("CREATE INDEX words_lists ON data_words USING ivfflat (embedding vector_cosine_ops)"
                 " WITH (lists = 2)")
    for probes in (1, 2):
        assert words.query(query("rhythm", top=8), ivfflat_probes=probes).ids[0] == "rhythm"
    words.client.dispose()
    assert database.scans()["words_lists"] > 0
