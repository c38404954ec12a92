-- Indexes on all kinds of tables, and the view that lists them.
SET enable_seqscan = off;
SELECT column_name, data_type FROM information_schema.columns
WHERE table_name = 'dvec_indexes' ORDER BY ordinal_position;
SELECT count(*) FROM dvec_indexes;

-- Partial: used where the query's condition says no less.
CREATE TABLE t (id integer, kind text, v vector(3), w vector);
INSERT INTO t SELECT i, CASE i % 3 WHEN 0 THEN 'a' ELSE 'b' END, ARRAY[i, i % 5, 1]::vector,
    ARRAY[i, i % 4]::vector FROM generate_series(1, 60) i;
CREATE INDEX t_partial ON t USING hnsw (v vector_l2_ops) WHERE kind = 'a';
INSERT INTO t VALUES (100, 'a', '[10,1,1]'), (101, 'b', '[10,1,1]'), (102, 'a', NULL);
EXPLAIN (COSTS off) SELECT id FROM t WHERE kind = 'a' ORDER BY v <-> '[10,0,1]' LIMIT 3;
SELECT id FROM t WHERE kind = 'a' ORDER BY v <-> '[10,1,1]' LIMIT 3;
-- Its condition alone is no use for it.
SELECT count(*) FROM t WHERE kind = 'a';
SELECT nodes FROM dvec_indexes WHERE index = 't_partial'::regclass;
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY v <-> '[10,0,1]' LIMIT 3;
UPDATE t SET kind = 'b' WHERE id = 100;
UPDATE t SET kind = 'a' WHERE id = 101;
SELECT id FROM t WHERE kind = 'a' ORDER BY v <-> '[10,1,1]' LIMIT 1;

-- On an expression.
CREATE INDEX t_expression ON t USING hnsw ((subvector(v, 1, 2)::vector(2)) vector_cosine_ops);
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY subvector(v, 1, 2)::vector(2) <=> '[60,1]' LIMIT 1;
SELECT id FROM t ORDER BY subvector(v, 1, 2)::vector(2) <=> '[60,1]' LIMIT 1;
CREATE INDEX t_cast ON t USING hnsw ((w::vector(2)) vector_l2_ops) WHERE vector_dims(w) = 2;
INSERT INTO t (id, w) VALUES (200, '[1,2,3]'), (201, '[30.1,2]');
SELECT id FROM t WHERE vector_dims(w) = 2 ORDER BY w::vector(2) <-> '[30.1,2]' LIMIT 2;

-- Temporary, with each fate at commit.
CREATE TEMP TABLE temporary (id integer, v vector(2));
CREATE INDEX ON temporary USING hnsw (v vector_l2_ops);
INSERT INTO temporary SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 20) i;
SELECT id FROM temporary ORDER BY v <-> '[7.2,1]' LIMIT 2;
SELECT nodes, state FROM dvec_indexes WHERE "table" = 'temporary'::regclass;
CREATE TEMP TABLE emptied (id integer, v vector(2)) ON COMMIT DELETE ROWS;
CREATE INDEX ON emptied USING hnsw (v vector_l2_ops);
BEGIN;
INSERT INTO emptied VALUES (1, '[1,1]'), (2, '[2,2]');
SELECT id FROM emptied ORDER BY v <-> '[0,0]';
COMMIT;
SELECT id FROM emptied ORDER BY v <-> '[0,0]';
BEGIN;
INSERT INTO emptied VALUES (3, '[3,3]');
SELECT id FROM emptied ORDER BY v <-> '[0,0]';
COMMIT;
BEGIN;
CREATE TEMP TABLE dropped (id integer, v vector(2)) ON COMMIT DROP;
CREATE INDEX ON dropped USING hnsw (v vector_l2_ops);
INSERT INTO dropped VALUES (1, '[1,1]');
SELECT id FROM dropped ORDER BY v <-> '[0,0]';
COMMIT;

-- Unlogged.
CREATE UNLOGGED TABLE unlogged (id integer, v vector(2));
INSERT INTO unlogged SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 20) i;
CREATE INDEX ON unlogged USING hnsw (v vector_l2_ops);
INSERT INTO unlogged VALUES (21, '[7.1,1]');
SELECT id FROM unlogged ORDER BY v <-> '[7.2,1]' LIMIT 2;
VACUUM unlogged;

