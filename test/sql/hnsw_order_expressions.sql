-- Orders by what is made of a distance. Each query is asked of a table with indexes and of one without,
-- and the answers compared in order; the plan shows what was used.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/compare.sql'
\i :include
CREATE TABLE t (id integer PRIMARY KEY, v vector(4), h halfvec(4), s sparsevec(4), b bit(16), grp integer);
INSERT INTO t SELECT i, w, w::halfvec, w::sparsevec, (i * 2654435761 % 65536)::bit(16), i % 3
FROM (SELECT i, ARRAY[sin(i), cos(i * 1.7), 2 * sin(i * 0.3), (i % 7) + 1]::vector AS w
    FROM generate_series(1, 300) i) n;
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
SET hnsw.ef_search = 1000;
\pset format unaligned

-- The forms of the issue, and their mirror images.
SELECT f.form, (pg_temp.compared('t', format('SELECT id FROM {t} ORDER BY %s LIMIT 10',
    replace(form, '$q', '''[0.1,0.7,-1,4]''')))).*
FROM (VALUES ('1 - (v <=> $q) DESC'), ('(v <#> $q) * -1 DESC'), ('1 / (1 + (v <-> $q)) DESC'),
    ('-(v <=> $q) DESC'), ('(v <=> $q) - 1'), ('(v <-> $q) + 100'), ('100 - (v <+> $q) DESC'),
    ('(v <-> $q) * 2'), ('-3 * (v <-> $q) DESC'), ('(v <-> $q) / 7'), ('(v <-> $q) / -7 DESC'),
    ('100 * (1 - (v <=> $q)) DESC'), ('1 - (v <=> $q) / 2 DESC'), ('+(v <-> $q)'), ('($q <-> v) + 1'),
    ('1 / (1 + ($q <=> v)) DESC'), ('sqrt(v <-> $q)'), ('(v <-> $q) ^ 2'), ('power(v <-> $q, 2)'),
    ('-1 / (0.5 + (v <-> $q))'), ('1 - (v <=> $q) DESC NULLS LAST'), ('-(v <#> $q) DESC NULLS LAST'),
    ('v <-> $q NULLS FIRST'), ('(v <-> $q) + 1 NULLS FIRST')
) f(form);
-- The functions.
SELECT f.form, (pg_temp.compared('t', format('SELECT id FROM {t} ORDER BY %s LIMIT 10',
    replace(form, '$q', '''[0.1,0.7,-1,4]''')))).*
FROM (VALUES ('l2_distance(v, $q)'), ('l2_distance($q, v)'), ('cosine_distance(v, $q)'),
    ('1 - cosine_distance($q, v) DESC'), ('inner_product(v, $q) DESC'), ('-inner_product($q, v)'),
    ('l1_distance(v, $q) + 1'), ('vector_negative_inner_product(v, $q)'),
    ('vector_l2_squared_distance(v, $q)')
) f(form);
-- Casts and rounding. Where values are equal, the value decides and not the row.
SELECT f.form, (pg_temp.compared('t', format('SELECT %1$s FROM {t} ORDER BY %1$s %2$s LIMIT 10',
    replace(form, '$q', '''[0.1,0.7,-1,4]'''), direction))).*
