-- Distances, order and functions of sparsevec: all as of the dense vectors they stand for.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT a, b, a <-> b AS l2, a <#> b AS negative_ip, a <=> b AS cosine, a <+> b AS l1
FROM (VALUES
    ('{}/2'::sparsevec, '{1:3,2:4}/2'::sparsevec), ('{1:4,2:3}/2', '{1:3,2:4}/2'),
    ('{1:1,2:2}/2', '{1:1,2:2}/2'), ('{1:3}/2', '{2:2}/2'), ('{1:3,2:4}/2', '{1:-3,2:-4}/2'),
    ('{}/2', '{}/2'), ('{1000000000:3}/1000000000', '{1:4}/1000000000'), ('{1:3e38}/1', '{1:-3e38}/1')
) AS t(a, b);
SELECT l2_distance(a, b) = a <-> b AS l2, sparsevec_l2_squared_distance(a, b) AS squared,
       inner_product(a, b) = -(a <#> b) AS ip,
       sparsevec_negative_inner_product(a, b) = a <#> b AS negative_ip,
       cosine_distance(a, b) = a <=> b AS cosine, l1_distance(a, b) = a <+> b AS l1
FROM (SELECT '{1:1,3:-2,5:3}/5'::sparsevec AS a, '{1:4,2:5,5:-6}/5'::sparsevec AS b) s;

-- Against dense vectors; the elements are whole numbers, so every sum is exact.
CREATE TEMPORARY TABLE pairs AS
SELECT a.v AS v, b.v AS w FROM
    (SELECT i, array_agg(CASE WHEN (d * i) % 3 = 0 THEN (d * i * 7) % 11 - 5 ELSE 0 END
                         ORDER BY d)::vector AS v
     FROM generate_series(1, 40) i, generate_series(1, 30) d GROUP BY i) a,
    (SELECT i, array_agg(CASE WHEN (d + i) % 4 < 2 THEN (d * i * 5) % 13 - 6 ELSE 0 END
                         ORDER BY d)::vector AS v
     FROM generate_series(1, 40) i, generate_series(1, 30) d GROUP BY i) b;
SELECT count(*), count(*) FILTER (WHERE v::sparsevec <-> w::sparsevec = v <-> w) AS l2,
       count(*) FILTER (WHERE v::sparsevec <#> w::sparsevec = v <#> w) AS negative_ip,
       count(*) FILTER (WHERE abs((v::sparsevec <=> w::sparsevec) - (v <=> w)) < 1e-12
                           OR vector_norm(v) * vector_norm(w) = 0) AS cosine,
       count(*) FILTER (WHERE v::sparsevec <+> w::sparsevec = v <+> w) AS l1,
       count(*) FILTER (WHERE l2_norm(v::sparsevec) = vector_norm(v)) AS norm,
       count(*) FILTER (WHERE sparsevec_cmp(v::sparsevec, w::sparsevec) = vector_cmp(v, w)) AS cmp,
       count(*) FILTER (WHERE sparsevec_cmp(v::sparsevec, subvector(v, 1, 20)::sparsevec)
                              = vector_cmp(v, subvector(v, 1, 20))) AS prefix
FROM pairs;
SELECT bool_and(s <=> s = 0) FROM (SELECT ARRAY[i / 3.0, 0, i / 7.0, 1]::sparsevec AS s
                                   FROM generate_series(1, 300) i) t;
SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$'{}/2'::sparsevec <-> '{}/3'$$), ($$'{}/2'::sparsevec <#> '{}/3'$$),
    ($$'{}/2'::sparsevec <=> '{}/3'$$), ($$'{}/2'::sparsevec <+> '{}/3'$$)
) AS t(call);

SELECT a, b, sparsevec_cmp(a, b) AS cmp, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne,
       a >= b AS ge, a > b AS gt
FROM (VALUES
    ('{1:1,2:2}/3'::sparsevec, '{1:1,2:2}/3'::sparsevec), ('{1:1}/3', '{1:2}/3'), ('{2:1}/3', '{1:1}/3'),
    ('{2:1}/3', '{1:-1}/3'), ('{}/3', '{3:1}/3'), ('{}/3', '{3:-1}/3'), ('{}/2', '{3:-1}/3'),
    ('{}/2', '{}/3'), ('{1:1}/2', '{1:1,3:5}/3'), ('{1:1,3:-5}/3', '{1:1}/2'), ('{3:1}/3', '{}/2')
) AS t(a, b);
CREATE TABLE ordered (id int, s sparsevec(4));
INSERT INTO ordered SELECT i, ARRAY[i % 3 - 1, 0, i % 5, 0]::sparsevec FROM generate_series(1, 500) i;
CREATE INDEX ordered_s ON ordered (s);
ANALYZE ordered;
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT id FROM ordered WHERE s = '{1:1,3:2}/4';
SELECT count(*) FROM ordered WHERE s = '{1:1,3:2}/4';
SELECT count(*) FROM ordered WHERE s < '{}/4';
SELECT DISTINCT s FROM ordered ORDER BY s LIMIT 7;
RESET enable_seqscan; RESET enable_bitmapscan;
DROP TABLE ordered;

SELECT l2_norm('{1:3,9:4}/9'::sparsevec), l2_norm('{}/1'::sparsevec),
       l2_norm('{1:3e37,2:4e37}/2'::sparsevec)::real;
-- An element too small to be kept beside the others is left out.
SELECT s, l2_normalize(s::sparsevec) FROM (VALUES
    ('{1:3,9:4}/9'), ('{2:-7}/3'), ('{}/3'), ('{1:3e38,2:1e-8,5:-3e38}/5'), ('{1:1e-45}/1')
) AS t(s);

-- Long values go out of line and come back.
CREATE TABLE stored (id int, s sparsevec);
INSERT INTO stored SELECT n, array_fill(n, ARRAY[n])::sparsevec FROM (VALUES (1), (300), (16000)) l(n);
SELECT id, pg_column_size(s), l2_norm(s) = id * sqrt(id::float8) AS norm, s = s AS equal
FROM stored ORDER BY id;
DROP TABLE stored;
