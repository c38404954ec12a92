-- Functions of one vector.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT vector_dims('[1,2,3]'::vector), vector_dims('[0]'::vector),
       vector_dims(array_fill(0, ARRAY[16000])::vector);
SELECT vector_dims(NULL::vector) IS NULL AS dims, vector_norm(NULL) IS NULL AS norm,
       l2_normalize(NULL::vector) IS NULL AS normalized,
       subvector('[1]'::vector, NULL, 1) IS NULL AS part,
       binary_quantize(NULL::vector) IS NULL AS bits;

-- Norms are summed in double: no element is too large or too small to be squared.
SELECT vector_norm('[3,4]'), vector_norm('[0,0]'), vector_norm('[-2]'),
       vector_norm('[3e37,4e37]')::real, vector_norm('[3e-40,4e-40]')::real,
       vector_norm('[1,1]') = sqrt(2::float8) AS root;

SELECT v, l2_normalize(v::vector) FROM (VALUES
    ('[3,4]'), ('[-3,0]'), ('[0,0.1]'), ('[0,0]'), ('[-0]'), ('[3e38]'), ('[1e-45,0]'),
    ('[1,1,1,1]'), ('[5]')
) AS t(v);
SELECT bool_and(abs(vector_norm(l2_normalize(v)) - 1) < 1e-6)
FROM (SELECT ARRAY[i, -2 * i, 1e-3 * i ^ 2, 1e20 / i]::vector AS v
      FROM generate_series(1, 500) i) t;

-- Like substring: positions count from 1, and a range is cut to what the vector has.
SELECT start, count, subvector('[1,2,3,4,5]'::vector, start, count) FROM (VALUES
    (1, 5), (1, 1), (5, 1), (2, 3), (3, 9), (0, 3), (-1, 3), (-5, 11), (1, 2147483647),
    (5, 2147483647), (-2147483645, 2147483647)
) AS t(start, count);
SELECT start, count,
       pg_temp.failure(format('SELECT subvector(''[1,2,3,4,5]''::vector, %s, %s)', start, count))
FROM (VALUES
    (1, 0), (1, -1), (3, -2147483648), (6, 1), (2147483647, 2147483647), (0, 1), (-1, 2), (-9, 5),
    (-2147483648, 2147483647), (-2147483646, 2147483647)
) AS t(start, count);
SELECT vector_dims(subvector(array_fill(0, ARRAY[16000])::vector, 15001, 2000));

-- One bit per element, the first element first; only what is positive sets it.
SELECT v, binary_quantize(v::vector)
FROM (VALUES ('[1,0,-1]'), ('[0.1]'), ('[-0,1e-45,-1e-45,3e38]')) AS t(v);
SELECT n, binary_quantize(array_agg(CASE WHEN i % 3 = 1 THEN 1 ELSE -1 END ORDER BY i)::vector)
FROM (VALUES (7), (8), (9), (16), (17)) AS lengths(n), generate_series(1, n) i
GROUP BY n ORDER BY n;
SELECT length(b), bit_count(b), get_bit(b, 0), get_bit(b, 15999)
FROM (SELECT binary_quantize(array_agg(CASE WHEN i % 2 = 1 THEN 1 ELSE 0 END ORDER BY i)::vector)
      FROM generate_series(1, 16000) i) AS t(b);

-- The bits behind the last are clear: equality and concatenation see them.
SELECT binary_quantize('[1,1,1]'::vector) = B'111' AS equal,
       binary_quantize('[1,-1,1]'::vector) || B'11' AS joined,
       binary_quantize('[1,1,1]'::vector)::bit(3)::int AS number;

-- Labels: a planner may fold and parallelise all of them.
SELECT array_agg(DISTINCT provolatile) AS volatility, array_agg(DISTINCT proparallel) AS parallel,
       bool_and(proisstrict) AS strict
FROM pg_proc
WHERE prokind = 'f' AND (prorettype = 'vector'::regtype OR 'vector'::regtype = ANY (proargtypes));
