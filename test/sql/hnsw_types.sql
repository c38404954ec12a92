-- Indexes on halfvec, sparsevec and bit: answers are those of an exact search, for every operator
-- class; limits and errors.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

CREATE TABLE points (id integer, h halfvec(4), s sparsevec(40), b bit(21), v vector(4));
CREATE FUNCTION pg_temp.add_points(first integer, last integer) RETURNS void LANGUAGE sql AS $$
INSERT INTO points
SELECT i, ARRAY[i % 7, (i * i) % 11, (i * 5) % 13, i / 10.0]::halfvec,
    format('{%s:%s,%s:%s,40:%s}/40', i % 13 + 1, i % 5, i % 11 + 20, i % 7 - 3, i / 100.0)::sparsevec,
    (i * 2654435761 % 2097152)::bit(21),
    ARRAY[i % 7, (i * i) % 11, (i * 5) % 13, i / 10.0]::vector
FROM generate_series(first, last) i
$$;
SELECT pg_temp.add_points(1, 300);
CREATE INDEX points_h_l2 ON points USING hnsw (h halfvec_l2_ops);
CREATE INDEX points_h_ip ON points USING hnsw (h halfvec_ip_ops);
CREATE INDEX points_h_cosine ON points USING hnsw (h halfvec_cosine_ops);
CREATE INDEX points_h_l1 ON points USING hnsw (h halfvec_l1_ops);
CREATE INDEX points_s_l2 ON points USING hnsw (s sparsevec_l2_ops);
CREATE INDEX points_s_ip ON points USING hnsw (s sparsevec_ip_ops);
CREATE INDEX points_s_cosine ON points USING hnsw (s sparsevec_cosine_ops);
CREATE INDEX points_s_l1 ON points USING hnsw (s sparsevec_l1_ops);
CREATE INDEX points_b_hamming ON points USING hnsw (b bit_hamming_ops);
CREATE INDEX points_b_jaccard ON points USING hnsw (b bit_jaccard_ops);
-- Rows that come after the build.
SELECT pg_temp.add_points(301, 500);
ANALYZE points;

EXPLAIN (COSTS off) SELECT id FROM points ORDER BY h <=> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY s <#> '{1:1}/40' LIMIT 5;
EXPLAIN (COSTS off) SELECT id FROM points ORDER BY b <~> B'000000000000000000000' LIMIT 5;

-- Distances of the ten nearest, by index and by exact search: ids may differ where distances are equal.
CREATE FUNCTION pg_temp.distances(attribute text, operator text, query text, exact boolean)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('enable_indexscan', CASE WHEN exact THEN 'off' ELSE 'on' END, true);
    PERFORM set_config('enable_seqscan', CASE WHEN exact THEN 'on' ELSE 'off' END, true);
    EXECUTE format('SELECT string_agg(round(d::numeric, 2)::text, '' '' ORDER BY d) FROM
        (SELECT %1$s %2$s %3$L AS d FROM points ORDER BY %1$s %2$s %3$L LIMIT 10) n',
        attribute, operator, query)
    INTO result;
    RETURN result;
END
$$;
SELECT attribute, operator, query,
    pg_temp.distances(attribute, operator, query, false)
        = pg_temp.distances(attribute, operator, query, true) AS same,
    pg_temp.distances(attribute, operator, query, false) AS distances
FROM (VALUES
    ('h', '<->', '[1,2,3,4]'), ('h', '<->', '[6,10,12,50]'), ('h', '<#>', '[1,2,3,4]'),
    ('h', '<#>', '[-1,0,0.5,20]'), ('h', '<=>', '[1,2,3,4]'), ('h', '<=>', '[-1,0,0.5,20]'),
    ('h', '<+>', '[1,2,3,4]'), ('h', '<+>', '[6,10,12,50]'),
    ('s', '<->', '{1:1,25:2}/40'), ('s', '<->', '{}/40'), ('s', '<#>', '{1:1,25:2,40:1}/40'),
    ('s', '<#>', '{13:3,30:-2}/40'), ('s', '<=>', '{1:1,25:2,40:1}/40'),
    ('s', '<=>', '{13:3,30:-2}/40'),
    ('s', '<+>', '{1:1,25:2}/40'), ('s', '<+>', '{5:4,24:3,40:4}/40'),
    ('b', '<~>', '000000000000000000000'), ('b', '<~>', '110010101110010101111'),
    ('b', '<%>', '110010101110010101111'), ('b', '<%>', '000000000000000000001')
) AS t(attribute, operator, query);

