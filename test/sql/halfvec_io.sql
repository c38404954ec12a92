-- Text and binary form of halfvec, and the declared number of dimensions.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

-- Every number is rounded to the nearest half, of two to the even one; what comes out is the shortest
-- text that reads back as the same float.
SELECT input, input::halfvec FROM (VALUES
    ('[1,2,3]'), ('[1]'), ('[1.50,-2.250]'), ('[.5,5.,-.5]'), ('[+1,0x10]'), ('[0.1,0.2,0.3]'),
    ('[2048,2049,2050,2051]'), ('[1.00048828125,1.0004882813,1.00146484375]'),
    ('[65504,-65504,65519.99]'), ('[6.1035156e-05,5.9604645e-08,-5.9604645e-08]'),
    ('[2.9802322e-08,2.9802326e-08,1e-10,-1e-46]'), ('[0,-0]')
) AS t(input);
SELECT E' \t[ 1\n,\r2 \x0b, 3\f] \n'::halfvec;

-- Whatever comes out goes in unchanged: all finite halves, made from their bits by powers of two.
CREATE TEMPORARY TABLE halves AS
SELECT sign * CASE exponent WHEN 0 THEN fraction * 2::float8 ^ -24
                            ELSE (1024 + fraction) * 2::float8 ^ (exponent - 25) END AS number
FROM generate_series(0, 30) exponent, generate_series(0, 1023) fraction, (VALUES (1), (-1)) s(sign);
SELECT count(*), count(DISTINCT number),
       count(*) FILTER (WHERE (ARRAY[number]::halfvec::real[])[1] = number) AS exact,
       count(*) FILTER (WHERE ARRAY[number]::halfvec::text::halfvec = ARRAY[number]::halfvec) AS text
FROM halves;

-- Malformed text, and numbers that halves do not have.
SELECT input, pg_temp.failure(format('SELECT %L::halfvec', input)) FROM (VALUES
    (''), (' '), ('1,2'), ('{1,2}'), ('['), ('[]'), ('[ ]'), ('[,'), ('[1'), ('[1,'), ('[1,]'),
    ('[,1]'), ('[1,,2]'), ('[1 2]'), ('[x]'), ('[1x]'), ('[1}'), ('[1]2'), ('[1]]'), ('[1e]'),
    ('[NaN]'), ('[nan,1]'), ('[Infinity]'), ('[-inf]'), ('[65520]'), ('[1,-65520,2]'), ('[1e39]'),
    ('[-1e400]'), ('[7e4')
) AS t(input);

-- Declared dimensions.
SELECT '[1,2,3]'::halfvec(3);
CREATE TABLE declared (id int, h halfvec(3), anything halfvec);
SELECT attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute
WHERE attrelid = 'declared'::regclass AND attnum > 1 ORDER BY attnum;
INSERT INTO declared VALUES (1, '[1,2,3]', '[1]'), (2, NULL, NULL);
SELECT * FROM declared ORDER BY id;
SELECT statement, pg_temp.failure(statement) FROM (VALUES
    ($$SELECT '[1,2,3]'::halfvec(2)$$), ($$SELECT '[1,2,3]'::halfvec::halfvec(4)$$),
    ($$SELECT '[1,2,3]'::halfvec(16001)$$), ($$SELECT '[1,2,3]'::halfvec(0)$$),
    ($$SELECT '[1,2,3]'::halfvec(3,3)$$), ($$INSERT INTO declared (h) VALUES ('[1,2]')$$),
    ($$ALTER TABLE declared ALTER h TYPE halfvec(4)$$)
) AS t(statement);
DROP TABLE declared;

-- Two bytes for each element and eight for all; as many elements as there may be, and one more.
SELECT vector_dims(t::halfvec), pg_column_size(t::halfvec), t::halfvec::text = t AS same
FROM (SELECT '[' || string_agg((i % 10)::text, ',') || ']' AS t FROM generate_series(1, 16000) i) s;
SELECT pg_temp.failure(format('SELECT %L::halfvec', '[' || string_agg('1', ',') || ']'))
FROM generate_series(1, 16001);

-- Binary form: dimensions, zero, elements; all big-endian.
SELECT encode(halfvec_send('[1,-2.5]'), 'hex'), encode(halfvec_send('[-0,5.9604645e-08,65504]'), 'hex');
CREATE TEMPORARY TABLE sent (h halfvec);
INSERT INTO sent SELECT ARRAY[i / 7.0, -i, i * 1e-6]::halfvec FROM generate_series(1, 100) i;
\getenv results PG_ABS_BUILDDIR
\set file :results '/results/halfvec.bin'
COPY sent TO :'file' (FORMAT binary);
CREATE TEMPORARY TABLE received (h halfvec(3));
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) FROM sent JOIN received ON sent.h::text = received.h::text;
SELECT NULL::halfvec IS NULL AS text_in, halfvec_send(NULL) IS NULL AS binary_out;
