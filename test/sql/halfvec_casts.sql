-- Casts between halfvec, vector and arrays, and where each applies by itself.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT '{1,-2,65504}'::integer[]::halfvec, '{1.5,0.1}'::real[]::halfvec,
       '{0.1,1e-46}'::double precision[]::halfvec, '{0.1,1234.5}'::numeric[]::halfvec;
SELECT '[0.1,-2.5]'::halfvec::real[], '[0.1,1.5]'::halfvec::vector, '[0.1,1e-9]'::vector::halfvec,
       '[1,2]'::vector::halfvec(2), '[1,2]'::halfvec::vector(2);
-- To halves and back a vector loses what halves do not have, and back to halves nothing more.
SELECT bool_and(v::halfvec::vector::halfvec = v::halfvec), bool_and(abs(1 - r / n) <= 2 ^ -11)
FROM (SELECT ARRAY[i / 13.0]::vector AS v, ARRAY[i / 13.0]::halfvec::real[] AS h, i / 13.0 AS n
      FROM generate_series(1, 5000) i) s, unnest(h) r;

SELECT statement, pg_temp.failure('SELECT ' || statement) FROM (VALUES
    ($$'{1,2,3}'::integer[]::halfvec(2)$$), ($$'{}'::integer[]::halfvec$$),
    ($$'{1,NULL}'::integer[]::halfvec$$), ($$'{{1,2},{3,4}}'::real[]::halfvec$$),
    ($$'{NaN}'::real[]::halfvec$$), ($$'{Infinity}'::double precision[]::halfvec$$),
    ($$'{-Infinity}'::numeric[]::halfvec$$), ($$'{65520}'::integer[]::halfvec$$), ($$'{70000,1e39}'::numeric[]::halfvec$$),
    ($$'{1e39,70000}'::numeric[]::halfvec$$), ($$'{NaN,70000}'::numeric[]::halfvec$$),
    ($$'{1,-65536}'::real[]::halfvec$$), ($$'{NaN,65520}'::real[]::halfvec$$),
    ($$'{1e39}'::double precision[]::halfvec$$),
    ($$'[65520]'::vector::halfvec$$), ($$'[1,3e38]'::vector::halfvec$$),
    ($$'[1,2]'::vector::halfvec(3)$$), ($$'[1,2]'::halfvec::vector(3)$$),
    ($$array_agg(i)::halfvec FROM generate_series(1, 16001) i$$), ($$'{1}'::bigint[]::halfvec$$)
) AS t(statement);

-- A vector becomes a halfvec by itself, arrays and vectors are made of one on assignment.
CREATE TEMPORARY TABLE target (h halfvec(2), v vector(2), r real[]);
INSERT INTO target VALUES ('[1,2]'::vector, '[3,4]'::halfvec, '[5,6]'::halfvec);
INSERT INTO target (h) VALUES (ARRAY[1,2]), (ARRAY[1.5,2.5]), ('{3,4}'::real[]);
SELECT * FROM target ORDER BY h, v;
SELECT '[1,2]'::halfvec <-> '[1,4]'::vector AS mixed;
SELECT pg_temp.failure($$SELECT l2_distance('[1,2]'::halfvec, ARRAY[1,2])$$);
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE castsource = 'halfvec'::regtype OR casttarget = 'halfvec'::regtype
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
