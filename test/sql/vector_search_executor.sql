-- VectorSearch below everything that may stand above a scan.
CREATE TABLE items (id integer PRIMARY KEY, kind integer, v vector(4));
INSERT INTO items SELECT i, i % 500, ARRAY[i % 53, (i * i) % 59, i % 61, i % 47]::vector
FROM generate_series(1, 3000) i;
CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops);
VACUUM ANALYZE items;
SET enable_seqscan = off;
-- How often the executor changed over to the exact search.
CREATE FUNCTION pg_temp.changes(query text) RETURNS TABLE ("QUERY PLAN" text) LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
        IF line ~ 'Changes|VectorSearch' THEN
            "QUERY PLAN" := trim(line, ' ->');
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- A filter that enough rows pass, one that they do not, and none.
SELECT * FROM pg_temp.changes($$SELECT id FROM items WHERE kind % 5 < 4 ORDER BY v <-> '[3,5,1,2]' LIMIT 5$$);
SELECT * FROM pg_temp.changes($$SELECT id FROM items WHERE kind % 500 = 7 ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$);
SELECT * FROM pg_temp.changes($$SELECT id FROM items WHERE kind % 500 = 7 AND id < 0 ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$);
SELECT id FROM items WHERE kind % 500 = 7 ORDER BY v <-> '[3,5,1,2]' LIMIT 10;
-- The settings that end a scan go before.
SET hnsw.iterative_scan = off;
SELECT * FROM pg_temp.changes($$SELECT id FROM items WHERE kind % 500 = 7 ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$);
RESET hnsw.iterative_scan;

-- A LIMIT that only the executor knows.
PREPARE nearest(bigint, bigint) AS SELECT id FROM items ORDER BY v <-> '[3,5,1,2]' LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS off) EXECUTE nearest(5, 0);
EXECUTE nearest(2, 0);
EXECUTE nearest(2, 1);
EXECUTE nearest(0, 0);
EXECUTE nearest(-1, 0);
EXECUTE nearest(NULL, 2998);
CREATE TEMP TABLE all_rows AS EXECUTE nearest(NULL, NULL);
SELECT count(*), count(DISTINCT id) FROM all_rows;
-- A condition without columns.
PREPARE gated(integer) AS SELECT id FROM items WHERE $1 = 1 AND kind <> 3 ORDER BY v <-> '[3,5,1,2]' LIMIT 2;
EXECUTE gated(1);
EXECUTE gated(0);
RESET plan_cache_mode;

-- Locked, changed where a cursor stands, with system columns and whole rows.
BEGIN;
SELECT id FROM items WHERE kind <> 3 ORDER BY v <-> '[3,5,1,2]' LIMIT 2 FOR UPDATE;
DECLARE c CURSOR FOR SELECT id, kind FROM items WHERE kind <> 3 ORDER BY v <-> '[3,5,1,2]' LIMIT 20;
FETCH 2 FROM c;
UPDATE items SET kind = -1 WHERE CURRENT OF c RETURNING id, kind;
FETCH 1 FROM c;
DELETE FROM items WHERE CURRENT OF c RETURNING id;
ROLLBACK;
-- Also where the row comes from the exact search.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM items WHERE kind % 500 = 7 ORDER BY v <-> '[3,5,1,2]' LIMIT 10;
FETCH 2 FROM c;
UPDATE items SET kind = -1 WHERE CURRENT OF c RETURNING id, kind;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM items WHERE kind <> 3 ORDER BY v <-> '[3,5,1,2]' LIMIT 4;
FETCH ALL FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 2 FROM c;
ROLLBACK;
SELECT i, i.tableoid::regclass, i.xmin IS NULL AS no_xmin, i.ctid = (SELECT ctid FROM items o WHERE o.id = i.id) AS same_row
FROM items i WHERE kind <> 3 ORDER BY v <-> '[3,5,1,2]' LIMIT 2;