-- Every row once, also far beyond ef_search.
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY h <-> '[1,2,3,4]') n;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM points ORDER BY s <-> '{1:1}/40') n;
SELECT count(*), count(DISTINCT id)
FROM (SELECT id FROM points ORDER BY b <%> B'110010101110010101111') n;
-- A NULL query is equally far from everything. Rows that point nowhere have no place under cosine.
SELECT count(*) FROM (SELECT id FROM points ORDER BY h <-> (SELECT NULL::halfvec)) n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY s <-> (SELECT NULL::sparsevec)) n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY b <~> (SELECT NULL::bit)) n;
INSERT INTO points (id, h, s) VALUES (501, '[0,0,0,0]', '{}/40'), (502, NULL, NULL);
SELECT count(*) FROM (SELECT id FROM points ORDER BY h <=> '[1,1,1,1]') n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY s <=> '{1:1}/40') n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY s <-> '{1:1}/40') n;
-- Rows that go.
DELETE FROM points WHERE id % 2 = 0;
VACUUM points;
SELECT count(*) FROM (SELECT id FROM points ORDER BY h <+> '[1,2,3,4]') n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY s <+> '{1:1}/40') n;
SELECT count(*) FROM (SELECT id FROM points ORDER BY b <~> B'110010101110010101111') n;

