"""LangChain's PGVector store, through its own code: it creates extension, tables and rows."""

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_postgres.vectorstores import DistanceStrategy, PGVector


class LetterCounts(Embeddings):
    """An embedding that needs no model: how often each letter occurs."""

    def embed_query(self, text):
        return [float(text.lower().count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


TEXTS = ["banana", "cherry", "apple pie", "zebra", "mississippi", "queue", "rhythm", "yellow wall"]


def store(database, strategy):
    return PGVector(LetterCounts(), connection=database.url("postgresql+psycopg"),
                    embedding_length=26, collection_name="words", distance_strategy=strategy)


@pytest.mark.parametrize("strategy, opclass", [
    (DistanceStrategy.COSINE, "vector_cosine_ops"), (DistanceStrategy.EUCLIDEAN, "vector_l2_ops"),
    (DistanceStrategy.MAX_INNER_PRODUCT, "vector_ip_ops")])
def test_store(database, strategy, opclass):
    words = store(database, strategy)
    words.add_documents([Document(text, metadata={"length": len(text), "name": text}) for text in TEXTS],
                        ids=TEXTS)
    database.sql(f"CREATE INDEX words_idx ON langchain_pg_embedding USING hnsw (embedding {opclass})")
    found = words.similarity_search_with_score("mississippi", k=3)
    assert found[0][0].page_content == "mississippi"
    assert [score for _, score in found] == sorted(score for _, score in found)
    filtered = words.similarity_search("banana", k=5, filter={"length": {"$gt": 8}})
    assert {document.page_content for document in filtered} == {"apple pie", "mississippi", "yellow wall"}
    assert len(words.max_marginal_relevance_search("banana", k=2, fetch_k=5)) == 2
    words.delete(ids=["mississippi"])
    assert "mississippi" not in [document.page_content
                                 for document in words.similarity_search("mississippi", k=8)]
    # Another program opens what is there.
    assert len(store(database, strategy).similarity_search("zebra", k=20)) == len(TEXTS) - 1
    assert database.scans()["words_idx"] > 0
