"""Notes of several tenants in a vector store of LangChain, as a retriever of a chain would search them.

    pip install 'psycopg[binary]' langchain-postgres
    DATABASE_URL=postgresql://user@host/database python notes_langchain.py

prints

    the cat sleeps on the warm stove
    a kitten and a cat chase a ball
"""

import os
import zlib

import psycopg
from langchain_core.embeddings import Embeddings
from langchain_postgres.vectorstores import DistanceStrategy, PGVector

NOTES = [
    (1, "the cat sleeps on the warm stove"),
    (1, "a kitten and a cat chase a ball"),
    (1, "the train to the mountains leaves at nine"),
    (2, "a cat asleep beside the stove"),
    (2, "bread rises best in a warm kitchen"),
]
DIMENSIONS = 64


class PairsOfLetters(Embeddings):
    """Stands for a model: texts with the same pairs of letters are near each other."""

    def embed_query(self, text):
        counts = [0.0] * DIMENSIONS
        for first, second in zip(text, text[1:]):
            counts[zlib.crc32((first + second).encode()) % DIMENSIONS] += 1
        return counts

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


def make_store(url):
    return PGVector(PairsOfLetters(), connection=url.replace("postgresql://", "postgresql+psycopg://", 1),
                    collection_name="notes", embedding_length=DIMENSIONS, distance_strategy=DistanceStrategy.COSINE,
                    pre_delete_collection=True, create_extension=False)


def main():
    url = os.environ.get("DATABASE_URL", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS dvec")
        store = make_store(url)
        # LangChain makes the table and no index. The length has to be known, so embedding_length is given above.
        connection.execute("CREATE INDEX IF NOT EXISTS notes_by_meaning ON langchain_pg_embedding "
                           "USING hnsw (embedding vector_cosine_ops)")
    store.add_texts([text for _, text in NOTES], metadatas=[{"tenant": tenant} for tenant, _ in NOTES])
    # LangChain's filter is a condition on JSON, which the table answers row by row: the search goes on until it has
    # k rows that satisfy it, and gives up the index where hardly any does.
    retriever = store.as_retriever(search_kwargs={"k": 2, "filter": {"tenant": {"$eq": 1}}})
    for document in retriever.invoke("a cat on the warm stove"):
        print(document.page_content)


if __name__ == "__main__":
    main()
