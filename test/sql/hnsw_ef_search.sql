-- How many candidates a search keeps: the index's option ef_search, the settings, and which goes before which.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, v vector(8));
SELECT setseed(0.42);
INSERT INTO t SELECT i, array_agg(random() - 0.5)::vector(8)
FROM generate_series(1, 3000) AS i, generate_series(1, 8) GROUP BY i;

-- Values that it takes and does not.
SELECT option, pg_temp.failure(format('CREATE INDEX ON t USING %s', option))
FROM (VALUES ('hnsw (v vector_l2_ops) WITH (ef_search = 0)'), ('hnsw (v vector_l2_ops) WITH (ef_search = 10001)'),
    ('hnsw (v vector_l2_ops) WITH (ef_search = -1)'), ('hnsw (v vector_l2_ops) WITH (ef_search = ''many'')'),
    ('hnsw (v vector_l2_ops) WITH (ef_search)'),
    ('ivfflat (v vector_l2_ops) WITH (ef_search = 50)'), ('hnsw (v vector_l2_ops) WITH (ef_search = 1)'),
    ('dvec (v vector_l2_ops) WITH (m = 8, ef_construction = 20, ef_search = 10000)')
) AS t(option);
SELECT indexrelid::regclass AS index, dvec_ef_search(indexrelid, 1) FROM pg_index WHERE indrelid = 't'::regclass
ORDER BY indexrelid;
DROP INDEX t_v_idx, t_v_idx1;
ANALYZE t;
SELECT setting, pg_temp.failure('SET ' || setting)
FROM (VALUES ('hnsw.ef_search = 1001'), ('hnsw.ef_search = 1000'), ('dvec.ef_search = 10001'),
    ('dvec.ef_search = -1'), ('dvec.ef_search = ''many'''), ('dvec.ef_search = 10000')) AS t(setting);
RESET hnsw.ef_search;
RESET dvec.ef_search;

-- What a search keeps, by what it does: under `off` a scan returns so many rows.
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops) WITH (ef_search = 21);
CREATE VIEW kept AS SELECT dvec_ef_search('t_v') AS said,
    (SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 60) AS found) AS done;
CREATE FUNCTION kept_by_function() RETURNS SETOF kept LANGUAGE sql STABLE SET hnsw.ef_search = 9
    AS 'SELECT * FROM kept';
SET hnsw.iterative_scan = off;
SET enable_seqscan = off;
SELECT * FROM kept;
SET hnsw.ef_search = 15;
SELECT * FROM kept;
SET dvec.ef_search = 12;
SELECT * FROM kept;
SET dvec.ef_search = 0;
SELECT * FROM kept;
SET hnsw.ef_search = 40;
SELECT * FROM kept;
RESET ALL;
SET hnsw.iterative_scan = off;
SET enable_seqscan = off;
BEGIN;
SET LOCAL dvec.ef_search = 13;
SELECT * FROM kept;
COMMIT;
SELECT * FROM kept;
SELECT * FROM kept_by_function();
SELECT * FROM kept;

-- It counts at once, for prepared statements too, and keeps nobody from reading or writing.
PREPARE counted AS SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 60) AS found;
SET plan_cache_mode = force_generic_plan;
EXECUTE counted;
BEGIN;
ALTER INDEX t_v SET (ef_search = 31);
SELECT mode FROM pg_locks WHERE relation = 't_v'::regclass AND pid = pg_backend_pid() ORDER BY mode;
COMMIT;
EXECUTE counted;
SELECT pg_temp.failure('ALTER INDEX t_v SET (ef_search = 10001)');
ALTER INDEX t_v RESET (ef_search);
EXECUTE counted;
ALTER INDEX t_v SET (ef_search = 31);
REINDEX INDEX t_v;
SELECT * FROM kept;

-- The definition has it, and makes the same index again.
SELECT pg_get_indexdef('t_v'::regclass) AS definition \gset
\echo :definition
DROP VIEW kept CASCADE;
DROP INDEX t_v;
:definition;
SELECT dvec_ef_search('t_v');

-- Settings of a role and a database stand behind the index's option; those of the client before it.
CREATE INDEX t_without ON t USING hnsw (v vector_cosine_ops);
CREATE VIEW searched AS SELECT dvec_ef_search('t_v') AS "with", dvec_ef_search('t_without') AS without,
    current_setting('hnsw.ef_search', true) AS shown;
ALTER DATABASE :"DBNAME" SET hnsw.ef_search = 300;
\c -
SELECT * FROM searched;
ALTER DATABASE :"DBNAME" SET dvec.ef_search = 2000;
\c -
SELECT * FROM searched;
-- What a session sets goes before what somebody has set for all, whichever of the two names it has.
SET hnsw.ef_search = 30;
SELECT * FROM searched;
RESET hnsw.ef_search;
SELECT * FROM searched;
\c -reuse-previous=on "options='-c hnsw.ef_search=50'"
SELECT * FROM searched;
SET dvec.ef_search = 60;
SELECT * FROM searched;
ALTER DATABASE :"DBNAME" RESET dvec.ef_search;
ALTER DATABASE :"DBNAME" RESET hnsw.ef_search;
\c -reuse-previous=on "options=''"
SELECT * FROM searched;
\i :include

