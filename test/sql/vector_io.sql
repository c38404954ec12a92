-- Text and binary form of vector, and the declared number of dimensions.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

-- Numbers in every notation that float4 reads; what comes out is the shortest text that reads back.
SELECT input, input::vector FROM (VALUES
    ('[1,2,3]'), ('[1]'), ('[1.50,-2.250]'), ('[.5,5.,-.5]'), ('[+1,+.25]'),
    ('[007,1e2,1E-2,1e+2]'), ('[0.1,0.2,0.3]'), ('[0.30000001192092896]'),
    ('[16777216,16777217,16777219]'),
    ('[0x10,0x1.8p1]'), ('[0,-0,-0.0]'), ('[1e-45,1.17549435e-38,3.4028235e38,-3.4028235e38]'),
    ('[1e-46,-1e-46]'), ('[100000,1000000,123456.7]'), ('[0.0001,0.00001]')
) AS t(input);

-- White space is free around every token, and only there.
SELECT E' \t[ 1\n,\r2 \x0b, 3\f] \n'::vector;
SELECT '[1 2]', pg_temp.failure($$SELECT '[1 2]'::vector$$)
UNION ALL SELECT '[- 1]', pg_temp.failure($$SELECT '[- 1]'::vector$$)
UNION ALL SELECT '[1e 5]', pg_temp.failure($$SELECT '[1e 5]'::vector$$);

-- Whatever comes out goes in unchanged: 2000 floats of all magnitudes.
SELECT count(*), count(*) FILTER (WHERE v::text::vector::text = v::text AND v::text::vector = v)
FROM (SELECT ARRAY[(2::float8 ^ (i % 250 - 125) * (1 + i / 4001.0))::real, -i::real]::vector AS v
      FROM generate_series(1, 1000) i) s;

-- Malformed text.
SELECT input, pg_temp.failure(format('SELECT %L::vector', input)) FROM (VALUES
    (''), (' '), ('1,2'), ('(1,2)'), ('{1,2}'), ('['), ('[ '), ('[]'), ('[ ]'), ('[,'), ('[,]'),
    ('[1'), ('[1,'), ('[1,]'), ('[,1]'), ('[1,,2]'), ('[1, ,2]'), ('[1;2]'), ('[x]'), ('[1,x]'),
    ('[1x]'), ('[1_000]'), ('[--1]'), ('[1e]'), ('[0x]'), ('[.]'), ('[-]'), ('[1]2'), ('[1] ]'),
    ('[1][2]'), ('[[1]]'), (']'), ('NULL')
) AS t(input);

-- Every element is finite, and a number beyond float4 is not rounded to infinity.
SELECT input, pg_temp.failure(format('SELECT %L::vector', input)) FROM (VALUES
    ('[NaN]'), ('[1,nan]'), ('[-NaN]'), ('[Infinity]'), ('[-Infinity]'), ('[inf]'),
    ('[+inf]'), ('[INFINITY,1]'), ('[3.4028236e38]'), ('[1,-4e38,2]'),
    ('[1e5000]'), ('[-1e5000]'), ('[0x1p128]')
) AS t(input);

-- Declared dimensions.
SELECT '[1,2,3]'::vector(3), '[5]'::vector(1);
CREATE TABLE declared (id int, v vector(3), anything vector);
SELECT attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute
WHERE attrelid = 'declared'::regclass AND attnum > 1 ORDER BY attnum;
INSERT INTO declared VALUES (1, '[1,2,3]', '[1]'), (2, NULL, NULL), (3, '[4,5,6]', '[1,2]');
SELECT * FROM declared ORDER BY id;
SELECT statement, pg_temp.failure(statement) FROM (VALUES
    ($$SELECT '[1,2,3]'::vector(2)$$),
    ($$SELECT '[1,2,3]'::vector::vector(4)$$),
    ($$SELECT '[1,2,3]'::vector(16001)$$),
    ($$SELECT '[1,2,3]'::vector(0)$$),
    ($$SELECT '[1,2,3]'::vector(-1)$$),
    ($$SELECT '[1,2,3]'::vector(3,3)$$),
    ($$SELECT '[1,2,3]'::vector('x')$$),
    ($$SELECT '[1,2,3]'::vector(2147483648)$$),
    ($$CREATE TABLE nothing (v vector(0))$$),
    ($$INSERT INTO declared (v) VALUES ('[1,2]')$$),
    ($$INSERT INTO declared (v) SELECT '[1,2,3,4]'::vector$$),
    ($$UPDATE declared SET v = v || v WHERE id = 1$$),
    ($$ALTER TABLE declared ALTER v TYPE vector(4)$$),
    ($$ALTER TABLE declared ALTER anything TYPE vector(2)$$),
    ($$SELECT '{"[1,2]","[3]"}'::vector(2)[]$$)
) AS t(statement);
ALTER TABLE declared ALTER v TYPE vector;
ALTER TABLE declared ALTER v TYPE vector(3);
DROP TABLE declared;

-- Arrays of vectors: the comma inside a vector is quoted.
SELECT '{"[1,2]","[3,4]",NULL}'::vector[], ARRAY['[1]'::vector, '[2,3]'];

-- As many dimensions as there may be, and one more.
SELECT vector_dims(t::vector), length((t::vector)::text), pg_column_size(t::vector)
FROM (SELECT '[' || string_agg((i % 10)::text, ',') || ']' AS t
      FROM generate_series(1, 16000) i) s;
SELECT pg_temp.failure(format('SELECT %L::vector', '[' || string_agg('1', ',') || ']'))
FROM generate_series(1, 16001);
SELECT pg_temp.failure(format('SELECT %L::vector', '[' || string_agg('1', ',')))
FROM generate_series(1, 20000);

-- Binary form: dimensions, zero, elements; all big-endian.
SELECT encode(vector_send('[1,-2.5]'), 'hex'),
       encode(vector_send('[-0,1e-45,3.4028235e38]'), 'hex');

-- The input functions are strict.
SELECT NULL::vector IS NULL AS text_in, vector_send(NULL) IS NULL AS binary_out;
