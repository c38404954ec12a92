-- A distance that the query orders by and nobody reads is not computed for the rows; any other is.
CREATE TABLE points (id integer PRIMARY KEY, v vector(3));
INSERT INTO points
SELECT i, ARRAY[i % 7, (i * i) % 11, i / 10.0]::vector FROM generate_series(1, 200) i;
CREATE INDEX points_v ON points USING hnsw (v vector_l2_ops);
ANALYZE points;
SET enable_seqscan = off;

-- Not read: at the top of a query, below LIMIT, in subqueries of all kinds, with the sides exchanged.
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3;
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3]';
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM points ORDER BY '[1,2,3]' <-> v LIMIT 3;
EXPLAIN (VERBOSE, COSTS off)
(SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 1) UNION ALL
(SELECT id FROM points ORDER BY v <-> '[3,2,1]' LIMIT 1);
EXPLAIN (VERBOSE, COSTS off)
WITH near AS MATERIALIZED (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3)
SELECT a.id FROM near a, near b;
EXPLAIN (VERBOSE, COSTS off)
SELECT ARRAY(SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3);

-- Read: returned, compared by WITH TIES, sorted by again. Kept where rows are locked, and where the
-- subquery has become a part of the query around it.
EXPLAIN (VERBOSE, COSTS off)
SELECT id, v <-> '[1,2,3]' AS d FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3;
EXPLAIN (VERBOSE, COSTS off)
SELECT id FROM points ORDER BY v <-> '[1,2,3]' FETCH FIRST 3 ROWS WITH TIES;
SET enable_seqscan = on; SET enable_incremental_sort = off;
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3]', id LIMIT 3;
SET enable_seqscan = off; SET enable_incremental_sort = on;
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3 FOR UPDATE;
EXPLAIN (VERBOSE, COSTS off)
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3) n;
EXPLAIN (VERBOSE, COSTS off)
SELECT q.id, n.id FROM points q, LATERAL (SELECT id FROM points p ORDER BY p.v <-> q.v LIMIT 2) n;

-- The rows are the same.
SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT id, round((v <-> '[1,2,3]')::numeric, 3) AS d FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT array_agg(id) FROM (SELECT id FROM points ORDER BY '[1,2,3]' <-> v LIMIT 3) n;
SELECT ARRAY(SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3);
WITH near AS MATERIALIZED (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3)
SELECT count(*), count(DISTINCT a.id) FROM near a, near b;
SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 3 FOR UPDATE;
BEGIN;
DECLARE nearest SCROLL CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]';
FETCH 2 FROM nearest;
FETCH BACKWARD 1 FROM nearest;
FETCH 2 FROM nearest;
COMMIT;
PREPARE nearest(vector) AS SELECT id FROM points ORDER BY v <-> $1 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS off) EXECUTE nearest('[1,2,3]');
EXECUTE nearest('[1,2,3]');
EXECUTE nearest('[6,10,20]');
DEALLOCATE nearest;

-- Ties are found by their distances.
INSERT INTO points SELECT 1000 + i, '[50,50,50]' FROM generate_series(1, 5) i;
SELECT count(*) FROM
    (SELECT id FROM points ORDER BY v <-> '[50,50,50]' FETCH FIRST 2 ROWS WITH TIES) n;

DROP TABLE points;