-- The planner's costs and the work are those of the same number, wherever it stands.
CREATE FUNCTION pg_temp.cost() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM t ORDER BY v <-> ''[0,0,0,0,0,0,0,0]'' LIMIT 5' INTO plan;
    RETURN plan -> 0 -> 'Plan' -> 'Plans' -> 0 ->> 'Startup Cost';
END
$$;
CREATE FUNCTION pg_temp.work() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5;
    RETURN (SELECT distances FROM dvec_last_searches());
END
$$;
SET enable_seqscan = off;
SELECT pg_temp.cost() AS cost_31, pg_temp.work() AS work_31 \gset
SET hnsw.ef_search = 10;
SELECT pg_temp.cost() AS cost_10, pg_temp.work() AS work_10 \gset
ALTER INDEX t_v SET (ef_search = 10);
SET hnsw.ef_search = 31;
SELECT pg_temp.cost() = :cost_31 AS same_cost, pg_temp.work() = :work_31 AS same_work;
RESET hnsw.ef_search;
SELECT pg_temp.cost() = :cost_10 AS same_cost, pg_temp.work() = :work_10 AS same_work,
    :cost_10 < :cost_31 AS less_cost, :work_10 < :work_31 AS less_work;

-- A large LIMIT makes a search wider, to half as many candidates again as rows are wanted, with their
-- offset; where a scan is to end with its candidates it does not.
CREATE FUNCTION pg_temp.kept(rest text) RETURNS TABLE (rows bigint, kept integer, rounds bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> ''[0,0,0,0,0,0,0,0]'' ' || rest || ') AS found' INTO rows;
    SELECT last.ef_search, last.rounds FROM dvec_last_searches() AS last INTO kept, rounds;
    RETURN NEXT;
END
$$;
SELECT format('SELECT %1$L AS rest, * FROM pg_temp.kept(%1$L)', rest) FROM unnest(ARRAY['LIMIT 6', 'LIMIT 8', 'LIMIT 100',
    'LIMIT 50 OFFSET 30', 'LIMIT (SELECT 60)']) AS rest \gexec
SET hnsw.iterative_scan = off;
SELECT * FROM pg_temp.kept('LIMIT 100');
SET hnsw.iterative_scan = relaxed_order;
SELECT * FROM pg_temp.kept('LIMIT 100');
RESET hnsw.iterative_scan;
SELECT dvec_ef_search('t_v', 6), dvec_ef_search('t_v', 100), dvec_ef_search('t_v', 1000), dvec_ef_search('t_v', 2000);
SET hnsw.ef_search = 170;
SELECT * FROM pg_temp.kept('LIMIT 100');
SELECT dvec_ef_search('t_v', 100);
RESET hnsw.ef_search;

-- dvec_recall() measures the number in force among others, and says which it is.
SELECT ef_search FROM dvec_recall('t_v', 5, 5) WHERE in_force;
SET hnsw.ef_search = 33;
SELECT ef_search FROM dvec_recall('t_v', 5) WHERE in_force;
SET dvec.ef_search = 10000;
SELECT max(ef_search), max(recall) FROM dvec_recall('t_v', 5);
SELECT count(*) FROM dvec_recall('t_v', 5) WHERE in_force;
RESET hnsw.ef_search;
RESET dvec.ef_search;
SELECT count(*) FROM dvec_compare('t_v', 5) WHERE value = 33;

-- Partitions have options of their own; those made with the index of the whole have its.
CREATE TABLE parts (id integer, v vector(2)) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE INDEX parts_v ON parts USING hnsw (v vector_l2_ops) WITH (ef_search = 123);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
ALTER INDEX parts_2_v_idx SET (ef_search = 321);
SELECT pg_temp.failure('ALTER INDEX parts_v SET (ef_search = 5)') ~ '^42809' AS refused;
SELECT index, dvec_ef_search(index) FROM unnest('{parts_v,parts_1_v_idx,parts_2_v_idx}'::regclass[]) AS index;

-- Of a LIMIT each partition is to find its share.
INSERT INTO parts SELECT 1 + i % 2, ARRAY[random(), random()]::vector FROM generate_series(1, 4000) AS i;
ANALYZE parts;
SET hnsw.ef_search = 20;
SELECT count(*) FROM (SELECT FROM parts ORDER BY v <-> '[0.5,0.5]' LIMIT 60) AS found;
SELECT index, ef_search FROM dvec_last_searches() ORDER BY index;
RESET hnsw.ef_search;

-- Of what has none nothing is said.
CREATE INDEX t_id ON t (id);
SELECT dvec_ef_search('t'), dvec_ef_search('t_id'), dvec_ef_search(0), dvec_ef_search(NULL);
CREATE INDEX t_lists ON t USING ivfflat (v vector_l2_ops) WITH (lists = 50);
SET ivfflat.probes = 7;
SELECT dvec_ef_search('t_lists');
SET ivfflat.probes = 32768;
SELECT dvec_ef_search('t_lists');
SET dvec.ef_search = 5000;
SELECT dvec_ef_search('t_lists');
DROP VIEW searched;
DROP TABLE t, parts;
