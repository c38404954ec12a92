-- A search that chooses by itself how many candidates it keeps: the settings, the option, and which goes before which.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, kind integer, v vector(8));
SELECT setseed(0.42);
INSERT INTO t SELECT i, i % 10, array_agg(random() - 0.5)::vector(8)
FROM generate_series(1, 12000) AS i, generate_series(1, 8) GROUP BY i;

-- Values that it takes and does not.
SELECT option, pg_temp.failure(format('CREATE INDEX ON t USING %s', option))
FROM (VALUES ('hnsw (v vector_l2_ops) WITH (target_recall = 1)'), ('hnsw (v vector_l2_ops) WITH (target_recall = -0.1)'),
    ('hnsw (v vector_l2_ops) WITH (target_recall = ''high'')'), ('hnsw (v vector_l2_ops) WITH (target_recall)'),
    ('ivfflat (v vector_l2_ops) WITH (target_recall = 0.9)'), ('hnsw (v vector_l2_ops) WITH (target_recall = 0)'),
    ('dvec (v vector_l2_ops) WITH (m = 8, ef_construction = 20, target_recall = 0.999)')
) AS t(option);
DROP INDEX t_v_idx, t_v_idx1;
ANALYZE t;
SELECT setting, pg_temp.failure('SET ' || setting)
FROM (VALUES ('hnsw.target_recall = 1'), ('hnsw.target_recall = ''high'''), ('hnsw.target_recall = 0.95'),
    ('dvec.target_recall = 1'), ('dvec.target_recall = -1'), ('dvec.target_recall = 0.99')) AS t(setting);
RESET hnsw.target_recall;
RESET dvec.target_recall;

-- While nothing is measured, a careful number: it depends on the target and on how many rows are wanted. An index of
-- so few rows is never measured.
CREATE TABLE few AS TABLE t LIMIT 500;
CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops) WITH (target_recall = 0.95);
CREATE INDEX few_without ON few USING hnsw (v vector_cosine_ops);
SELECT k, dvec_ef_search('few_v', k) FROM (VALUES (1), (10), (100), (1000), (20000)) AS t(k);
SELECT dvec_ef_search('few_v');
SELECT pg_temp.failure($$SELECT dvec_ef_search('few_v', 0)$$);
SELECT dvec_ef_search('few_v', NULL);
CREATE VIEW kept AS SELECT dvec_ef_search('few_v') AS "with", dvec_ef_search('few_without') AS without;
SELECT * FROM kept;
-- What a session sets goes before the option, and a number before a share.
SET hnsw.target_recall = 0.9;
SELECT * FROM kept;
SET dvec.target_recall = 0.99;
SELECT * FROM kept;
SET dvec.target_recall = 0;
SELECT * FROM kept;
SET hnsw.ef_search = 55;
SELECT * FROM kept;
SET dvec.target_recall = 0.99;
SELECT * FROM kept;
SET dvec.ef_search = 66;
SELECT * FROM kept;
RESET ALL;
SELECT * FROM kept;
ALTER INDEX few_v SET (ef_search = 77);
SELECT * FROM kept;
SET hnsw.target_recall = 0.9;
SELECT * FROM kept;
RESET hnsw.target_recall;
ALTER INDEX few_v RESET (ef_search);
BEGIN;
ALTER INDEX few_v SET (target_recall = 0.9);
SELECT mode FROM pg_locks WHERE relation = 'few_v'::regclass AND pid = pg_backend_pid() ORDER BY mode;
SELECT * FROM kept;
ROLLBACK;
SELECT * FROM kept;
SELECT pg_get_indexdef('few_v'::regclass);
CREATE FUNCTION kept_by_function() RETURNS SETOF kept LANGUAGE sql STABLE SET hnsw.target_recall = 0.9
    AS 'SELECT * FROM kept';
SELECT * FROM kept_by_function();

-- Settings of a role and a database stand behind the index's option.
ALTER DATABASE :"DBNAME" SET hnsw.target_recall = 0.9;
\c -
SELECT * FROM kept;
ALTER DATABASE :"DBNAME" SET dvec.target_recall = 0.99;
\c -
SELECT * FROM kept;
ALTER DATABASE :"DBNAME" SET hnsw.ef_search = 44;
\c -
SELECT * FROM kept;
\c -reuse-previous=on "options='-c dvec.target_recall=0.98'"
SELECT * FROM kept;
ALTER DATABASE :"DBNAME" RESET hnsw.target_recall;
ALTER DATABASE :"DBNAME" RESET dvec.target_recall;
ALTER DATABASE :"DBNAME" RESET hnsw.ef_search;
\c -reuse-previous=on "options=''"
SELECT * FROM kept;
\i :include

