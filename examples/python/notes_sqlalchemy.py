"""Notes of several tenants, searched by meaning with SQLAlchemy's ORM.

    pip install 'psycopg[binary]' pgvector sqlalchemy
    DATABASE_URL=postgresql://user@host/database python notes_sqlalchemy.py

prints

    0.113  the cat sleeps on the warm stove
    0.418  a kitten and a cat chase a ball
"""

import os
import zlib

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import Index, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

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
    return counts


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int]
    text: Mapped[str]
    embedding = mapped_column(VECTOR(DIMENSIONS), nullable=False)


# The tenant stands behind the vector: the index checks it, and a search never looks at others' rows in the table.
Index("notes_by_meaning", Note.embedding, Note.tenant_id, postgresql_using="hnsw",
      postgresql_ops={"embedding": "vector_cosine_ops"}, postgresql_with={"m": 16, "ef_construction": 64})


def nearest(session, tenant, question, limit=2):
    distance = Note.embedding.cosine_distance(embed(question))
    return session.execute(select(Note.text, distance).where(Note.tenant_id == tenant)
                           .order_by(distance).limit(limit)).all()


def main():
    url = os.environ.get("DATABASE_URL", "postgresql://")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS dvec"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Note(tenant_id=tenant, text=text, embedding=embed(text)) for tenant, text in NOTES)
        session.commit()
        # How wide this transaction searches: more finds more of the nearest, and takes longer.
        session.execute(text("SET LOCAL dvec.ef_search = 100"))
        for found, distance in nearest(session, 1, "a cat on the warm stove"):
            print(f"{distance:.3f}  {found}")
    engine.dispose()


if __name__ == "__main__":
    main()
