-- Answers of an hnsw index are those of an exact search, for every operator class.
SET extra_float_digits = 0;
CREATE TABLE points (id integer, v vector(4));
INSERT INTO points
SELECT i, ARRAY[i % 7, (i * i) % 11, (i * 5) % 13, i / 10.0]::vector FROM generate_series(1, 300) i;
CREATE INDEX points_l2 ON points USING hnsw (v vector_l2_ops);
CREATE INDEX points_ip ON points USING hnsw (v vector_ip_ops);
CREATE INDEX points_cosine ON points USING hnsw (v vector_cosine_ops);
CREATE INDEX points_l1 ON points USING hnsw (v vector_l1_ops);

-- Rows that come after the build.
INSERT INTO points
SELECT i, ARRAY[i % 7, (i * i) % 11, (i * 5) % 13, i / 10.0]::vector FROM generate_series(301, 500) i;
ANALYZE points;

-- The planner chooses the index by itself, and each operator its own.
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY v <#> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY v <=> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY v <+> '[1,2,3,4]' LIMIT 5;

-- Distances of the ten nearest, by index and by exact search: ids may differ where distances are equal.
-- A query vector that is a parameter or comes from a subquery is as good.
CREATE FUNCTION pg_temp.distances(operator text, query vector, exact boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('enable_indexscan', CASE WHEN exact THEN 'off' ELSE 'on' END, true);
    PERFORM set_config('enable_seqscan', CASE WHEN exact THEN 'on' ELSE 'off' END, true);
    EXECUTE format('SELECT string_agg(round(d::numeric, 3)::text, '' '') FROM
        (SELECT v %1$s $1 AS d FROM points ORDER BY v %1$s $1 LIMIT 10) n', operator)
    INTO result USING query;
    RETURN result;
END
$$;
SELECT operator, pg_temp.distances(operator, query, false) = pg_temp.distances(operator, query, true)
    AS same, pg_temp.distances(operator, query, false) AS distances
FROM (VALUES ('<->'), ('<#>'), ('<=>'), ('<+>')) o(operator),
     (VALUES ('[1,2,3,4]'::vector), ('[6,10,12,50]'), ('[-1,0,0.5,20]')) q(query)
ORDER BY operator, query;

-- Every row once, also far beyond ef_search and without LIMIT; ef_search 1 works too.
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY v <-> '[1,2,3,4]') s;
SELECT count(*), count(DISTINCT id)
FROM (SELECT id FROM points ORDER BY v <-> '[1,2,3,4]' LIMIT 333) s;
SET hnsw.ef_search = 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY v <+> '[1,2,3,4]') s;
SET hnsw.max_scan_tuples = 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY v <#> '[1,2,3,4]') s;
RESET hnsw.ef_search;
RESET hnsw.max_scan_tuples;

-- A filter that few rows pass: the scan goes on until there are enough.
EXPLAIN (COSTS off) SELECT id FROM points WHERE id % 100 = 17 ORDER BY v <-> '[1,2,3,4]' LIMIT 3;
SELECT count(*) FROM
    (SELECT id FROM points WHERE id % 100 = 17 ORDER BY v <-> '[1,2,3,4]' LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM points WHERE id < 0 ORDER BY v <-> '[1,2,3,4]' LIMIT 10) s;

-- Per row of another table; each rescan starts anew.
EXPLAIN (COSTS off)
SELECT q.id, n.id FROM (VALUES (1, '[1,2,3,4]'::vector), (2, '[6,10,12,50]')) q(id, v),
    LATERAL (SELECT id FROM points p ORDER BY p.v <-> q.v LIMIT 2) n;
SELECT count(*) FROM points p, LATERAL (SELECT id, v FROM points n ORDER BY n.v <-> p.v LIMIT 1) n
WHERE n.v <> p.v;