FROM (VALUES ('(v <-> $q)::real', ''), ('(v <-> $q)::numeric', ''), ('(1 - (v <=> $q))::numeric', 'DESC'),
    ('round((v <-> $q)::numeric, 1)', ''), ('round((100 * (1 - (v <=> $q)))::numeric, 2)', 'DESC'),
    ('(v <-> $q)::numeric(6,2)', ''), ('floor(10 * (v <-> $q))', ''), ('round(v <+> $q)', ''),
    ('(100 * (v <-> $q))::integer', ''), ('(100 * (v <-> $q))::bigint::float8', ''),
    ('1 - (v <=> $q)::real', 'DESC'), ('trunc((v <-> $q)::numeric, 2) * 3 - 1', ''),
    ('ceil(v <-> $q)::int', ''), ('((v <#> $q) * -1)::numeric', 'DESC')
) f(form, direction);
-- Every type and metric.
SELECT f.form, (pg_temp.compared('t', format('SELECT %1$s FROM {t} ORDER BY %1$s DESC LIMIT 10', form))).*
FROM (SELECT format('1 - (%s %s ''%s'')', c, o, q) AS form FROM (VALUES ('v', '[0.1,0.7,-1,4]'),
    ('h', '[0.1,0.7,-1,4]'), ('s', '{1:0.1,3:-1,4:4}/4')) c(c, q), (VALUES ('<->'), ('<#>'), ('<=>'), ('<+>')) o(o)
    UNION ALL VALUES ('1 - (b <~> B''0001000110110010'')'), ('1 - (b <%> B''0001000110110010'')'),
    ('-hamming_distance(b, B''0001000110110010'')'), ('1 - jaccard_distance(B''0001000110110010'', b)'),
    ('-l2_distance(h, ''[0.1,0.7,-1,4]'')'), ('inner_product(h, ''[0.1,0.7,-1,4]'')'),
    ('inner_product(s, ''{1:1}/4'')'), ('-halfvec_l2_squared_distance(h, ''[0.1,0.7,-1,4]'')'),
    ('-sparsevec_l2_squared_distance(s, ''{1:1}/4'')')) f;

-- More keys: an incremental sort, on the groups of equal distance alone.
SELECT f.form, (pg_temp.compared('t', format('SELECT id FROM {t} ORDER BY %s LIMIT 15', form))).*
FROM (VALUES ('v <-> ''[0.1,0.7,-1,4]'', id'), ('round((v <-> ''[0.1,0.7,-1,4]'')::numeric, 1), id DESC'),
    ('1 - (v <=> ''[0.1,0.7,-1,4]'') DESC, grp, id'), ('b <~> B''0001000110110010'', id'),
    ('l2_distance(v, ''[0.1,0.7,-1,4]''), v <=> ''[1,1,1,1]'', id')) f(form);

-- An alias, a sub-select, a view, a CTE, a set of parameters, LATERAL.
SELECT f.query, (pg_temp.compared('t', query)).*
FROM (VALUES
    ('SELECT id, 1 - (v <=> ''[0.1,0.7,-1,4]'') AS score FROM {t} ORDER BY score DESC LIMIT 5'),
    ('SELECT id, score FROM (SELECT id, 1 - (v <=> ''[0.1,0.7,-1,4]'') AS score FROM {t}) s ORDER BY score DESC LIMIT 5'),
    ('WITH s AS (SELECT id, 1 - (v <=> ''[0.1,0.7,-1,4]'') AS score FROM {t}) SELECT * FROM s ORDER BY score DESC LIMIT 5'),
    ('SELECT id FROM {t} ORDER BY 1 - (v <=> (SELECT v FROM {t} WHERE id = 17)) DESC LIMIT 5'),
    ('SELECT q.id, n.id FROM {t} q, LATERAL (SELECT id FROM {t} p ORDER BY 1 - (p.v <=> q.v) DESC LIMIT 2) n WHERE q.id IN (3, 99) ORDER BY 1, 2'),
    ('SELECT id, score FROM (SELECT id, 1 - (v <=> ''[0.1,0.7,-1,4]'') AS score FROM {t} ORDER BY score DESC LIMIT 20) s WHERE id % 2 = 0 ORDER BY score DESC')
) f(query);