-- Partitioned: one index per partition, merged.
CREATE TABLE p (id integer, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE INDEX p_v_idx ON p USING hnsw (v vector_l2_ops) WITH (m = 8);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
INSERT INTO p SELECT i, ARRAY[i % 100, i / 100]::vector FROM generate_series(1, 199) i;
EXPLAIN (COSTS off) SELECT id FROM p ORDER BY v <-> '[50,0.6]' LIMIT 4;
SELECT id FROM p ORDER BY v <-> '[50,0.6]' LIMIT 4;
SELECT id FROM p WHERE id < 100 ORDER BY v <-> '[50,0.6]' LIMIT 2;
UPDATE p SET id = id + 100 WHERE id = 50;
ALTER TABLE p DETACH PARTITION p1;
SELECT id FROM p ORDER BY v <-> '[50,0.6]' LIMIT 2;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (100);
REINDEX INDEX p_v_idx;
SELECT index, "table" FROM dvec_indexes WHERE "table"::text ~ '^p' ORDER BY 1;

-- Inheritance, materialized views, CREATE TABLE AS and LIKE.
CREATE TABLE child (extra integer) INHERITS (unlogged);
INSERT INTO child VALUES (22, '[7.2,1]', 1);
SELECT id FROM unlogged ORDER BY v <-> '[7.2,1]' LIMIT 2;
CREATE MATERIALIZED VIEW m AS SELECT id, v FROM t WHERE v IS NOT NULL;
CREATE UNIQUE INDEX ON m (id);
CREATE INDEX m_v_idx ON m USING hnsw (v vector_ip_ops);
SELECT id FROM m ORDER BY v <#> '[1,0,0]' LIMIT 1;
INSERT INTO t (id, v) VALUES (300, '[500,1,1]');
REFRESH MATERIALIZED VIEW m;
SELECT id FROM m ORDER BY v <#> '[1,0,0]' LIMIT 1;
DELETE FROM t WHERE id = 300;
REFRESH MATERIALIZED VIEW CONCURRENTLY m;
SELECT id FROM m ORDER BY v <#> '[1,0,0]' LIMIT 1;
CREATE TABLE chosen AS SELECT id, v FROM t WHERE v IS NOT NULL ORDER BY v <-> '[10,1,1]' LIMIT 5;
SELECT count(*) FROM chosen;
CREATE TABLE alike (LIKE t INCLUDING INDEXES);
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'alike'::regclass ORDER BY 1;

-- Other tablespaces.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE dvec_elsewhere LOCATION '';
CREATE INDEX t_elsewhere ON t USING hnsw (v vector_l1_ops) TABLESPACE dvec_elsewhere;
INSERT INTO t (id, v) VALUES (400, '[-9,-9,-9]');
SELECT id FROM t ORDER BY v <+> '[-9,-9,-9]' LIMIT 1;
ALTER INDEX t_elsewhere SET TABLESPACE pg_default;
SELECT id FROM t ORDER BY v <+> '[-9,-9,-9]' LIMIT 1;
ALTER INDEX t_elsewhere SET TABLESPACE dvec_elsewhere;
SELECT id FROM t ORDER BY v <+> '[-9,-9,-9]' LIMIT 1;
-- Waits until the moved index is rebuilt.
VACUUM t;
SELECT index, state, nodes FROM dvec_indexes WHERE "table" = 't'::regclass ORDER BY index::text;
DROP INDEX t_elsewhere;
CHECKPOINT;
DROP TABLESPACE dvec_elsewhere;

-- Triggers and generated columns write through the index like anybody.
CREATE TABLE g (id integer, a real, v vector(2) GENERATED ALWAYS AS (ARRAY[a, 1]::vector) STORED);
CREATE INDEX ON g USING hnsw (v vector_l2_ops);
INSERT INTO g (id, a) SELECT i, i FROM generate_series(1, 10) i;
UPDATE g SET a = 100 WHERE id = 5;
SELECT id FROM g ORDER BY v <-> '[100,1]' LIMIT 1;

DROP MATERIALIZED VIEW m;
DROP TABLE t, temporary, emptied, child, unlogged, p, chosen, alike, g;
SELECT count(*) FROM dvec_indexes;