-- Begun again for each row of a join, in both ways of answering.
SELECT q.id, array_agg(n.id ORDER BY n.d, n.id) FROM (VALUES (1, 5), (2, 77), (3, 250)) q(id, kind), LATERAL
    (SELECT id, v <-> '[9,9,9,9]' AS d FROM items WHERE items.kind % 500 = q.kind ORDER BY v <-> '[9,9,9,9]' LIMIT 3) n
GROUP BY q.id ORDER BY q.id;
SELECT q.id, n.id FROM (VALUES (1, 2), (2, 0), (3, 3)) q(id, rows), LATERAL
    (SELECT id FROM items ORDER BY v <-> '[3,5,1,2]' LIMIT q.rows) n ORDER BY 1, 2;

-- Partitions, and a plan that is sent to a parallel worker.
CREATE TABLE parts (id integer, v vector(4)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (4000);
INSERT INTO parts SELECT id, v FROM items;
CREATE INDEX ON parts USING hnsw (v vector_l2_ops);
VACUUM ANALYZE parts;
EXPLAIN (COSTS off) SELECT id FROM parts ORDER BY v <-> '[3,5,1,2]' LIMIT 3;
EXPLAIN (COSTS off) SELECT id FROM parts WHERE id % 10 < 8 ORDER BY v <-> '[3,5,1,2]' LIMIT 3;
SELECT id FROM parts WHERE id % 10 < 8 ORDER BY v <-> '[3,5,1,2]' LIMIT 1;
SELECT id FROM items WHERE id % 10 < 8 ORDER BY v <-> '[3,5,1,2]' LIMIT 1;
EXPLAIN (VERBOSE, COSTS off) SELECT id, v <-> '[3,5,1,2]' AS d FROM items WHERE kind <> 3 ORDER BY d LIMIT 2;

-- Partitions joined with partitions, pair by pair: the other table's partition stands for that table.
CREATE TABLE wanted (id integer, radius float8, v vector(4)) PARTITION BY RANGE (id);
CREATE TABLE wanted_1 PARTITION OF wanted FOR VALUES FROM (0) TO (1000);
CREATE TABLE wanted_2 PARTITION OF wanted FOR VALUES FROM (1000) TO (4000);
INSERT INTO wanted SELECT id, 0.5, v FROM items WHERE id % 700 = 5;
ANALYZE wanted;
SET enable_partitionwise_join = on;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT wanted.id, parts.id AS found FROM wanted JOIN parts ON wanted.id = parts.id AND parts.v <-> wanted.v < radius
ORDER BY 1;
SELECT wanted.id, parts.id AS found FROM wanted LEFT JOIN parts
    ON wanted.id = parts.id AND parts.v <-> '[3,5,1,2]' < 4 * radius ORDER BY 1;
SET enable_seqscan = off;
SELECT wanted.id, parts.id AS found FROM wanted JOIN parts ON wanted.id = parts.id AND parts.v <-> wanted.v < radius
ORDER BY 1;

-- What another query's row sets has no value in a parallel worker: no scan that orders by it is sent to one.
RESET enable_partitionwise_join;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_seqscan;
SET seq_page_cost = 100; SET random_page_cost = 0.01;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT wanted.id, n.id FROM wanted, LATERAL
    (SELECT parts.id FROM parts ORDER BY parts.v <-> wanted.v LIMIT 2) n;
SELECT wanted.id, n.id FROM wanted, LATERAL (SELECT parts.id FROM parts ORDER BY parts.v <-> wanted.v LIMIT 1) n
ORDER BY 1;
SELECT wanted.id, count(*) FROM wanted, LATERAL
    (SELECT parts.id FROM parts WHERE parts.id % 10 < 8 ORDER BY parts.v <-> '[3,5,1,2]' LIMIT wanted.id / 100) n
GROUP BY 1 ORDER BY 1;
RESET seq_page_cost; RESET random_page_cost;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
DROP TABLE items, parts, wanted;
