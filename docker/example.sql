-- Ten thousand points, the nearest of them to one, and what the index finds of them.
\set ON_ERROR_STOP on
DROP TABLE IF EXISTS points;
CREATE TABLE points (id int PRIMARY KEY, colour text, embedding vector(8));
INSERT INTO points
SELECT i, (ARRAY['red', 'green', 'blue'])[i % 3 + 1],
       (SELECT array_agg(sin(i * 0.37 * k))::real[] FROM generate_series(1, 8) k)::vector
FROM generate_series(1, 10000) i;
CREATE INDEX ON points USING hnsw (embedding vector_l2_ops);
ANALYZE points;

SELECT id, round((embedding <-> (SELECT embedding FROM points WHERE id = 42))::numeric, 4) AS distance
FROM points ORDER BY embedding <-> (SELECT embedding FROM points WHERE id = 42) LIMIT 5;

-- With a condition, and how it is answered.
EXPLAIN (COSTS OFF)
SELECT id FROM points WHERE colour = 'red'
ORDER BY embedding <-> (SELECT embedding FROM points WHERE id = 42) LIMIT 5;

-- The share of the ten nearest that the index finds.
SELECT ef_search, recall FROM dvec_recall('points_embedding_idx', queries => 20);
SELECT index, state, nodes, tail FROM dvec_indexes;