-- Scans under way side by side, of which one ends before the others, and one that goes far.
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3,4]';
DECLARE far CURSOR FOR SELECT id FROM points ORDER BY v <-> '[6,10,12,50]';
FETCH 2 FROM near;
FETCH 2 FROM far;
FETCH 1 FROM near;
CLOSE near;
FETCH 1 FROM far;
MOVE 400 FROM far;
SELECT id FROM points ORDER BY v <-> '[1,2,3,4]' LIMIT 3;
COMMIT;
SET effective_io_concurrency = 0;
SELECT id FROM points ORDER BY v <-> '[1,2,3,4]' LIMIT 3;
RESET effective_io_concurrency;

-- Farthest first is no order of the index; an expression that rises with the distance is.
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY v <-> '[1,2,3,4]' DESC LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY (v <-> '[1,2,3,4]') + 1 LIMIT 5;
-- Nothing to order by: no use for the index, unless there is a bound.
EXPLAIN (COSTS off) SELECT count(*) FROM points;
SELECT count(*) FROM points;
EXPLAIN (COSTS off) SELECT id FROM points WHERE v <-> '[1,2,3,4]' < 5;

-- A NULL query is equally far from everything.
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> NULL::vector) s;
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> (SELECT NULL::vector)) s;

-- NULLs are not in an index, and zero vectors not in one that orders by direction.
CREATE TABLE gaps (id integer, v vector(3));
INSERT INTO gaps VALUES (1, '[1,0,0]'), (2, NULL), (3, '[0,0,0]'), (4, '[0,2,0]');
CREATE INDEX gaps_cosine ON gaps USING hnsw (v vector_cosine_ops);
INSERT INTO gaps VALUES (5, NULL), (6, '[0,0,0]'), (7, '[3,0,1]');
SELECT id, v <=> '[1,0,0]' AS d FROM gaps ORDER BY v <=> '[1,0,0]';
SELECT count(*) FROM (SELECT id FROM gaps ORDER BY v <=> '[0,0,0]') s;
CREATE INDEX gaps_l2 ON gaps USING hnsw (v vector_l2_ops);
SELECT id, v <-> '[1,0,0]' AS d FROM gaps ORDER BY v <-> '[1,0,0]' LIMIT 4;
SELECT count(*) FROM (SELECT id FROM gaps ORDER BY v <-> '[1,0,0]') s;
UPDATE gaps SET v = NULL WHERE id = 1;
UPDATE gaps SET v = '[9,9,9]' WHERE id = 2;
SELECT id FROM gaps ORDER BY v <-> '[9,9,9]' LIMIT 10;

-- Equal vectors come in any order, but all.
CREATE TABLE equal (id integer, v vector(2));
INSERT INTO equal SELECT i, '[1,1]' FROM generate_series(1, 200) i;
CREATE INDEX ON equal USING hnsw (v vector_l2_ops);
INSERT INTO equal SELECT i, '[1,1]' FROM generate_series(201, 300) i;
SELECT count(DISTINCT id) FROM (SELECT id FROM equal ORDER BY v <-> '[1,1]') s;

-- One dimension, and the most.
CREATE TABLE wide (id integer, v vector(16000));
INSERT INTO wide SELECT i, array_fill(i::real, ARRAY[16000])::vector FROM generate_series(1, 20) i;
CREATE INDEX ON wide USING hnsw (v vector_l2_ops);
INSERT INTO wide SELECT i, array_fill(i::real, ARRAY[16000])::vector FROM generate_series(21, 40) i;
SELECT id FROM wide ORDER BY v <-> array_fill(20.4::real, ARRAY[16000])::vector LIMIT 4;
CREATE TABLE narrow (id integer, v vector(1));
CREATE INDEX ON narrow USING hnsw (v vector_l1_ops);
INSERT INTO narrow SELECT i, ARRAY[i]::vector FROM generate_series(1, 50) i;
SELECT id FROM narrow ORDER BY v <+> '[30.2]' LIMIT 3;

DROP TABLE points, gaps, equal, wide, narrow;
