-- Conditions on a distance. Each query is asked of a table with indexes and of one without, and the answers
-- compared in order; the counters of the plan say how far the scan went.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/compare.sql'
\i :include
-- measured(query): how many rows the index scan handed out; or that the table was read as well.
CREATE FUNCTION pg_temp.measured(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    handed_out bigint;
    changes bigint;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
        IF line ~ 'Index Rows' THEN
            handed_out := coalesce(handed_out, 0) + substring(line FROM '\d+')::bigint;
        ELSIF line ~ 'Changes to Exact' THEN
            changes := coalesce(changes, 0) + substring(line FROM '\d+')::bigint;
        END IF;
    END LOOP;
    RETURN CASE WHEN changes IS NULL THEN 'no search' WHEN changes = 0 THEN handed_out || ' by index'
        ELSE 'table read' END;
END
$$;
CREATE FUNCTION pg_temp.bounded(name text, query text, OUT answer text, OUT work text) LANGUAGE sql AS $$
    SELECT (pg_temp.compared(name, query)).answer, pg_temp.measured(replace(query, '{t}', name))
$$;
CREATE TABLE t (id integer PRIMARY KEY, v vector(4), h halfvec(4), s sparsevec(4), b bit(16), grp integer);
INSERT INTO t SELECT i, w, w::halfvec, w::sparsevec, (i * 2654435761 % 65536)::bit(16), i % 3
FROM (SELECT i, ARRAY[sin(i), cos(i * 1.7), 2 * sin(i * 0.3), (i % 7) + 1]::vector AS w
    FROM generate_series(1, 1500) i) n;
CREATE TABLE t_plain AS SELECT * FROM t;
CREATE INDEX t_l2 ON t USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX t_ip ON t USING hnsw (v vector_ip_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX t_l1 ON t USING hnsw (v vector_l1_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX h_l2 ON t USING hnsw (h halfvec_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX h_cosine ON t USING hnsw (h halfvec_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX h_ip ON t USING hnsw (h halfvec_ip_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX h_l1 ON t USING hnsw (h halfvec_l1_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX s_l2 ON t USING hnsw (s sparsevec_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX s_cosine ON t USING hnsw (s sparsevec_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX s_ip ON t USING hnsw (s sparsevec_ip_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX s_l1 ON t USING hnsw (s sparsevec_l1_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX b_hamming ON t USING hnsw (b bit_hamming_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX b_jaccard ON t USING hnsw (b bit_jaccard_ops) WITH (m = 8, ef_construction = 32);
ANALYZE t, t_plain;
SET enable_seqscan = off;
-- More candidates than there are answers, and fewer than would make a search exact.
SET hnsw.ef_search = 40;
\pset format unaligned

-- The forms of the issue, their mirror images, and every operator. Each is true for few rows and LIMIT asks
-- for more: the scan hands out those and ends.
SELECT f.form, (pg_temp.bounded('t', format('SELECT id FROM {t} WHERE %s ORDER BY v %s ''[0.1,0.7,-1,4]'' LIMIT 30',
    replace(form, '$q', '''[0.1,0.7,-1,4]'''), operator))).*
FROM (VALUES ('v <=> $q < 0.003', '<=>'), ('v <=> $q <= 0.003', '<=>'), ('0.003 > (v <=> $q)', '<=>'),
    ('0.003 >= ($q <=> v)', '<=>'), ('1 - (v <=> $q) > 0.997', '<=>'), ('1 - (v <=> $q) >= 0.997', '<=>'),
    ('0.997 < 1 - (v <=> $q)', '<=>'), ('0.997 <= 1 - ($q <=> v)', '<=>'),
    ('v <=> $q BETWEEN 0 AND 0.003', '<=>'), ('1 - (v <=> $q) BETWEEN 0.997 AND 1', '<=>'),
    ('v <=> $q BETWEEN SYMMETRIC 0.003 AND 0', '<=>'), ('NOT v <=> $q > 0.003', '<=>'),
    ('v <-> $q < 0.5', '<->'), ('-(v <-> $q) > -0.5', '<->'), ('1 / (1 + (v <-> $q)) > 0.7', '<->'),
    ('(v <-> $q) * 2 < 1', '<->'), ('(v <-> $q) / -2 > -0.25', '<->'), ('(v <-> $q) ^ 2 < 0.25', '<->'),
    ('sqrt(v <-> $q) < 0.7', '<->'), ('exp(-(v <-> $q)) > 0.6', '<->'), ('v <-> $q < 0.5 AND id > 0', '<->'),
    ('v <-> $q < 0.5 OR v <-> $q < 0.4', '<->'), ('v <-> $q < 0.5 AND v <-> $q < 7', '<->'),
    ('v <#> $q < -30.5', '<#>'), ('-(v <#> $q) > 30.5', '<#>'), ('(v <#> $q) * -1 >= 30.5', '<#>'),
    ('v <+> $q < 0.8', '<+>'), ('100 - (v <+> $q) > 99.2', '<+>')
) f(form, operator);
-- The functions, casts and rounding, on either side.
SELECT f.form, (pg_temp.bounded('t', format('SELECT id FROM {t} WHERE %s ORDER BY v %s ''[0.1,0.7,-1,4]'' LIMIT 30',
    replace(form, '$q', '''[0.1,0.7,-1,4]'''), operator))).*
FROM (VALUES ('cosine_distance(v, $q) < 0.003', '<=>'), ('1 - cosine_distance($q, v) > 0.997', '<=>'),
    ('l2_distance(v, $q) <= 0.5', '<->'), ('vector_l2_squared_distance(v, $q) < 0.25', '<->'),
    ('inner_product(v, $q) > 30.5', '<#>'), ('inner_product($q, v) / 2 >= 15.25', '<#>'), ('l1_distance($q, v) < 0.8', '<+>'),
    ('(v <-> $q)::real < 0.5', '<->'), ('v <-> $q < 0.5::real', '<->'), ('(v <-> $q)::numeric < 0.5', '<->'),
    ('round((v <-> $q)::numeric, 2) < 0.5', '<->'), ('round((100 * (1 - (v <=> $q)))::numeric, 1) >= 99.8', '<=>'),
    ('(v <-> $q)::numeric(5,1) <= 0.4', '<->'), ('floor(v <-> $q) < 1', '<->'), ('(2 * (v <-> $q))::int = 0', '<->'),
    ('(v <-> $q)::numeric / 3 < 0.16', '<->'), ('v <-> $q < 1.0 / 2', '<->'), ('v <-> $q = 0.5', '<->')
) f(form, operator);
-- Every type.
SELECT f.form, (pg_temp.bounded('t', format('SELECT id FROM {t} WHERE %1$s < %2$s ORDER BY %1$s, id LIMIT 30', form, bound))).*
FROM (VALUES ('(h <-> ''[0.1,0.7,-1,4]'')', '0.5'), ('(h <#> ''[0.1,0.7,-1,4]'')', '-30.5'), ('(h <=> ''[0.1,0.7,-1,4]'')', '0.003'),
    ('(h <+> ''[0.1,0.7,-1,4]'')', '0.8'), ('(s <-> ''{1:0.1,2:0.7,3:-1,4:4}/4'')', '0.5'),
    ('(s <#> ''{1:0.1,2:0.7,3:-1,4:4}/4'')', '-30.5'), ('(s <=> ''{1:0.1,2:0.7,3:-1,4:4}/4'')', '0.003'),
    ('(s <+> ''{1:0.1,2:0.7,3:-1,4:4}/4'')', '0.8'), ('(b <~> B''0001000110110010'')', '3'),
    ('(b <%> B''0001000110110010'')', '0.4'), ('hamming_distance(b, B''0001000110110010'')', '3')) f(form, bound);

-- Where no row passes, or none can, and where a value is NULL; and where the bound is of another query's distance.
SELECT f.form, (pg_temp.bounded('t', format('SELECT id FROM {t} WHERE %s ORDER BY v <-> ''[0.1,0.7,-1,4]'' LIMIT 30',
    replace(form, '$q', '''[0.1,0.7,-1,4]''')))).*
FROM (VALUES ('v <-> $q < 0.01'), ('v <-> $q < -1'), ('1 / (1 + (v <-> $q)) < -1'), ('v <-> $q < (SELECT NULL::float8)'),
    ('v <-> $q < ''-Infinity'''), ('v <-> ''[9,9,9,9]'' < 0.5'), ('v <-> (SELECT NULL::vector) < 0.5')) f(form);

-- A lower bound, as pages by key have it: rows in front of it are passed over without reading them.
SELECT f.form, (pg_temp.bounded('t', format('SELECT id FROM {t} WHERE %s ORDER BY v <-> ''[0.1,0.7,-1,4]'' LIMIT 5',
    replace(form, '$q', '''[0.1,0.7,-1,4]''')))).*
FROM (VALUES ('v <-> $q > 0.5'), ('v <-> $q >= 1 AND v <-> $q < 1.2'), ('v <-> $q BETWEEN 0.9 AND 1.0'),
    ('1 - (v <-> $q) < 0.3'), ('v <-> $q > 3'), ('(v <-> $q, id) > (0.7, 100)')) f(form);

-- Parameters, custom and generic; a sub-select; LATERAL; functions in SQL and PL/pgSQL; WITH.
PREPARE near(vector, float8, integer) AS SELECT id FROM t WHERE 1 - (v <=> $1) > $2 ORDER BY v <=> $1 LIMIT $3;
PREPARE near_plain(vector, float8, integer) AS SELECT id FROM t_plain WHERE 1 - (v <=> $1) > $2 ORDER BY v <=> $1 LIMIT $3;
PREPARE scaled(vector, float8, float8) AS SELECT id FROM t WHERE (v <-> $1) * $2 < $3 ORDER BY v <-> $1 LIMIT 30;
PREPARE scaled_plain(vector, float8, float8) AS SELECT id FROM t_plain WHERE (v <-> $1) * $2 < $3 ORDER BY v <-> $1 LIMIT 30;
SET plan_cache_mode = force_custom_plan;
SELECT pg_temp.answers('EXECUTE near(''[0.1,0.7,-1,4]'', 0.997, 30)') = pg_temp.answers('EXECUTE near_plain(''[0.1,0.7,-1,4]'', 0.997, 30)') AS same,
    pg_temp.measured('EXECUTE near(''[0.1,0.7,-1,4]'', 0.997, 30)') AS work;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.answers('EXECUTE near(''[0.1,0.7,-1,4]'', 0.997, 30)') = pg_temp.answers('EXECUTE near_plain(''[0.1,0.7,-1,4]'', 0.997, 30)') AS same,
    pg_temp.measured('EXECUTE near(''[0.1,0.7,-1,4]'', 0.997, 30)') AS work,
    pg_temp.answers('EXECUTE near(''[0.1,0.7,-1,4]'', NULL, 30)') AS none, pg_temp.measured('EXECUTE near(''[0.1,0.7,-1,4]'', NULL, 30)');
-- A factor of a sign that only the executor knows.
SELECT factor, bound, pg_temp.answers(format('EXECUTE scaled(''[0.1,0.7,-1,4]'', %s, %s)', factor, bound))
    = pg_temp.answers(format('EXECUTE scaled_plain(''[0.1,0.7,-1,4]'', %s, %s)', factor, bound)) AS same,
    pg_temp.measured(format('EXECUTE scaled(''[0.1,0.7,-1,4]'', %s, %s)', factor, bound)) AS work
FROM (VALUES (2, 1), (-2, -5), (0, 1)) f(factor, bound);
RESET plan_cache_mode;
CREATE FUNCTION pg_temp.match(query vector, threshold float8, most integer) RETURNS TABLE (id integer, similarity float8)
LANGUAGE sql STABLE AS
'SELECT id, 1 - (v <=> query) FROM t WHERE 1 - (v <=> query) > threshold ORDER BY v <=> query LIMIT most';
CREATE FUNCTION pg_temp.match_by_plpgsql(query vector, threshold float8, most integer) RETURNS SETOF integer LANGUAGE plpgsql AS
$$ BEGIN RETURN QUERY SELECT t.id FROM t WHERE 1 - (t.v <=> query) > threshold ORDER BY t.v <=> query LIMIT most; END $$;
SELECT pg_temp.measured('SELECT * FROM pg_temp.match(''[0.1,0.7,-1,4]'', 0.997, 30)') AS in_sql,
    pg_temp.answers('SELECT id FROM pg_temp.match(''[0.1,0.7,-1,4]'', 0.997, 30)') = wanted AS same,
    pg_temp.answers('SELECT * FROM pg_temp.match_by_plpgsql(''[0.1,0.7,-1,4]'', 0.997, 30)') = wanted AS in_plpgsql
FROM pg_temp.answers('SELECT id FROM t_plain WHERE 1 - (v <=> ''[0.1,0.7,-1,4]'') > 0.997 ORDER BY v <=> ''[0.1,0.7,-1,4]'' LIMIT 30') wanted;
SELECT f.query, (pg_temp.bounded('t', query)).*
FROM (VALUES
    ('SELECT id FROM {t} WHERE v <-> (SELECT v FROM {t} WHERE id = 17) < 0.4 ORDER BY v <-> (SELECT v FROM {t} WHERE id = 17) LIMIT 30'),
    ('SELECT id FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < (SELECT 0.25 * 2) ORDER BY v <-> ''[0.1,0.7,-1,4]'' LIMIT 30'),
    ('SELECT q.id, n.id FROM {t} q, LATERAL (SELECT id FROM {t} p WHERE p.v <-> q.v < 0.3 ORDER BY p.v <-> q.v LIMIT 30) n WHERE q.id IN (3, 99) ORDER BY 1, 2'),
    ('SELECT * FROM (SELECT id, 1 - (v <=> ''[0.1,0.7,-1,4]'') AS similarity FROM {t}) s WHERE similarity > 0.997 ORDER BY similarity DESC LIMIT 30'),
    ('WITH s AS (SELECT id, v <-> ''[0.1,0.7,-1,4]'' AS d FROM {t}) SELECT * FROM s WHERE d < 0.5 ORDER BY d LIMIT 30'),
    ('SELECT id FROM {t} WHERE 1 - (v <=> ''[0.1,0.7,-1,4]'') > 0.997 ORDER BY 1 - (v <=> ''[0.1,0.7,-1,4]'') DESC, id LIMIT 30'),
    ('SELECT id FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 0.5 ORDER BY v <-> ''[0.1,0.7,-1,4]''')
) f(query);
-- A cursor.
BEGIN;
DECLARE near CURSOR FOR SELECT count(*) OVER (), id FROM (SELECT id FROM t WHERE v <-> '[0.1,0.7,-1,4]' < 0.5 ORDER BY v <-> '[0.1,0.7,-1,4]' LIMIT 30) s;
FETCH 1 FROM near;
COMMIT;

-- Without an order all rows within the bound are wanted, none may be missed, and counting them is enough; joins of
-- rows that are near each other, and what deletes and updates by a distance.
SELECT f.query, (pg_temp.bounded('t', query)).*
FROM (VALUES
    ('SELECT count(*), sum(id) FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 0.5'),
    ('SELECT count(*), sum(id) FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 1 AND grp = 1'),
    ('SELECT grp, count(*) FROM {t} WHERE -(v <#> ''[0.1,0.7,-1,4]'') > 30 GROUP BY grp ORDER BY grp'),
    ('SELECT id FROM {t} WHERE v <+> ''[0.1,0.7,-1,4]'' < 0.8 ORDER BY id'),
    ('SELECT EXISTS (SELECT FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 0.2)'),
    ('SELECT a.id, b.id FROM {t} a JOIN {t} b ON a.v <-> b.v < 0.2 AND a.id <> b.id WHERE a.id < 20 ORDER BY 1, 2'),
    ('SELECT a.id, count(b.id) FROM {t} a LEFT JOIN {t} b ON l2_distance(b.v, a.v) <= a.grp * 0.1 WHERE a.id < 9 GROUP BY 1 ORDER BY 1'),
    ('SELECT id FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 0.5 AND v <-> ''[0.4,1,-1,4]'' < 0.5 ORDER BY id'),
    ('SELECT count(*) FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' < 100'),
    ('SELECT count(*) FROM {t} WHERE v <-> ''[0.1,0.7,-1,4]'' > 1.5 AND v <-> ''[0.1,0.7,-1,4]'' <= 1.6')
) f(query);
BEGIN;
CREATE TEMP TABLE deleted AS WITH d AS (DELETE FROM t WHERE v <-> '[0.1,0.7,-1,4]' < 0.5 RETURNING id) SELECT * FROM d;
CREATE TEMP TABLE deleted_plain AS WITH d AS (DELETE FROM t_plain WHERE v <-> '[0.1,0.7,-1,4]' < 0.5 RETURNING id) SELECT * FROM d;
SELECT pg_temp.answers('SELECT * FROM deleted ORDER BY 1') = pg_temp.answers('SELECT * FROM deleted_plain ORDER BY 1') AS same, count(*) FROM deleted;
UPDATE t SET grp = 7 WHERE v <-> '[0.1,0.7,-1,4]' BETWEEN 0.5 AND 0.8;
UPDATE t_plain SET grp = 7 WHERE v <-> '[0.1,0.7,-1,4]' BETWEEN 0.5 AND 0.8;
SELECT (pg_temp.compared('t', 'SELECT id FROM {t} WHERE grp = 7 ORDER BY id')).answer;
SELECT count(*) FROM (SELECT id FROM t WHERE v <-> '[0.1,0.7,-1,4]' < 0.9 ORDER BY v <-> '[0.1,0.7,-1,4]' LIMIT 50 FOR UPDATE) s;
ROLLBACK;

-- Partitions, so small that all their rows are measured.
SET hnsw.ef_search = 80;
CREATE TABLE parts (LIKE t) PARTITION BY LIST (grp);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1, 2);
INSERT INTO parts SELECT * FROM t;
-- Rows that come after the index are linked a little later, and until then every search measures them.
CREATE INDEX ON parts USING hnsw (v vector_cosine_ops);
CREATE TABLE parts_plain AS SELECT * FROM t;
ANALYZE parts, parts_plain;
SELECT (pg_temp.bounded('parts', 'SELECT id FROM {t} WHERE v <=> ''[0.1,0.7,-1,4]'' < 0.003 ORDER BY v <=> ''[0.1,0.7,-1,4]'' LIMIT 30')).*;
-- That none passes is seen soon, or only when the search has looked further than it may: by the graph, which two
-- threads do not build alike each time. The answer is the same.
SELECT (pg_temp.compared('parts', 'SELECT id FROM {t} WHERE 1 - (v <=> ''[0.1,0.7,-1,4]'') > 0.997 AND grp = 1 ORDER BY 1 - (v <=> ''[0.1,0.7,-1,4]'') DESC LIMIT 30')).answer;

-- NaN is greater than any bound: a zero vector is at no similarity, and passes as one of the highest.
CREATE TABLE few (id integer, v vector(2));
CREATE TABLE few_plain (id integer, v vector(2));
CREATE INDEX few_cosine ON few USING hnsw (v vector_cosine_ops);
INSERT INTO few SELECT i, ARRAY[i, 3]::vector FROM generate_series(1, 500) i;
INSERT INTO few VALUES (501, '[0,0]'), (502, NULL);
INSERT INTO few_plain SELECT * FROM few;
ANALYZE few, few_plain;
SELECT f.form, (pg_temp.compared('few', 'SELECT id FROM {t} WHERE ' || form || ' ORDER BY v <=> ''[1,2]'' LIMIT 30')).*
FROM (VALUES ('v <=> ''[1,2]'' < 0.1'), ('1 - (v <=> ''[1,2]'') > 0.9'), ('NOT v <=> ''[1,2]'' >= 0.1'),
    ('1 - (v <=> ''[0,0]'') > 0.9'), ('v <=> ''[0,0]'' < 0.9'), ('v <=> ''[1,2]'' < ''NaN''')) f(form);
DROP TABLE t, t_plain, parts, parts_plain, few, few_plain;
