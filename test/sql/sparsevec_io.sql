-- Text and binary form of sparsevec, and the declared number of dimensions.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

-- Indices begin at 1 and may come in any order; zeros are not kept.
SELECT input, input::sparsevec FROM (VALUES
    ('{1:1,2:2,3:3}/3'), ('{3:3,1:1}/5'), ('{}/3'), ('{ }/1'), ('{1:0,2:-0,3:1}/3'), ('{0:0}/3'),
    ('{+1:+1.50,02:-.25}/2'), ('{1:0x10}/1'), ('{1000000000:1}/1000000000'), ('{7:0.1,2:1e-45}/+9')
) AS t(input);
SELECT E' \t{ 1\n:\r1 \x0b, 2:\f2 } / 3 \n'::sparsevec;

SELECT input, pg_temp.failure(format('SELECT %L::sparsevec', input)) FROM (VALUES
    (''), (' '), ('1:1/3'), ('[1:1]/3'), ('{'), ('{1'), ('{1:'), ('{1:1'), ('{1:1}'), ('{1:1} '),
    ('{1:1}3'), ('{1:1}/'), ('{1:1}/x'), ('{1:1}/3x'), ('{1:1}/3 4'), ('{,}/3'), ('{1:1,}/3'),
    ('{,1:1}/3'), ('{1}/3'), ('{1:}/3'), ('{:1}/3'), ('{1:1 2:2}/3'), ('{1:x}/3'), ('{x:1}/3'),
    ('{1:1]/3'), ('{1.5:1}/3'), ('{}'), ('{}/'),
    ('{0:1}/3'), ('{-1:1}/3'), ('{4:1}/3'), ('{1:1,1:2}/3'), ('{2:1,1:1,2:3}/3'),
    ('{2147483648:1}/3'), ('{-99999999999999999999:1}/3'),
    ('{}/0'), ('{}/-1'), ('{}/1000000001'), ('{}/99999999999999999999'),
    ('{1:NaN}/3'), ('{1:Infinity}/3'), ('{1:-inf}/3'), ('{1:4e38}/3'), ('{1:-4e38}/3'),
    ('{1:1e-46}/3'), ('{1:1e400}/3')
) AS t(input);

-- As many elements as there may be, and one more, be it zero.
SELECT l2_norm(t::sparsevec) ^ 2, pg_column_size(t::sparsevec), t::sparsevec::text = t AS same
FROM (SELECT '{' || string_agg(i * 50000 || ':1', ',') || '}/800000000' AS t
      FROM generate_series(1, 16000) i) s;
SELECT pg_temp.failure(format('SELECT %L::sparsevec', '{' || string_agg(i || ':1', ',') || '}/20000'))
FROM generate_series(1, 16001) i;
SELECT pg_temp.failure(format('SELECT %L::sparsevec', '{' || string_agg(i || ':0', ',') || '}/20000'))
FROM generate_series(1, 16001) i;

-- Declared dimensions.
SELECT '{1:1}/3'::sparsevec(3);
CREATE TABLE declared (id int, s sparsevec(3), anything sparsevec);
SELECT attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute
WHERE attrelid = 'declared'::regclass AND attnum > 1 ORDER BY attnum;
INSERT INTO declared VALUES (1, '{1:1}/3', '{}/9'), (2, NULL, NULL);
SELECT * FROM declared ORDER BY id;
SELECT statement, pg_temp.failure(statement) FROM (VALUES
    ($$SELECT '{1:1}/3'::sparsevec(2)$$), ($$SELECT '{1:1}/3'::sparsevec::sparsevec(4)$$),
    ($$SELECT '{}/1'::sparsevec(1000000001)$$), ($$SELECT '{}/1'::sparsevec(0)$$),
    ($$SELECT '{}/1'::sparsevec(1,1)$$), ($$INSERT INTO declared (s) VALUES ('{1:1}/2')$$),
    ($$ALTER TABLE declared ALTER s TYPE sparsevec(4)$$)
) AS t(statement);
DROP TABLE declared;

-- Binary form: dimensions, count, zero, indices from 0, elements; all big-endian.
SELECT encode(sparsevec_send('{1:1,3:-2.5}/5'), 'hex'), encode(sparsevec_send('{}/7'), 'hex');
CREATE TEMPORARY TABLE sent (s sparsevec);
INSERT INTO sent SELECT format('{%s:%s,%s:-1}/1000', i, i / 7.0, i + 9)::sparsevec
FROM generate_series(1, 100) i;
\getenv results PG_ABS_BUILDDIR
\set file :results '/results/sparsevec.bin'
COPY sent TO :'file' (FORMAT binary);
CREATE TEMPORARY TABLE received (s sparsevec(1000));
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) FROM sent JOIN received ON sent.s::text = received.s::text;
-- What a client could send by mistake: the words of a message, in a file that binary COPY reads.
CREATE FUNCTION pg_temp.received(variadic words int[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/received.bin';
    message bytea := '';
    word int;
BEGIN
    FOREACH word IN ARRAY words LOOP
        message := message || int4send(word);
    END LOOP;
    PERFORM lo_from_bytea(4242, '\x5047434f50590aff0d0a00'::bytea || int4send(0) || int4send(0) ||
        int2send(1::int2) || int4send(length(message)) || message || int2send((-1)::int2));
    PERFORM lo_export(4242, file), lo_unlink(4242);
    RETURN pg_temp.failure(format('COPY received FROM %L (FORMAT binary)', file));
END
$$;
SELECT pg_temp.received(1000, 1, 0, 7, 1065353216) AS fine;
SELECT pg_temp.received(0, 0, 0), pg_temp.received(1000000001, 0, 0), pg_temp.received(999, 0, 0);
SELECT pg_temp.received(1000, -1, 0), pg_temp.received(1000, 16001, 0), pg_temp.received(1, 2, 0);
SELECT pg_temp.received(1000, 0, 1), pg_temp.received(1000, 1, 0, -1, 0),
       pg_temp.received(1000, 1, 0, 1000, 0);
SELECT pg_temp.received(1000, 2, 0, 5, 4, 0, 0), pg_temp.received(1000, 2, 0, 5, 5, 0, 0);
SELECT pg_temp.received(1000, 1, 0, 5, 0), pg_temp.received(1000, 1, 0, 5, -2147483648),
       pg_temp.received(1000, 1, 0, 5, 2139095040), pg_temp.received(1000, 1, 0, 5, 2143289344);
SELECT pg_temp.received(1000, 1, 0, 5), pg_temp.received(1000, 1, 0, 5, 1065353216, 0);
