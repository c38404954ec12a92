"""SQLAlchemy's ORM with pgvector-python's types, over psycopg 3."""

import pytest
from pgvector import HalfVector, SparseVector, Vector
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, VECTOR, avg
from sqlalchemy import Index, Integer, MetaData, Table, cast, create_engine, func, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id = mapped_column(Integer, primary_key=True)
    embedding = mapped_column(VECTOR(3))
    half = mapped_column(HALFVEC(3))
    sparse = mapped_column(SPARSEVEC(3))
    bits = mapped_column(BIT(3))


Index("items_l2", Item.embedding, postgresql_using="hnsw",
      postgresql_with={"m": 16, "ef_construction": 64}, postgresql_ops={"embedding": "vector_l2_ops"})
Index("items_as_half", func.cast(Item.embedding, HALFVEC(3)).label("as_half"), postgresql_using="hnsw",
      postgresql_ops={"as_half": "halfvec_cosine_ops"})


@pytest.fixture
def engine(database):
    engine = create_engine(database.url("postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for i in range(1, 101):
            session.add(Item(id=i, embedding=[i, 1, 0], half=[i, 1, 0],
                             sparse=SparseVector({0: i}, 3), bits=format(i % 8, "03b")))
        session.commit()
    yield engine
    engine.dispose()


def test_values(engine):
    with Session(engine) as session:
        item = session.get(Item, 5)
        assert Vector(item.embedding) == Vector([5, 1, 0])
        assert HalfVector(item.half) == HalfVector([5, 1, 0])
        assert item.sparse == SparseVector({0: 5}, 3)
        item.embedding = None
        session.commit()
        assert session.get(Item, 5).embedding is None


def test_distances(engine):
    with Session(engine) as session:
        def first(distance):
            return session.scalars(select(Item.id).order_by(distance, Item.id).limit(1)).one()
        assert first(Item.embedding.l2_distance([7.2, 1, 0])) == 7
        assert first(Item.embedding.max_inner_product([1, 0, 0])) == 100
        assert first(Item.embedding.cosine_distance([1, 1, 0])) == 1
        assert first(Item.embedding.l1_distance([9, 2, 0])) == 9
        assert first(Item.half.l2_distance([8, 1, 0])) == 8
        assert first(Item.sparse.l2_distance(SparseVector({0: 3}, 3))) == 3
        assert first(Item.bits.hamming_distance("111")) == 7
        assert first(Item.bits.jaccard_distance("111")) == 7
        assert Vector(session.scalars(select(avg(Item.embedding))).one()) == Vector([50.5, 1, 0])


def test_indexes_are_made_and_used(engine, database):
    names = {index["name"] for index in inspect(engine).get_indexes("items")}
    assert names == {"items_l2", "items_as_half"}
    with Session(engine) as session:
        near = select(Item.id).order_by(Item.embedding.l2_distance([30.1, 1, 0])).limit(3)
        assert session.scalars(near).all() == [30, 31, 29]
        as_half = cast(Item.embedding, HALFVEC(3)).cosine_distance([1, 1, 0])
        assert session.scalars(select(Item.id).order_by(as_half).limit(2)).all() == [1, 2]
    assert database.scans() == {"items_l2": 1, "items_as_half": 1}


def test_reflection(engine):
    columns = Table("items", MetaData(), autoload_with=engine).columns
    assert isinstance(columns.embedding.type, VECTOR) and columns.embedding.type.dim == 3
    assert isinstance(columns.half.type, HALFVEC)
    assert isinstance(columns.sparse.type, SPARSEVEC)