-- A search knows from its LIMIT how many rows are wanted. Under `off` it returns as many rows as it keeps candidates.
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops, kind);
SET enable_seqscan = off;
SET dvec.target_recall = 0.5;
CREATE FUNCTION pg_temp.kept_by(statement text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN (SELECT ef_search FROM dvec_last_searches());
END
$$;
SELECT pg_temp.kept_by($$SELECT FROM few ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 1$$) IS NULL AS measures_all;
-- Whatever the worker has measured meanwhile, as many candidates are kept as rows are wanted.
SELECT wanted, pg_temp.kept_by(format('SELECT FROM t ORDER BY v <-> ''[0,0,0,0,0,0,0,0]'' LIMIT %s', wanted)) >= wanted AS enough
FROM unnest('{1,30,150}'::integer[]) AS wanted;
SELECT pg_temp.kept_by($$SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 50 OFFSET 100$$) >= 150 AS offset_counts,
    pg_temp.kept_by($$SELECT FROM (SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 50 + 100) AS nearest$$) >= 150 AS inside,
    pg_temp.kept_by($$SELECT FROM t WHERE kind < 5 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 150$$) >= 150 AS checked,
    pg_temp.kept_by($$SELECT FROM t WHERE id % 2 = 0 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 150$$) >= 150 AS filtered,
    pg_temp.kept_by($$SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' FOR UPDATE LIMIT 150$$) >= 150 AS locked;
PREPARE nearest(integer) AS SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT $1) AS nearest;
SET plan_cache_mode = force_generic_plan;
SET hnsw.iterative_scan = off;
EXECUTE nearest(150);
EXECUTE nearest(3);
EXECUTE nearest(170);
RESET hnsw.iterative_scan;
-- Where nothing says how many, by a cursor or below a join, and where there is an error.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]';
MOVE 20 FROM c;
CLOSE c;
SELECT ef_search >= 100 AS enough FROM dvec_last_searches();
COMMIT;
SELECT pg_temp.kept_by($$SELECT count(n.id) FROM few AS q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 120) AS n
    WHERE q.id < 5$$) >= 120 AS each_time;
SELECT pg_temp.failure($$SELECT 1 / (v <-> '[0,0,0,0,0,0,0,0]' > 10)::integer FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5$$);
SELECT pg_temp.kept_by($$SELECT FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 110$$) >= 110 AS enough;

-- The curve: none of an index that nobody has asked.
SELECT count(*) FROM dvec_recall_curve('few_without');
SELECT pg_temp.failure($$SELECT dvec_recall_curve('t')$$);
SELECT count(*) FROM dvec_recall_curve(NULL);
SELECT count(*) FILTER (WHERE in_force) AS in_force FROM dvec_recall('t_v', 5);

-- What only some indexes have.
CREATE TABLE kinds (h halfvec(8), b bit(64), s sparsevec(8), v vector(8));
INSERT INTO kinds SELECT v::halfvec, (id::bit(32) || (id * 7)::bit(32))::bit(64), v::sparsevec, v FROM t LIMIT 2000;
CREATE INDEX kinds_h ON kinds USING hnsw (h halfvec_cosine_ops);
CREATE INDEX kinds_b ON kinds USING hnsw (b bit_jaccard_ops);
CREATE INDEX kinds_s ON kinds USING hnsw (s sparsevec_ip_ops);
CREATE INDEX kinds_v ON kinds USING hnsw (v vector_l1_ops);
SELECT count(*) FROM (SELECT FROM kinds ORDER BY h <=> '[1,0,0,0,0,0,0,1]' LIMIT 12) AS found;
SELECT count(*) FROM (SELECT FROM kinds ORDER BY b <%> 12::bit(64) LIMIT 12) AS found;
SELECT count(*) FROM (SELECT FROM kinds ORDER BY s <#> '{1:1,7:2}/8' LIMIT 12) AS found;
SELECT count(*) FROM (SELECT FROM kinds ORDER BY v <+> '[1,0,0,0,0,0,0,1]' LIMIT 12) AS found;
SELECT count(*) > 0 AS within FROM kinds WHERE v <+> '[0,0,0,0,0,0,0,0]' < 2;
CREATE INDEX few_lists ON few USING ivfflat (v vector_l2_ops) WITH (lists = 50);
SET ivfflat.probes = 7;
SELECT dvec_ef_search('few_lists', 1);
DROP VIEW kept CASCADE;
DROP TABLE t, few, kinds;
