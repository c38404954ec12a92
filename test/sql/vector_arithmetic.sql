-- + - * element by element, || end to end.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT a + b AS sum, a - b AS difference, a * b AS product, a || b AS joined
FROM (VALUES
    ('[1,2,3]'::vector, '[4,-5,0.5]'::vector), ('[0]', '[-0]'), ('[1e30,1e-30]', '[1,1]')
) AS t(a, b);
SELECT vector_add('[1]', '[2]'), vector_sub('[1]', '[2]'), vector_mul('[3]', '[2]'),
       vector_concat('[1]', '[2]'), '[1,2]'::vector || '[3]' || '[4,5]' AS joined;
SELECT '[1]'::vector + NULL IS NULL AS sum, NULL::vector || '[1]' IS NULL AS joined;

-- The largest results that fit, and the smallest that are not zero.
SELECT '[3e38]'::vector + '[4e37]' AS sum, '[-3e38]'::vector - '[4e37]' AS difference,
       '[1e19]'::vector * '[3e19]' AS large, '[1e-22]'::vector * '[1e-22]' AS small;
SELECT '[0,1e-30]'::vector * '[1e-30,0]' AS zero_times_small;

SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$'[3e38]'::vector + '[3e38]'$$),
    ($$'[1,-3e38]'::vector + '[1,-3e38]'$$),
    ($$'[-3e38]'::vector - '[3e38]'$$),
    ($$'[1e20]'::vector * '[1e20]'$$),
    ($$'[1e20]'::vector * '[-1e20]'$$),
    ($$'[1e-30]'::vector * '[1e-30]'$$),
    ($$'[1,1e-30]'::vector * '[1,-1e-30]'$$),
    ($$'[1,2]'::vector + '[3]'$$),
    ($$'[1,2]'::vector - '[3]'$$),
    ($$'[1]'::vector * '[2,3]'$$),
    ($$array_fill(0, ARRAY[16000])::vector || '[1]'$$),
    ($$array_fill(0, ARRAY[16000])::vector || array_fill(0, ARRAY[16000])::vector$$)
) AS t(call);
SELECT vector_dims(array_fill(1, ARRAY[15999])::vector || '[1]');

-- + and * may be swapped, the others may not.
SELECT oprname, oprcom::regoperator FROM pg_operator
WHERE oprleft = 'vector'::regtype AND oprname IN ('+', '-', '*', '||') ORDER BY oprname COLLATE "C";
