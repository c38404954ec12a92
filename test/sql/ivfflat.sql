-- The access method ivfflat: the graph of hnsw under the name and with the options of an inverted file.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, v vector(3), h halfvec(3), b bit(8), s sparsevec(3), w vector);
INSERT INTO t SELECT i, ARRAY[i, i % 17, i % 5]::vector, ARRAY[i, i % 17, i % 5]::halfvec, (i % 256)::bit(8)
FROM generate_series(1, 1000) i;

-- Who makes one is told what it is; who rebuilds one knows.
CREATE INDEX by_default ON t USING ivfflat (v);
CREATE INDEX by_v ON t USING ivfflat (v vector_l2_ops) WITH (lists = 10);
REINDEX INDEX by_v;
SELECT indexdef FROM pg_indexes WHERE tablename = 't' ORDER BY indexname;
-- As dumps write it.
DROP INDEX by_v;
CREATE INDEX by_v ON public.t USING ivfflat (v public.vector_l2_ops) WITH (lists='10');
DROP INDEX by_default;

SET client_min_messages = warning;
SELECT definition, pg_temp.failure('CREATE INDEX ON t USING ivfflat ' || definition)
FROM (VALUES ('(v vector_ip_ops)'), ('(v vector_cosine_ops)'), ('(v vector_l1_ops)'),
    ('(h halfvec_l2_ops)'), ('(h halfvec_ip_ops)'), ('(h halfvec_cosine_ops)'), ('(h)'),
    ('(b bit_hamming_ops)'), ('(b bit_jaccard_ops)'), ('(s)'), ('(s sparsevec_l2_ops)'), ('(w)'),
    ('((w::vector(16000)))'), ('(v) WITH (lists = 0)'), ('(v) WITH (lists = 32769)'),
    ('(v) WITH (lists = 32768)'), ('(v) WITH (m = 8)'), ('(v, v)'), ('(v) INCLUDE (id)')
) AS t(definition);
SELECT index, state, nodes FROM dvec_indexes WHERE "table" = 't'::regclass ORDER BY index::text;
SELECT index, dvec_check(index) FROM dvec_indexes WHERE "table" = 't'::regclass;
DROP INDEX t_v_idx, t_v_idx1, t_v_idx2;
ALTER INDEX by_v SET (lists = 20);
ALTER INDEX by_v SET (lists = 0);
ALTER INDEX by_v SET (lists = 10);

-- Settings.
SELECT name, setting, context, vartype, min_val, max_val, enumvals FROM pg_settings
WHERE name ~ '^ivfflat\.' ORDER BY name;
SELECT setting, pg_temp.failure('SET ' || setting)
FROM (VALUES ('ivfflat.probes = 0'), ('ivfflat.probes = 32769'), ('ivfflat.probes = 32768'),
    ('ivfflat.iterative_scan = on'), ('ivfflat.iterative_scan = strict_order'),
    ('ivfflat.iterative_scan = off'), ('ivfflat.max_probes = 0'), ('ivfflat.max_probes = 32769'),
    ('ivfflat.unknown = 1')
) AS t(setting);
RESET ivfflat.probes;
RESET ivfflat.iterative_scan;

-- Answers: complete, unless the session asks for the share of some lists.
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY v <-> '[500,3,2]' LIMIT 3;
SELECT id FROM t ORDER BY v <-> '[500,3,2]' LIMIT 3;
SELECT id FROM t ORDER BY h <-> '[500,3,2]' LIMIT 3;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY b <~> '11110000') s;
SET ivfflat.iterative_scan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SET ivfflat.probes = 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SET ivfflat.probes = 10;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SET ivfflat.probes = 1;
SET ivfflat.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SET ivfflat.max_probes = 2;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SET ivfflat.probes = 4;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
-- hnsw's setting is not this method's.
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
RESET hnsw.iterative_scan;
RESET ivfflat.iterative_scan;
RESET ivfflat.probes;
RESET ivfflat.max_probes;

-- All lists: every row is measured, also where a graph is bad at it (inner products).
CREATE TABLE p (id integer, v vector(3));
INSERT INTO p SELECT i, ARRAY[i * 7919 % 1009, i * 6101 % 1013, i * 4447 % 1019]::vector
FROM generate_series(1, 5000) i;
CREATE INDEX ON p USING ivfflat (v vector_ip_ops) WITH (lists = 20);
ANALYZE p;
SET enable_seqscan = on;
SET enable_indexscan = off;
CREATE TABLE answers AS SELECT 'exact' AS way, id, n FROM
    (SELECT id, row_number() OVER (ORDER BY v <#> '[3,1,2]', id) AS n FROM p) s WHERE n <= 50;
RESET enable_indexscan;
SET enable_seqscan = off;
SET ivfflat.probes = 20;
EXPLAIN (COSTS off) SELECT id FROM p ORDER BY v <#> '[3,1,2]' LIMIT 50;
INSERT INTO answers SELECT 'index', id, row_number() OVER ()
FROM (SELECT id FROM p ORDER BY v <#> '[3,1,2]' LIMIT 50) s;
SELECT count(DISTINCT way), count(*),
    (SELECT array_agg(p.v <#> '[3,1,2]' ORDER BY n) FROM p JOIN answers a USING (id) WHERE way = 'exact') =
    (SELECT array_agg(p.v <#> '[3,1,2]' ORDER BY n) FROM p JOIN answers a USING (id) WHERE way = 'index') AS same
FROM answers JOIN p USING (id);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM p ORDER BY v <#> '[3,1,2]') s;
RESET ivfflat.probes;
DROP TABLE p, answers;

-- The rest of an index's life.
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT index, nodes - deleted AS live FROM dvec_indexes WHERE index = 'by_v'::regclass;
INSERT INTO t VALUES (5000, '[0,0,0]');
SELECT id FROM t ORDER BY v <-> '[0,0,0]' LIMIT 1;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
REINDEX INDEX CONCURRENTLY by_v;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
SELECT dvec_check('by_v');
TRUNCATE t;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
DROP TABLE t;
CREATE UNLOGGED TABLE u (v vector(3));
CREATE INDEX ON u USING ivfflat (v vector_cosine_ops) WITH (lists = 1);
INSERT INTO u VALUES ('[0,0,0]'), ('[1,2,3]');
SELECT v FROM u ORDER BY v <=> '[1,1,1]';
DROP TABLE u;
