-- An index follows its table through inserts, updates, deletes, vacuum and transactions.
SET enable_seqscan = off;
CREATE TABLE t (id integer PRIMARY KEY, v vector(2));
CREATE INDEX t_idx ON t USING hnsw (v vector_l2_ops);
-- Rows of the index in order of distance from the origin, as many as there are.
CREATE FUNCTION pg_temp.rows() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT string_agg(id::text, ' ') FROM (SELECT id FROM t ORDER BY v <-> '[0,0]') s);
END
$$;
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY v <-> '[0,0]';

SELECT pg_temp.rows();
INSERT INTO t SELECT i, ARRAY[i, 0]::vector FROM generate_series(1, 8) i;
SELECT pg_temp.rows();
UPDATE t SET v = '[0.5,0]' WHERE id = 8;
SELECT pg_temp.rows();
DELETE FROM t WHERE id IN (2, 4);
SELECT pg_temp.rows();
VACUUM t;
SELECT pg_temp.rows();
SELECT nodes, deleted, state FROM dvec_indexes WHERE index = 't_idx'::regclass;
-- New rows take the freed places.
INSERT INTO t VALUES (2, '[20,0]'), (4, '[40,0]'), (9, '[9,0]');
SELECT pg_temp.rows();
INSERT INTO t VALUES (1, '[100,0]') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
INSERT INTO t VALUES (3, '[100,0]') ON CONFLICT DO NOTHING;
SELECT pg_temp.rows();

-- Rollback and savepoints.
BEGIN;
INSERT INTO t VALUES (10, '[0.1,0]');
SAVEPOINT a;
INSERT INTO t VALUES (11, '[0.2,0]');
DELETE FROM t WHERE id = 10;
SELECT pg_temp.rows();
ROLLBACK TO a;
SELECT pg_temp.rows();
INSERT INTO t VALUES (12, '[0.3,0]');
RELEASE a;
COMMIT;
SELECT pg_temp.rows();
BEGIN;
DELETE FROM t;
SELECT pg_temp.rows();
ROLLBACK;
VACUUM t;
SELECT pg_temp.rows();

-- A cursor keeps to the rows that were there when it was opened, in order, whatever comes.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 3 FROM c;
INSERT INTO t VALUES (20, '[5.5,0]'), (21, '[0,0]');
DELETE FROM t WHERE id = 7;
FETCH 3 FROM c;
SELECT pg_temp.rows();
FETCH ALL FROM c;
CLOSE c;
ROLLBACK;
-- Backwards by keeping what came.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 4 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH 2 FROM c;
COMMIT;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 1 FROM c;
COMMIT;
DROP INDEX t_idx;
FETCH 2 FROM c;
CLOSE c;
CREATE INDEX t_idx ON t USING hnsw (v vector_l2_ops);

-- Rows locked and changed in the order of distance.
WITH nearest AS (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 2 FOR UPDATE)
UPDATE t SET v = '[50,0]' FROM nearest WHERE t.id = nearest.id RETURNING t.id;
SELECT pg_temp.rows();

-- TRUNCATE, and its rollback.
BEGIN;
TRUNCATE t;
SELECT pg_temp.rows();
INSERT INTO t VALUES (1, '[1,0]');
SELECT pg_temp.rows();
ROLLBACK;
SELECT pg_temp.rows();
TRUNCATE t;
SELECT pg_temp.rows();
INSERT INTO t VALUES (2, '[2,0]'), (1, '[1,0]');
SELECT pg_temp.rows();

-- Made, filled and emptied in one transaction, in place.
BEGIN;
CREATE TABLE once (id integer, v vector(2));
CREATE INDEX ON once USING hnsw (v vector_l2_ops);
INSERT INTO once VALUES (1, '[1,0]'), (2, '[2,0]');
TRUNCATE once;
INSERT INTO once VALUES (3, '[3,0]');
SELECT id FROM once ORDER BY v <-> '[0,0]';
COMMIT;
SELECT id FROM once ORDER BY v <-> '[0,0]';

-- COPY, in and out.
COPY t FROM stdin;
5	[5,0]
4	[4,0]
\.
SELECT pg_temp.rows();
COPY (SELECT * FROM t ORDER BY v <-> '[0,0]' LIMIT 2) TO stdout;

-- Rewrites of the table.
REINDEX INDEX t_idx;
SELECT pg_temp.rows();
REINDEX INDEX CONCURRENTLY t_idx;
SELECT pg_temp.rows();
DELETE FROM t WHERE id = 5;
VACUUM FULL t;
SELECT pg_temp.rows();
CLUSTER t USING t_pkey;
SELECT pg_temp.rows();
ALTER TABLE t ALTER v TYPE vector(3) USING (v || '[1]')::vector(3);
SELECT id FROM t ORDER BY v <-> '[4,0,1]' LIMIT 1;
ALTER TABLE t ALTER v TYPE vector(2) USING subvector(v, 1, 2);
ALTER TABLE t ADD note text DEFAULT 'x', ALTER id TYPE bigint;
SELECT pg_temp.rows();
ALTER TABLE t SET UNLOGGED;
SELECT pg_temp.rows();
ALTER TABLE t SET LOGGED;
SELECT pg_temp.rows();
ALTER TABLE t RENAME v TO renamed;
ALTER TABLE t RENAME renamed TO v;
INSERT INTO t VALUES (6, '[6,0]');
SELECT pg_temp.rows();
CREATE INDEX CONCURRENTLY t_second ON t USING hnsw (v vector_l1_ops);
SELECT id FROM t ORDER BY v <+> '[5,0]' LIMIT 2;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 't'::regclass
ORDER BY indexrelid::regclass::text;

-- A failing CREATE INDEX CONCURRENTLY leaves an invalid index that disturbs nobody.
CREATE TABLE uneven (id integer, v vector);
INSERT INTO uneven VALUES (1, '[1]'), (2, '[1,2]');
CREATE INDEX CONCURRENTLY uneven_idx ON uneven USING hnsw ((v::vector(2)) vector_l2_ops);
SELECT indisvalid FROM pg_index WHERE indrelid = 'uneven'::regclass;
DELETE FROM uneven WHERE id = 1;
VACUUM uneven;
REINDEX INDEX CONCURRENTLY uneven_idx;
SELECT indisvalid FROM pg_index WHERE indrelid = 'uneven'::regclass;
SELECT id FROM uneven ORDER BY v::vector(2) <-> '[1,2]';

DROP TABLE t, once, uneven;
