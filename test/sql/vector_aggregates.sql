-- avg and sum of vectors, and the support functions SQL can call.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT avg(v), sum(v) FROM (VALUES ('[1,2,3]'::vector), ('[3,5,7]')) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES ('[1,2,3]'::vector), (NULL), ('[3,5,7]'), (NULL)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES ('[-0,1.5]'::vector)) AS t(v);
SELECT avg(v) IS NULL AS no_average, sum(v) IS NULL AS no_sum
FROM (VALUES ('[1]'::vector)) AS t(v) WHERE false;
SELECT avg(v) IS NULL AS no_average, sum(v) IS NULL AS no_sum FROM (VALUES (NULL::vector)) AS t(v);
SELECT avg(v), avg(v), sum(v) FILTER (WHERE i > 1), avg(DISTINCT v)
FROM (VALUES (1, '[1]'::vector), (2, '[1]'), (3, '[4]')) AS t(i, v);

-- The average is summed in double, so it can exist where the sum cannot.
SELECT avg(v) FROM (VALUES ('[3e38,1]'::vector), ('[3e38,3]')) AS t(v);
SELECT pg_temp.failure($$SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) AS t(v)$$);
SELECT avg(ARRAY[i, -i, 16777216 + i % 2]::vector) FROM generate_series(1, 1001) i;

SELECT pg_temp.failure($$SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[3]')) AS t(v)$$),
       pg_temp.failure($$SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3]')) AS t(v)$$);

-- Groups, windows and moving frames each keep a state of their own.
CREATE TABLE samples (g int, i int, v vector(3));
INSERT INTO samples SELECT i % 3, i, ARRAY[i, i % 3, 1]::vector FROM generate_series(1, 3000) i;
SELECT g, count(*), avg(v), sum(v) FROM samples GROUP BY g ORDER BY g;
SELECT g, avg(v) FROM samples GROUP BY GROUPING SETS ((g), ()) ORDER BY g;
SELECT i, avg(v) OVER w, sum(v) OVER w FROM samples WHERE i <= 5
WINDOW w AS (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY i;
SELECT i, avg(v) OVER (ORDER BY i), sum(v) OVER (ORDER BY i) FROM samples WHERE i <= 4 ORDER BY i;

-- Long vectors, whose states are moved out of line.
SELECT vector_dims(avg(v)), vector_norm(avg(v)), subvector(sum(v), 1, 2)
FROM (SELECT array_fill(i, ARRAY[10000])::vector AS v FROM generate_series(1, 3) i) t;

-- Partial aggregates in parallel workers give the same as one process.
CREATE TABLE plain_result AS SELECT avg(v) AS a, sum(v) AS s FROM samples;
ALTER TABLE samples SET (parallel_workers = 2);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT avg(v), sum(v) FROM samples;
SELECT avg(v) = a AS average, sum(v) = s AS sum FROM samples, plain_result GROUP BY a, s;
SELECT avg(v) AS a, sum(v) AS s FROM samples;
SELECT avg(v) FROM samples WHERE i > 2998;
SELECT g, avg(v) FROM samples GROUP BY g ORDER BY g;
SELECT avg(v) IS NULL AS nothing FROM samples WHERE i < 0;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE samples, plain_result;

-- The support functions by themselves, and that they do not write to the caller's array.
SELECT vector_accum('{0}', '[1,2]'), vector_accum('{1,1,2}', '[3,4]');
SELECT vector_combine('{2,1}', '{3,4}'), vector_combine('{0}', '{2,5,6}'),
       vector_combine('{2,5,6}', '{0}'), vector_combine('{0}', '{0}');
SELECT vector_avg('{2,4,6}'), vector_avg('{0}') IS NULL AND vector_avg('{0,1}') IS NULL AS none;
SELECT state, vector_accum(state, '[10]') AS next, vector_combine(state, state) AS twice,
       vector_combine('{5}', state) AS counted, state AS still
FROM (SELECT ARRAY[1, 2]::float8[] AS state OFFSET 0) s;

SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$vector_accum('{}', '[1]')$$),
    ($$vector_accum('{{0}}', '[1]')$$),
    ($$vector_accum('{0,NULL}', '[1]')$$),
    ($$vector_accum('{1,2}', '[1,2]')$$),
    ($$vector_accum('{1,Infinity}', '[1]')$$),
    ($$vector_combine('{}', '{0}')$$),
    ($$vector_combine('{0}', '{NULL}')$$),
    ($$vector_combine('{{0}}', '{0}')$$),
    ($$vector_combine('{1,2}', '{1,2,3}')$$),
    ($$vector_combine('{1,1e308}', '{1,1e308}')$$),
    ($$vector_combine(array_fill(1::float8, ARRAY[16002]), '{0}')$$),
    ($$vector_combine('{0}', array_fill(1::float8, ARRAY[16002]))$$),
    ($$vector_avg('{}')$$),
    ($$vector_avg('{{1,2}}')$$),
    ($$vector_avg('{1,NULL}')$$),
    ($$vector_avg('{1}')$$),
    ($$vector_avg('{1,1e300}')$$),
    ($$vector_avg('{1,NaN}')$$),
    ($$vector_avg(array_fill(1::float8, ARRAY[16002]))$$)
) AS t(call);