-- Parameters, in plans made for their values and in generic ones.
PREPARE by_score(vector, integer) AS SELECT id FROM t ORDER BY 1 - (v <=> $1) DESC LIMIT $2;
PREPARE by_score_plain(vector, integer) AS SELECT id FROM t_plain ORDER BY 1 - (v <=> $1) DESC LIMIT $2;
PREPARE shifted(vector, float8) AS SELECT id FROM t ORDER BY (v <-> $1) + $2 LIMIT 3;
SET plan_cache_mode = force_custom_plan;
SELECT pg_temp.answers('EXECUTE by_score(''[1,2,-1,4]'', 7)') = pg_temp.answers('EXECUTE by_score_plain(''[1,2,-1,4]'', 7)') AS same,
    pg_temp.shape('EXECUTE by_score(''[1,2,-1,4]'', 7)') AS plan, pg_temp.shape('EXECUTE shifted(''[1,2,-1,4]'', 7)');
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.answers('EXECUTE by_score(''[1,2,-1,4]'', 7)') = pg_temp.answers('EXECUTE by_score_plain(''[1,2,-1,4]'', 7)') AS same,
    pg_temp.shape('EXECUTE by_score(''[1,2,-1,4]'', 7)') AS plan, pg_temp.shape('EXECUTE shifted(''[1,2,-1,4]'', 7)');
RESET plan_cache_mode;

-- Functions in SQL, whose query becomes part of the caller's, and in PL/pgSQL.
CREATE FUNCTION pg_temp.nearest(query vector, most integer) RETURNS TABLE (id integer, score float8)
LANGUAGE sql STABLE AS 'SELECT id, 1 - (v <=> query) FROM t ORDER BY 2 DESC LIMIT most';
CREATE FUNCTION pg_temp.score(a vector, b vector) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1 - (a <=> b)';
CREATE FUNCTION pg_temp.nearest_by_plpgsql(query vector, most integer) RETURNS SETOF integer LANGUAGE plpgsql AS
$$ BEGIN RETURN QUERY SELECT t.id FROM t ORDER BY 1 - (t.v <=> query) DESC LIMIT most; END $$;
SELECT pg_temp.shape('SELECT * FROM pg_temp.nearest(''[1,2,-1,4]'', 5)'),
    pg_temp.answers('SELECT id FROM pg_temp.nearest(''[1,2,-1,4]'', 5)') = wanted AS in_sql,
    pg_temp.answers('SELECT * FROM pg_temp.nearest_by_plpgsql(''[1,2,-1,4]'', 5)') = wanted AS in_plpgsql
FROM pg_temp.answers('SELECT id FROM t_plain ORDER BY v <=> ''[1,2,-1,4]'' LIMIT 5') wanted;
SELECT (pg_temp.compared('t', 'SELECT id FROM {t} ORDER BY pg_temp.score(v, ''[1,2,-1,4]'') DESC LIMIT 5')).*;

-- No order of the index: the wrong way round, a sign that is not known, a factor without one, two distances,
-- a function that is not monotone or not sure to be, something of the row beside the distance, or of chance.
SELECT f.form, pg_temp.shape('SELECT id FROM t ORDER BY ' || replace(form, '$q', '''[0.1,0.7,-1,4]''') || ' LIMIT 5')
FROM (VALUES ('v <-> $q DESC'), ('1 - (v <=> $q)'), ('1 / (1 - (v <#> $q)) DESC'), ('(v <-> $q) * 0'),
    ('(v <#> $q) ^ 2'), ('(v <-> $q) + (v <=> $q)'), ('(v <-> $q) + id'), ('(v <-> $q) * random()'),
    ('exp(-(v <-> $q)) DESC'), ('mod((v <-> $q)::numeric, 2)'), ('abs(v <#> $q)'), ('(v <-> h::vector)'), ('1 / (v <-> $q)'),
    ('(v <-> $q)::numeric / 3')) f(form);
PREPARE scaled(vector, float8) AS SELECT id FROM t ORDER BY (v <-> $1) * $2 LIMIT 3;
SELECT pg_temp.shape('EXECUTE scaled(''[1,2,-1,4]'', 7)'), pg_temp.shape('EXECUTE scaled(''[1,2,-1,4]'', -7)');
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.shape('EXECUTE scaled(''[1,2,-1,4]'', 7)');
RESET plan_cache_mode;

