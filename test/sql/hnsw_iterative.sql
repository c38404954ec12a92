-- Where a scan ends: with the last row, unless hnsw.iterative_scan asks for less.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
-- As with pgvector, a session has the settings once it has used one of the types.
SELECT '[1,2,3]'::vector;
SHOW hnsw.iterative_scan;
SELECT setting, pg_temp.failure('SET ' || setting)
FROM (VALUES ('hnsw.iterative_scan = on'), ('hnsw.iterative_scan = OFF'),
    ('hnsw.iterative_scan = ''relaxed_order'''), ('hnsw.iterative_scan = strict_order'),
    ('hnsw.iterative_scan = 1'), ('hnsw.scan_mem_multiplier = 0'), ('hnsw.scan_mem_multiplier = 1001'),
    ('hnsw.scan_mem_multiplier = 1.5'), ('hnsw.scan_mem_multiplier = ''much''')
) AS t(setting);
SHOW hnsw.iterative_scan;
SHOW hnsw.scan_mem_multiplier;
RESET hnsw.scan_mem_multiplier;
RESET hnsw.iterative_scan;
SHOW hnsw.iterative_scan;

CREATE TABLE t (id integer, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, i % 17, i % 5]::vector FROM generate_series(1, 1000) i;
CREATE INDEX t_v_idx ON t USING hnsw (v vector_l2_ops);
ANALYZE t;

-- rows(mode, ef_search, max_scan_tuples): how many rows a scan gives, and whether they are in order.
CREATE FUNCTION pg_temp.rows(mode text, ef text, most text, OUT rows bigint, OUT ordered boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('hnsw.ef_search', ef, true),
        set_config('hnsw.max_scan_tuples', most, true);
    IF mode <> '' THEN
        PERFORM set_config('hnsw.iterative_scan', mode, true);
    END IF;
    SELECT count(*), bool_and(d >= before) FROM
        (SELECT v <-> '[500,3,2]' AS d, lag(v <-> '[500,3,2]', 1, 0) OVER () AS before FROM
            (SELECT v FROM t ORDER BY v <-> '[500,3,2]') n) m
    INTO rows, ordered;
END
$$;
SELECT mode, ef, most, (pg_temp.rows(mode, ef, most)).*
FROM (VALUES ('', '40', '20000'), ('complete', '40', '20000'), ('complete', '40', '100'),
    ('off', '40', '20000'), ('off', '1', '20000'), ('off', '1000', '10'),
    ('strict_order', '40', '20000'), ('strict_order', '40', '100'),
    ('relaxed_order', '40', '20000'), ('relaxed_order', '40', '100'), ('relaxed_order', '40', '1')
) AS s(mode, ef, most);

-- Filters see no more than the scan gives.
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 100 = 1 ORDER BY v <-> '[500,3,2]' LIMIT 10) s;
SET hnsw.iterative_scan = strict_order;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 100 = 1 ORDER BY v <-> '[500,3,2]' LIMIT 10) s;
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT id FROM t WHERE id % 100 = 1 ORDER BY v <-> '[500,3,2]' LIMIT 10) s;
-- A scan begun again counts anew, also for each row of a join.
SELECT q.id, count(*) FROM (VALUES (1, '[1,1,1]'::vector), (2, '[900,1,1]')) q(id, v)
    CROSS JOIN LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v) n GROUP BY q.id ORDER BY q.id;
-- Rows not linked yet count like others.
INSERT INTO t SELECT 2000, '[500,3,2]' FROM generate_series(1, 50);
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
RESET hnsw.iterative_scan;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500,3,2]') s;
DROP TABLE t;
