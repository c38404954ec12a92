-- Equality and order of vectors: operators, btree indexes, sorting, grouping, merge joins.
-- Elements first, then length, as with arrays.
SELECT a, b, vector_cmp(a, b) AS cmp, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne,
       a >= b AS ge, a > b AS gt
FROM (VALUES
    ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2,3]', '[1,2,4]'), ('[1,2,4]', '[1,2,3]'),
    ('[1,2]', '[1,2,3]'), ('[1,2,3]', '[1,2]'), ('[2]', '[1,2,3]'), ('[1,2,3]', '[2]'),
    ('[1,2]', '[1,2,-3]'), ('[1,2,-3]', '[1,2]'),
    ('[-1]', '[1]'), ('[0]', '[-0]'), ('[3.4028235e38]', '[-3.4028235e38]'), ('[1e-45]', '[0]')
) AS t(a, b);
SELECT '[1]'::vector != '[2]' AS differs, NULL < '[1]'::vector AS unknown;

-- An index answers what the table does.
CREATE TABLE ordered (id int, v vector(3));
INSERT INTO ordered SELECT i, ARRAY[i % 7, i % 5, i % 3]::vector FROM generate_series(1, 500) i;
INSERT INTO ordered VALUES (501, NULL), (502, '[-1,0,0]');
CREATE INDEX ordered_v ON ordered (v);
ANALYZE ordered;
SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT id FROM ordered WHERE v = '[1,2,0]';
SELECT count(*) FROM ordered WHERE v = '[1,2,0]';
SELECT count(*) FROM ordered WHERE v < '[0,0,1]';
SELECT count(*) FROM ordered WHERE v BETWEEN '[1,2,0]' AND '[2,0,0]';
SELECT v FROM ordered ORDER BY v LIMIT 3;
SELECT v FROM ordered ORDER BY v DESC NULLS LAST LIMIT 2;
SELECT count(*) FROM ordered WHERE v IS NULL;
RESET enable_seqscan;
SET enable_indexscan = off; SET enable_indexonlyscan = off;
SELECT count(*) FROM ordered WHERE v = '[1,2,0]';
SELECT count(*) FROM ordered WHERE v < '[0,0,1]';
SELECT count(*) FROM ordered WHERE v BETWEEN '[1,2,0]' AND '[2,0,0]';
SELECT v FROM ordered ORDER BY v LIMIT 3;
RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan;

-- Grouping works by sorting; there is no hash support.
SELECT count(DISTINCT v), count(*) FROM ordered;
SELECT v, count(*) FROM ordered GROUP BY v ORDER BY count(*) DESC, v LIMIT 2;
SELECT count(*) FROM (SELECT v FROM ordered WHERE id <= 50 INTERSECT
                      SELECT v FROM ordered WHERE id BETWEEN 131 AND 180) AS s;
SELECT count(*) FROM ordered a JOIN ordered b USING (v) WHERE a.id < 3;

-- Keys.
CREATE UNIQUE INDEX unique_v ON ordered (v) WHERE id > 400 AND id <= 500;
INSERT INTO ordered VALUES (450, '[1,2,0]');
CREATE TABLE keyed (v vector(2) PRIMARY KEY);
INSERT INTO keyed VALUES ('[1,2]'), ('[-0,1]');
INSERT INTO keyed VALUES ('[0,1]');
INSERT INTO keyed VALUES ('[0,1]'), ('[9,9]') ON CONFLICT DO NOTHING;
SELECT * FROM keyed ORDER BY v;
DROP TABLE ordered, keyed;

-- Sorting compares long vectors out of line without piling up their copies.
CREATE TABLE long_vectors AS
SELECT i, array_fill(0::real, ARRAY[3000])::vector || ARRAY[i * 7919 % 101]::vector AS v
FROM generate_series(1, 200) i;
SELECT count(*) FILTER (WHERE before <= v), count(*) FILTER (WHERE before > v)
FROM (SELECT v, lag(v) OVER (ORDER BY v) AS before FROM long_vectors) s;
SELECT count(DISTINCT v) FROM long_vectors;
DROP TABLE long_vectors;