-- An index on an expression, a partial one, partitions.
CREATE INDEX t_half ON t USING hnsw ((v::halfvec(4)) halfvec_cosine_ops) WHERE grp = 1;
CREATE TABLE parts (LIKE t) PARTITION BY LIST (grp);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1, 2);
CREATE INDEX ON parts USING hnsw (v vector_cosine_ops);
INSERT INTO parts SELECT * FROM t;
CREATE TABLE parts_plain AS SELECT * FROM t;
ANALYZE parts, parts_plain;
SELECT (pg_temp.compared('t', 'SELECT id FROM {t} WHERE grp = 1 ORDER BY 1 - (v::halfvec(4) <=> ''[1,2,-1,4]'') DESC LIMIT 5')).*;
SELECT (pg_temp.compared('parts', query)).* FROM (VALUES
    ('SELECT id FROM {t} ORDER BY 1 - (v <=> ''[1,2,-1,4]'') DESC LIMIT 5'),
    ('SELECT id FROM {t} ORDER BY cosine_distance(v, ''[1,2,-1,4]''), id LIMIT 5')) f(query);

-- Rows that have no place in the index come first in a descending order, and it must know of them: rows
-- without a vector, zero vectors by cosine (NaN, which is the greatest number), and queries of that kind.
CREATE TABLE few (id integer, v vector(2));
CREATE TABLE few_plain (id integer, v vector(2));
CREATE INDEX few_cosine ON few USING hnsw (v vector_cosine_ops);
CREATE INDEX few_l2 ON few USING hnsw (v vector_l2_ops);
INSERT INTO few SELECT i, ARRAY[i, 3]::vector FROM generate_series(1, 50) i;
INSERT INTO few_plain SELECT * FROM few;
SELECT (pg_temp.compared('few', 'SELECT id FROM {t} ORDER BY 1 - (v <=> ''[1,2]'') DESC LIMIT 3')).*;
SELECT (pg_temp.compared('few', 'SELECT 1 - (v <=> ''[0,0]'') FROM {t} ORDER BY 1 DESC LIMIT 3')).*;
SELECT (pg_temp.compared('few', 'SELECT 1 - (v <=> NULL) FROM {t} ORDER BY 1 DESC LIMIT 3')).*;
INSERT INTO few VALUES (100, '[0,0]');
INSERT INTO few_plain VALUES (100, '[0,0]');
SELECT f.form, (pg_temp.compared('few', 'SELECT id FROM {t} ORDER BY ' || form || ' LIMIT 3')).*
FROM (VALUES ('1 - (v <=> ''[1,2]'') DESC'), ('v <=> ''[1,2]'''), ('1 - (v <-> ''[1,2]'') DESC')) f(form);
INSERT INTO few VALUES (101, NULL);
INSERT INTO few_plain VALUES (101, NULL);
SELECT f.form, (pg_temp.compared('few', 'SELECT id FROM {t} ORDER BY ' || form || ' LIMIT 3')).*
FROM (VALUES ('1 - (v <=> ''[1,2]'') DESC'), ('v <=> ''[1,2]'''), ('1 - (v <-> ''[1,2]'') DESC'),
    ('1 - (v <=> ''[1,2]'') DESC NULLS LAST'), ('v <-> ''[1,2]'' NULLS FIRST')) f(form);
-- Built with them, and without.
REINDEX INDEX few_cosine;
SELECT (pg_temp.compared('few', 'SELECT id FROM {t} ORDER BY 1 - (v <=> ''[1,2]'') DESC LIMIT 3')).*;
DELETE FROM few WHERE id > 99;
DELETE FROM few_plain WHERE id > 99;
VACUUM few;
REINDEX INDEX few_cosine;
SELECT (pg_temp.compared('few', 'SELECT id FROM {t} ORDER BY 1 - (v <=> ''[1,2]'') DESC LIMIT 3')).*;
DROP TABLE t, t_plain, parts, parts_plain, few, few_plain;
