-- What CREATE INDEX accepts and refuses, and the settings of a search.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, v vector(3), w vector, x vector(3));

-- Options: limits, defaults and their relation.
SELECT option, pg_temp.failure(format('CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (%s)', option))
FROM (VALUES ('m = 1'), ('m = 101'), ('ef_construction = 3'), ('ef_construction = 1001'),
    ('link_codes = maybe'), ('link_codes = on'), ('m = ''many'''), ('lists = 10'), ('fillfactor = 50'), ('m = 50'), ('m = 16, ef_construction = 31'),
    ('m = 2, ef_construction = 4'), ('m = 100, ef_construction = 200'),
    ('m = 16, ef_construction = 1000'), ('m = 16, ef_construction = 32')
) AS t(option);
SELECT reloptions FROM pg_class WHERE relname ~ '^t_v_idx' ORDER BY relname;

-- Options of an existing index apply from its next REINDEX on.
CREATE INDEX changed ON t USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 8);
ALTER INDEX changed SET (m = 8, ef_construction = 40);
ALTER INDEX changed SET (m = 500);
ALTER INDEX changed RESET (m);
REINDEX INDEX changed;
ALTER INDEX changed SET (ef_construction = 10);
REINDEX INDEX changed;

-- Columns: dimensions, number, type and order.
SELECT definition, pg_temp.failure('CREATE INDEX ON t USING hnsw ' || definition)
FROM (VALUES ('(w vector_l2_ops)'), ('((w::vector(3)) vector_l2_ops)'), ('((w::vector(16000)) vector_l2_ops)'),
    ('(v)'), ('(id)'), ('(id vector_l2_ops)'), ('(v vector_ops)'), ('(v vector_l2_ops DESC)'),
    ('(v vector_l2_ops NULLS FIRST)'), ('(v vector_l2_ops, x vector_l2_ops)'),
    ('(v vector_l2_ops) INCLUDE (id)')
) AS t(definition);
DROP INDEX t_w_idx, t_w_idx1;
SELECT pg_temp.failure('CREATE UNIQUE INDEX ON t USING hnsw (v vector_l2_ops)');
SELECT replace(pg_temp.failure('ALTER TABLE t ADD EXCLUDE USING hnsw (v vector_l2_ops WITH =)'),
    'public.', '') AS failure;
SELECT pg_temp.failure('CLUSTER t USING changed');

-- Dimensions of values: of rows already there, of new rows, of the query.
CREATE TABLE loose (id integer, w vector);
INSERT INTO loose VALUES (1, '[1,2,3]'), (2, '[1,2]');
SELECT pg_temp.failure('CREATE INDEX ON loose USING hnsw ((w::vector(3)) vector_l2_ops)');
SELECT pg_temp.failure(
    'CREATE INDEX ON loose USING hnsw ((w::vector(3)) vector_l2_ops) WHERE vector_dims(w) = 3');
SELECT pg_temp.failure($$INSERT INTO loose VALUES (3, '[1,2]')$$);
SELECT pg_temp.failure($$INSERT INTO t (v) VALUES ('[1,2]')$$);
SET enable_seqscan = off;
INSERT INTO t VALUES (1, '[1,2,3]', '[1,2,3]', '[1,2,3]');
SELECT pg_temp.failure($$SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1$$);
SELECT pg_temp.failure($$SELECT id FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 1$$);

-- A column that gives up its dimensions keeps its index, which keeps its own.
CREATE TABLE freed (id integer, v vector(3));
CREATE INDEX freed_idx ON freed USING hnsw (v vector_l2_ops);
INSERT INTO freed VALUES (1, '[1,2,3]');
ALTER TABLE freed ALTER v TYPE vector;
SELECT pg_temp.failure($$INSERT INTO freed VALUES (2, '[1,2]')$$);
INSERT INTO freed VALUES (3, '[3,2,1]');
SELECT id FROM freed ORDER BY v <-> '[3,2,1]' LIMIT 2;
SELECT pg_temp.failure('REINDEX INDEX freed_idx');

-- Settings.
SELECT name, setting, unit, context, vartype, min_val, max_val FROM pg_settings
WHERE name ~ '^hnsw\.' ORDER BY name;
SELECT setting, pg_temp.failure('SET ' || setting)
FROM (VALUES ('hnsw.ef_search = 0'), ('hnsw.ef_search = 1001'), ('hnsw.ef_search = 1000'),
    ('hnsw.ef_search = ''x'''), ('hnsw.max_scan_tuples = 0'), ('hnsw.max_scan_tuples = 2147483647'),
    ('hnsw.unknown = 1'), ('dvec.unknown = 1'), ('dvec.max_indexes = 5'), ('dvec.link_threads = 3')
) AS t(setting);
SHOW hnsw.ef_search;
SELECT pg_temp.failure('SET dvec.simd = ''sse9''');
SET dvec.simd = scalar;
SELECT dvec_simd();
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET dvec.simd;

-- A setting for one transaction, one function, one role's session.
BEGIN;
SET LOCAL hnsw.ef_search = 77;
SHOW hnsw.ef_search;
ROLLBACK;
CREATE FUNCTION nearest(q vector) RETURNS integer LANGUAGE sql STABLE SET hnsw.ef_search = 10
    AS 'SELECT id FROM t ORDER BY v <-> q LIMIT 1';
SELECT nearest('[1,2,3]');

DROP FUNCTION nearest;
DROP TABLE t, loose, freed;
