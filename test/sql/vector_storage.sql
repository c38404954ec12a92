-- Vectors in tables and in binary COPY: short, long, out of line, and damaged ones.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

CREATE TABLE stored (id int, v vector);
INSERT INTO stored VALUES (1, '[1]'), (2, '[1,2,3]'), (3, NULL),
    (4, array_fill(0.5, ARRAY[400])::vector), (5, array_fill(-2, ARRAY[16000])::vector);
INSERT INTO stored SELECT 6, array_agg(i)::vector FROM generate_series(1, 1000) i;
SELECT id, vector_dims(v), pg_column_size(v), vector_norm(v), subvector(v, 1, 2)
FROM stored WHERE v IS NOT NULL ORDER BY id;
SELECT pg_relation_size(reltoastrelid) > 0 AS out_of_line
FROM pg_class WHERE oid = 'stored'::regclass;

-- Other storage kinds hold the same values.
CREATE TABLE compressed (id int, v vector);
ALTER TABLE compressed ALTER v SET STORAGE main;
INSERT INTO compressed SELECT * FROM stored;
SELECT count(*) AS rows, count(*) FILTER (WHERE s.v = c.v) AS equal,
       count(*) FILTER (WHERE vector_send(s.v) = vector_send(c.v)) AS same_bytes
FROM stored s JOIN compressed c USING (id);

-- Out to a file and in again, in the binary format.
CREATE TABLE copied (id int, v vector);
\copy stored to program 'cat > "${PG_ABS_BUILDDIR:-.}/results/vectors.bin"' (format binary)
\copy copied from program 'cat "${PG_ABS_BUILDDIR:-.}/results/vectors.bin"' (format binary)
SELECT count(*) AS rows, count(*) FILTER (WHERE s.v = c.v) AS equal,
       count(*) FILTER (WHERE vector_send(s.v) = vector_send(c.v)) AS same_bytes
FROM stored s JOIN copied c USING (id);
TRUNCATE copied;
COPY copied FROM stdin;
1	[1.5, 2]
2	\N
\.
COPY copied TO stdout;

-- Binary input from elsewhere is checked. A file of one row with one field is put together here and
-- handed to the client in an environment variable.
CREATE TABLE received (v vector(2));
CREATE FUNCTION pg_temp.binary_file(field bytea) RETURNS text LANGUAGE sql AS $$
    SELECT encode('PGCOPY\012\377\015\012\000'::bytea || '\x00000000' || '\x00000000' || '\x0001'
        || int4send(length(field)) || field || '\xffff', 'base64')
$$;
\set receive '\\copy received from program ''echo "$DVEC_FILE" | base64 -d'' (format binary)'
\set VERBOSITY terse
SELECT pg_temp.binary_file('\x00020000 3f800000 c0200000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT * FROM received;
SELECT pg_temp.binary_file('\x00030000 3f800000 3f800000 3f800000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00000000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\xffff0000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x3e810000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00020001 3f800000 3f800000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00020000 3f800000 7fc00000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00020000 ff800000 3f800000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00020000 3f800000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00020000 3f800000 3f800000 3f800000') AS file \gset
\setenv DVEC_FILE :file
:receive
SELECT pg_temp.binary_file('\x00') AS file \gset
\setenv DVEC_FILE :file
:receive
\set VERBOSITY default
SELECT count(*) FROM received;

-- A value whose length and dimensions disagree is refused by whatever reads it. A cast that
-- relabels bytes stands in for a damaged page; they are a little-endian machine's.
CREATE CAST (bytea AS vector) WITHOUT FUNCTION;
SELECT '\x02000000 0000803f 00000040'::bytea::vector AS sound;
SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$vector_dims('\x03000000 0000803f 00000040'::bytea::vector)$$),
    ($$vector_norm('\x01000000 0000803f 00000040'::bytea::vector)$$),
    ($$'\x00000000'::bytea::vector::text$$),
    ($$'\xffff0000 0000803f'::bytea::vector::real[]$$),
    ($$''::bytea::vector::text$$),
    ($$'[1]'::vector <-> '\xff7f0000 0000803f'::bytea::vector$$),
    ($$avg('\xff7f0000 0000803f'::bytea::vector)$$),
    ($$'[1]'::vector < '\x02000000'::bytea::vector$$)
) AS t(call);
DROP CAST (bytea AS vector);
DROP TABLE stored, compressed, copied, received;
