-- Casts between sparsevec, vector, halfvec and arrays, and where each applies by itself.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT '{1,0,-2}'::integer[]::sparsevec, '{0,0.5}'::real[]::sparsevec,
       '{0,0}'::double precision[]::sparsevec, '{0.1,0,1.5}'::numeric[]::sparsevec,
       '{1,1e-46}'::double precision[]::sparsevec;
SELECT '[0,1.5,-0,2]'::vector::sparsevec, '[0,0.1]'::halfvec::sparsevec, '{2:0.1}/3'::sparsevec::vector,
       '{2:0.1,3:1e-9}/3'::sparsevec::halfvec, '[0,0]'::vector::sparsevec::vector;
-- Dense vectors survive the way there and back.
SELECT bool_and(v::sparsevec::vector = v), bool_and(v::halfvec::sparsevec::halfvec = v::halfvec)
FROM (SELECT ARRAY[i % 2, i % 3, -(i % 5), i / 7.0]::vector AS v FROM generate_series(1, 500) i) s;
SELECT l2_norm(array_fill(1, ARRAY[16000])::sparsevec) ^ 2;

SELECT statement, pg_temp.failure('SELECT ' || statement) FROM (VALUES
    ($$'{1,2,3}'::integer[]::sparsevec(2)$$), ($$'{}'::integer[]::sparsevec$$),
    ($$'{1,NULL}'::integer[]::sparsevec$$), ($$'{{1,2},{3,4}}'::real[]::sparsevec$$),
    ($$'{NaN}'::real[]::sparsevec$$), ($$'{0,Infinity}'::double precision[]::sparsevec$$),
    ($$'{1e39}'::double precision[]::sparsevec$$), ($$'{1e-46}'::numeric[]::sparsevec$$),
    ($$'{1}'::bigint[]::sparsevec$$),
    ($$array_fill(1, ARRAY[16001])::sparsevec$$), ($$'[1,2]'::vector::sparsevec(3)$$),
    ($$'[1,2]'::halfvec::sparsevec(3)$$), ($$'{}/3'::sparsevec::vector(2)$$),
    ($$'{}/3'::sparsevec::halfvec(2)$$), ($$'{}/16001'::sparsevec::vector$$),
    ($$'{}/16001'::sparsevec::halfvec$$), ($$'{1:65520}/1'::sparsevec::halfvec$$)
) AS t(statement);

-- Dense vectors become sparse by themselves, sparse ones dense on assignment.
CREATE TEMPORARY TABLE target (s sparsevec(2), v vector(2), h halfvec(2));
INSERT INTO target VALUES ('[1,0]'::vector, '{1:1}/2'::sparsevec, '{2:1}/2'::sparsevec);
INSERT INTO target (s) VALUES ('[0,2]'::halfvec), (ARRAY[1,2]), (ARRAY[0,2.5]);
SELECT * FROM target ORDER BY s, v;
SELECT '{1:1}/2'::sparsevec <-> '[0,1]'::vector AS mixed;
SELECT pg_temp.failure($$SELECT l2_distance('{1:1}/2'::sparsevec, ARRAY[1,2])$$);
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE castsource = 'sparsevec'::regtype OR casttarget = 'sparsevec'::regtype
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
