-- Casts between arrays and vector, and where each applies by itself.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT '{1,-2,2147483647}'::integer[]::vector, '{1.5,-2,3.4028235e38}'::real[]::vector,
       '{1.5,0.1,1e-46}'::double precision[]::vector, '{1.5,0.1,123456789.5}'::numeric[]::vector;
SELECT ARRAY[1,2,3]::vector, ARRAY[1.5,2.5]::vector(2), array_to_vector(ARRAY[1,2], -1, true);
SELECT '[1,2.5,-3]'::vector::real[], ('[1,2,3]'::vector::real[])[2],
       '[0.1]'::vector::real[]::float8[];

-- Lower bounds do not matter, and neither does a null bitmap without nulls in it.
SELECT '[5:7]={1,2,3}'::integer[]::vector;
SELECT (ARRAY[NULL, 1, 2]::integer[])[2:3]::vector;
SELECT array_remove(ARRAY[1.5, NULL, 2.5], NULL)::vector;
SELECT array_lower(real_array, 1), array_upper(real_array, 1), array_ndims(real_array)
FROM (SELECT '[4,5,6]'::vector::real[]) AS t(real_array);

-- Arrays out of line and with a short header.
CREATE TEMPORARY TABLE arrays (short real[], long numeric[]);
ALTER TABLE arrays ALTER long SET STORAGE external;
INSERT INTO arrays SELECT ARRAY[1, 2]::real[], array_agg(i + 0.5) FROM generate_series(1, 3000) i;
SELECT short::vector, vector_dims(long::vector), subvector(long::vector, 2999, 2) FROM arrays;

SELECT statement, pg_temp.failure('SELECT ' || statement) FROM (VALUES
    ($$'{1,2,3}'::integer[]::vector(2)$$),
    ($$'{1,2,3}'::real[]::vector(4)$$),
    ($$'{}'::integer[]::vector$$),
    ($$'{}'::numeric[]::vector(3)$$),
    ($$'{1,NULL}'::integer[]::vector$$),
    ($$'{NULL}'::numeric[]::vector$$),
    ($$'{{1,2},{3,4}}'::real[]::vector$$),
    ($$'{{{1}}}'::double precision[]::vector$$),
    ($$'{1,NaN}'::real[]::vector$$),
    ($$'{NaN}'::double precision[]::vector$$),
    ($$'{NaN}'::numeric[]::vector$$),
    ($$'{Infinity}'::real[]::vector$$),
    ($$'{-Infinity}'::double precision[]::vector$$),
    ($$'{1e39}'::double precision[]::vector$$),
    ($$'{-4e38,1}'::double precision[]::vector$$),
    ($$'{1e39}'::numeric[]::vector$$),
    ($$array_agg(i)::vector FROM generate_series(1, 16001) i$$),
    ($$array_to_vector(ARRAY[1,2], 3, false)$$),
    ($$'{1}'::bigint[]::vector$$),
    ($$'{a}'::text[]::vector$$)
) AS t(statement);

-- On assignment arrays become vectors; elsewhere only when asked, so that arrays stay arrays.
CREATE TEMPORARY TABLE target (v vector(2), r real[]);
INSERT INTO target (v)
VALUES (ARRAY[1,2]), (ARRAY[1.5,2.5]), ('{3,4}'::real[]), ('{5,6}'::float8[]);
SELECT v FROM target ORDER BY v;
SELECT ARRAY[1,2] = ARRAY[1,2] AS arrays, ARRAY[1.5] || ARRAY[2.5] AS concatenated;
SELECT pg_temp.failure($$SELECT l2_distance('[1,2]'::vector, ARRAY[1,2])$$);
SELECT pg_temp.failure($$INSERT INTO target (v) VALUES (ARRAY[1,2,3])$$);

-- Vectors become real[] wherever one is wanted.
INSERT INTO target (r) SELECT '[7,8]'::vector;
SELECT r FROM target WHERE r IS NOT NULL;
CREATE FUNCTION pg_temp.largest(real[]) RETURNS real LANGUAGE sql
AS 'SELECT max(x) FROM unnest($1) x';
SELECT pg_temp.largest('[1,3,2]'::vector), '[1,2]'::vector = '{1,2}'::real[]::vector AS equal;
SELECT x FROM unnest('[3,1,2]'::vector::real[]) x ORDER BY x;

-- The catalog: a implicit, b assignment.
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE castsource = 'vector'::regtype OR casttarget = 'vector'::regtype
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