-- A query fails with an index as it does without.
SELECT statement, pg_temp.failure('SELECT id FROM points ORDER BY ' || statement || ' LIMIT 1') AS by_index
FROM (VALUES ($$h <-> '[1,2]'$$), ($$h <=> '[1,2,3,4,5]'$$), ($$s <#> '{}/41'$$), ($$b <~> B'11'$$))
    AS t(statement);
SET enable_indexscan = off; SET enable_seqscan = on;
SELECT statement, pg_temp.failure('SELECT id FROM points ORDER BY ' || statement || ' LIMIT 1') AS exact
FROM (VALUES ($$h <-> '[1,2]'$$), ($$h <=> '[1,2,3,4,5]'$$), ($$s <#> '{}/41'$$), ($$b <~> B'11'$$))
    AS t(statement);
RESET enable_indexscan;
DROP TABLE points;

-- Vectors of an index of halves are half as large, those of one of bits far smaller; beside
-- them are links, and files grow in steps.
CREATE TABLE wide (id integer, v vector(512), h halfvec(512), b bit(512));
INSERT INTO wide SELECT i, v, v, binary_quantize(v)
FROM (SELECT i, array_agg((i * d) % 17 - 8 ORDER BY d)::vector AS v
      FROM generate_series(1, 2000) i, generate_series(1, 512) d GROUP BY i) s;
CREATE INDEX wide_v ON wide USING hnsw (v vector_l2_ops);
CREATE INDEX wide_h ON wide USING hnsw (h halfvec_l2_ops);
CREATE INDEX wide_b ON wide USING hnsw (b bit_hamming_ops);
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY v <-> (SELECT v FROM wide WHERE id = 1)) n;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY h <-> (SELECT h FROM wide WHERE id = 1)) n;
SELECT count(*) FROM (SELECT id FROM wide ORDER BY b <~> (SELECT b FROM wide WHERE id = 1)) n;
SELECT h.bytes::float8 / v.bytes < 0.75 AS half, b.bytes::float8 / v.bytes < 0.5 AS small
FROM dvec_indexes v, dvec_indexes h, dvec_indexes b
WHERE v.index = 'wide_v'::regclass AND h.index = 'wide_h'::regclass AND b.index = 'wide_b'::regclass;

-- The most dimensions.
CREATE TABLE widest (id integer, h halfvec(16000), b bit(512000), s sparsevec(1000000000));
CREATE INDEX ON widest USING hnsw (h halfvec_l2_ops);
CREATE INDEX ON widest USING hnsw (b bit_jaccard_ops);
CREATE INDEX ON widest USING hnsw (s sparsevec_l2_ops);
INSERT INTO widest SELECT i, array_fill(i, ARRAY[16000])::halfvec, repeat('1', i * 1000)::bit(512000),
    format('{1:%s,1000000000:1}/1000000000', i)::sparsevec FROM generate_series(1, 20) i;
SELECT id FROM widest ORDER BY h <-> array_fill(7.2, ARRAY[16000])::halfvec LIMIT 2;
SELECT id FROM widest ORDER BY b <%> repeat('1', 12000)::bit(512000) LIMIT 1;
SELECT id FROM widest ORDER BY s <-> '{1:4.9,1000000000:1}/1000000000' LIMIT 1;

-- A thousand elements have room in the index. A query may have more: it is measured row by row.
CREATE TABLE many (id integer, s sparsevec(2000));
CREATE INDEX ON many USING hnsw (s sparsevec_l2_ops);
INSERT INTO many SELECT n, (array_fill(1, ARRAY[n]) || array_fill(0, ARRAY[2000 - n]))::sparsevec
FROM (VALUES (1), (999), (1000)) l(n);
SELECT id, s <-> (SELECT s FROM many WHERE id = 1000) AS d FROM many
ORDER BY s <-> (SELECT s FROM many WHERE id = 1000);
SELECT pg_temp.failure($$INSERT INTO many
    SELECT 1001, (array_fill(1, ARRAY[1001]) || array_fill(0, ARRAY[999]))::sparsevec$$);
SELECT id FROM many ORDER BY s <-> array_fill(1, ARRAY[2000])::sparsevec;
-- As ordered as without the index, by every distance.
CREATE TABLE fewer (id integer, s sparsevec(3000));
INSERT INTO fewer SELECT i, format('{%s:%s,%s:%s,%s:%s}/3000', i, i % 7 + 1, 500 + i, i % 11 - 5.5,
    2000 + i, i % 13 + 0.25)::sparsevec FROM generate_series(1, 300) i;
CREATE INDEX ON fewer USING hnsw (s sparsevec_l2_ops);
CREATE INDEX ON fewer USING hnsw (s sparsevec_ip_ops);
CREATE INDEX ON fewer USING hnsw (s sparsevec_cosine_ops);
CREATE INDEX ON fewer USING hnsw (s sparsevec_l1_ops);
SELECT (SELECT array_agg(i * 37 % 101 / 10.0 + 0.1 ORDER BY i) FROM generate_series(1, 3000) i)::vector::sparsevec
    AS long \gset
CREATE FUNCTION pg_temp.distances(operator text, query sparsevec, by_index boolean, OUT plan text,
    OUT distances numeric[]) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true),
        set_config('enable_seqscan', (NOT by_index)::text, true);
    EXECUTE format('EXPLAIN SELECT id FROM fewer ORDER BY s %s %L::sparsevec', operator, query) INTO plan;
    plan := split_part(plan, ' ', 1);
    EXECUTE format('SELECT array_agg(round(d::numeric, 3)) FROM
        (SELECT s %1$s $1 AS d FROM fewer ORDER BY s %1$s $1) n', operator) INTO distances USING query;
END $$;
SELECT operator, i.plan AS by_index, e.plan AS without, i.distances = e.distances AS same,
    array_length(i.distances, 1) AS rows
FROM (VALUES ('<->'), ('<#>'), ('<=>'), ('<+>')) o(operator),
    pg_temp.distances(operator, :'long', true) i, pg_temp.distances(operator, :'long', false) e;

SELECT statement, pg_temp.failure(statement) FROM (VALUES
    ($$CREATE INDEX ON many USING hnsw (s)$$),
    ($$CREATE INDEX ON many USING hnsw ((s::sparsevec) sparsevec_l2_ops)$$),
    ($$CREATE INDEX ON many USING hnsw ((id::bit(512001)) bit_hamming_ops)$$),
    ($$CREATE INDEX ON many USING hnsw ((id::bit(3)::varbit(3)) bit_hamming_ops)$$),
    ($$CREATE INDEX ON wide USING hnsw ((binary_quantize(v)) bit_hamming_ops)$$),
    ($$CREATE INDEX ON wide USING hnsw (h vector_l2_ops)$$)
) AS t(statement);
-- Quantised to bits for the search, in full for the order.
CREATE INDEX wide_quantised ON wide USING hnsw ((binary_quantize(v)::bit(512)) bit_hamming_ops);
EXPLAIN (COSTS off)
SELECT id FROM wide ORDER BY binary_quantize(v)::bit(512) <~> (SELECT b FROM wide LIMIT 1) LIMIT 1;
SELECT id % 17 FROM wide
ORDER BY binary_quantize(v)::bit(512) <~> (SELECT b FROM wide WHERE id = 5) LIMIT 1;
-- Halves for the search, the column in full.
CREATE INDEX wide_halved ON wide USING hnsw ((v::halfvec(512)) halfvec_cosine_ops);
SELECT id % 17 FROM wide ORDER BY v::halfvec(512) <=> (SELECT h FROM wide WHERE id = 9) LIMIT 1;
DROP TABLE wide, widest, many, fewer;
