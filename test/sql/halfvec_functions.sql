-- Distances, arithmetic, order, functions and aggregates of halfvec.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT a, b, a <-> b AS l2, a <#> b AS negative_ip, a <=> b AS cosine, a <+> b AS l1
FROM (VALUES
    ('[0,0]'::halfvec, '[3,4]'::halfvec), ('[4,3]', '[3,4]'), ('[1,2]', '[1,2]'), ('[3,0]', '[0,2]'),
    ('[3,4]', '[-3,-4]'), ('[0,0]', '[0,0]'), ('[65504,65504]', '[-65504,65504]')
) AS t(a, b);
-- Each operator is its function.
SELECT l2_distance(a, b) = a <-> b AS l2, halfvec_l2_squared_distance(a, b) AS squared,
       inner_product(a, b) = -(a <#> b) AS ip,
       halfvec_negative_inner_product(a, b) = a <#> b AS negative_ip,
       cosine_distance(a, b) = a <=> b AS cosine, l1_distance(a, b) = a <+> b AS l1,
       halfvec_spherical_distance(l2_normalize(a), l2_normalize(b))::numeric(6, 4) AS spherical
FROM (SELECT '[1,-2,3]'::halfvec AS a, '[4,5,-6]'::halfvec AS b) s;
-- Every length around the width of a register: the very distances of the same numbers as vectors.
CREATE TEMPORARY TABLE pairs AS
SELECT n, array_agg((i * 37 % 11 - 5) / 7.0 ORDER BY i)::halfvec AS a,
       array_agg((i * 53 % 13 - 6) / 9.0 ORDER BY i)::halfvec AS b
FROM (SELECT generate_series(1, 67) UNION ALL VALUES (768), (1536), (16000)) AS lengths(n),
     generate_series(1, n) i
GROUP BY n;
SELECT count(*) AS lengths, count(*) FILTER (WHERE a <-> b = a::vector <-> b::vector) AS l2,
       count(*) FILTER (WHERE a <#> b = a::vector <#> b::vector) AS negative_ip,
       count(*) FILTER (WHERE a <=> b = a::vector <=> b::vector) AS cosine,
       count(*) FILTER (WHERE a <+> b = a::vector <+> b::vector) AS l1,
       count(*) FILTER (WHERE l2_norm(a) = vector_norm(a::vector)) AS norm,
       count(*) FILTER (WHERE a <-> a = 0 AND a <=> a = 0 AND a <+> a = 0) AS self
FROM pairs;

-- Arithmetic is done in single precision and rounded once; results must be halves.
SELECT '[1,2,3]'::halfvec + '[4,5,-6]', '[1,2]'::halfvec - '[4,-5]', '[1,2,3]'::halfvec * '[4,5,6]',
       '[1,2]'::halfvec || '[3]', '[2048]'::halfvec + '[1]' AS even, '[0.1]'::halfvec * '[0.1]';
SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$'[65504]'::halfvec + '[16]'$$), ($$'[65504]'::halfvec + '[15]'$$),
    ($$'[-65504]'::halfvec - '[16]'$$), ($$'[256]'::halfvec * '[256]'$$),
    ($$'[1e-4]'::halfvec * '[1e-4]'$$), ($$'[1e-4,0]'::halfvec * '[0,1e-4]'$$),
    ($$'[1,2]'::halfvec + '[1]'$$), ($$'[1,2]'::halfvec - '[1]'$$), ($$'[1,2]'::halfvec * '[1]'$$),
    ($$'[1,2]'::halfvec <-> '[1]'$$), ($$'[1,2]'::halfvec <#> '[1]'$$),
    ($$'[1,2]'::halfvec <=> '[1]'$$), ($$'[1,2]'::halfvec <+> '[1]'$$),
    ($$halfvec_spherical_distance('[1,2]', '[1]')$$),
    ($$array_fill(0, ARRAY[16000])::halfvec || '[1]'$$)
) AS t(call);

-- Order: elements first, then length.
SELECT a, b, halfvec_cmp(a, b) AS cmp, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne,
       a >= b AS ge, a > b AS gt
FROM (VALUES
    ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2,3]', '[1,2,4]'), ('[1,2]', '[1,2,3]'),
    ('[2]', '[1,2,3]'), ('[1,2]', '[1,2,-3]'), ('[-1]', '[1]'), ('[0]', '[-0]'), ('[-2]', '[-1]'),
    ('[6e-8]', '[0]')
) AS t(a, b);
CREATE TABLE ordered (id int, h halfvec(2));
INSERT INTO ordered SELECT i, ARRAY[i % 7 - 3, i % 5]::halfvec FROM generate_series(1, 500) i;
CREATE INDEX ordered_h ON ordered (h);
ANALYZE ordered;
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT id FROM ordered WHERE h = '[1,2]';
SELECT count(*) FROM ordered WHERE h = '[1,2]';
SELECT count(*) FROM ordered WHERE h < '[0,0]';
SELECT DISTINCT h FROM ordered ORDER BY h LIMIT 3;
SELECT count(DISTINCT h) FROM ordered;
RESET enable_seqscan; RESET enable_bitmapscan;
DROP TABLE ordered;

-- Functions of one vector.
SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_norm('[65504,0]'::halfvec),
       l2_norm('[6e-8]'::halfvec)::real, l2_norm('[1,1]'::halfvec) = sqrt(2::float8) AS root;
SELECT h, l2_normalize(h::halfvec) FROM (VALUES
    ('[3,4]'), ('[-3,0]'), ('[0,0.1]'), ('[0,0]'), ('[-0]'), ('[65504]'), ('[6e-8,0]'), ('[1,1,1,1]')
) AS t(h);
SELECT start, count, subvector('[1,2,3,4,5]'::halfvec, start, count) FROM (VALUES
    (1, 5), (5, 1), (2, 3), (3, 9), (0, 3), (-1, 3), (1, 2147483647)) AS t(start, count);
SELECT pg_temp.failure($$SELECT subvector('[1,2]'::halfvec, 3, 1)$$),
       pg_temp.failure($$SELECT subvector('[1,2]'::halfvec, 1, 0)$$);
SELECT h, binary_quantize(h::halfvec)
FROM (VALUES ('[1,0,-1]'), ('[-0,6e-8,-6e-8,65504,1,1,1,1,1]')) AS t(h);

-- avg is summed in double, sum in halves.
SELECT avg(h), sum(h) FROM (VALUES ('[1,2,3]'::halfvec), (NULL), ('[3,5,7]')) AS t(h);
SELECT avg(h) FROM (VALUES ('[65504,1]'::halfvec), ('[65504,3]')) AS t(h);
SELECT avg(h) IS NULL AS no_average, sum(h) IS NULL AS no_sum FROM (VALUES (NULL::halfvec)) AS t(h);
SELECT pg_temp.failure($$SELECT sum(h) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) AS t(h)$$),
       pg_temp.failure($$SELECT avg(h) FROM (VALUES ('[1,2]'::halfvec), ('[3]')) AS t(h)$$),
       pg_temp.failure($$SELECT halfvec_avg('{1,65520}')$$),
       pg_temp.failure($$SELECT halfvec_accum('{1,NULL}', '[1]')$$);
CREATE TABLE samples (i int, h halfvec(2));
INSERT INTO samples SELECT i, ARRAY[i % 100, 1]::halfvec FROM generate_series(1, 3000) i;
ALTER TABLE samples SET (parallel_workers = 2);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS off) SELECT avg(h) FROM samples;
SELECT avg(h) FROM samples;
SELECT sum(h) FROM samples WHERE i <= 50;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
DROP TABLE samples;
