-- Indexes that hold vectors compact: what they may be, and that their rows come as the exact search has them.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
\set include :sources '/sql/include/both_ways.sql'
\i :include
CREATE TABLE t (id integer PRIMARY KEY, kind integer, v vector(96));
SELECT setseed(0.42);
INSERT INTO t SELECT i, i % 10, array_agg(random() - 0.5 ORDER BY j)::vector(96)
FROM generate_series(1, 1500) AS i, generate_series(1, 96) AS j GROUP BY i;

-- What can be asked for.
SELECT options, pg_temp.failure(format('CREATE INDEX ON t USING hnsw (v %s) WITH (%s)', class, options))
FROM (VALUES ('vector_l2_ops', 'storage = small'), ('vector_l2_ops', 'storage = compact, bits = 0'),
    ('vector_l2_ops', 'storage = compact, bits = 9'), ('vector_l2_ops', 'storage = compact, bits = 2')) AS t(class, options);
CREATE TABLE bits (b bit(64), s sparsevec(64));
SELECT class, pg_temp.failure(format('CREATE INDEX ON bits USING hnsw (%s) WITH (storage = compact)', class))
FROM (VALUES ('b bit_hamming_ops'), ('s sparsevec_l2_ops')) AS t(class);
SELECT pg_temp.failure('CREATE INDEX ON t USING ivfflat (v vector_l2_ops) WITH (storage = compact)');

-- Options that have no effect beside the others are told of, when an index is made and when they are set; who
-- rebuilds one knows.
CREATE INDEX of_options ON bits USING hnsw (b bit_hamming_ops) WITH (bits = 4);
DROP INDEX of_options;
CREATE INDEX of_options ON t USING hnsw (v vector_l2_ops) WITH (bits = 8, storage = full);
REINDEX INDEX of_options;
ALTER INDEX of_options SET (storage = compact);
ALTER INDEX of_options SET (link_codes = on);
ALTER INDEX of_options SET (link_codes = off);
ALTER INDEX of_options RESET (storage);
ALTER INDEX of_options RESET (bits);
DROP INDEX of_options;
-- So is a target that few bits may miss.
CREATE INDEX of_options ON t USING hnsw (v vector_l1_ops) WITH (storage = compact, bits = 4, target_recall = 0.9);
ALTER INDEX of_options SET (bits = 1);
ALTER INDEX of_options RESET (target_recall);
ALTER INDEX of_options SET (bits = 8, target_recall = 0.9);
DROP INDEX of_options;
CREATE INDEX of_options ON t USING hnsw (v vector_l2_ops) WITH (storage = compact, link_codes = on);
REINDEX INDEX of_options;
DROP INDEX of_options;

-- Whether nearly all of the ten nearest rows of some queries come, and whether what comes is in order, with the operator's
-- distances.
CREATE FUNCTION answers(operator text, type text, OUT near boolean, OUT ordered boolean) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    query text := format('SELECT array_agg(d) FROM (SELECT v::%2$s %1$s $1::%2$s AS d FROM t ORDER BY 1 LIMIT 10) AS n',
        operator, type);
    given float8[];
    wanted float8[];
    hits integer := 0;
BEGIN
    ordered := true;
    FOR q IN SELECT v::text FROM t WHERE id % 100 = 0 LOOP
        SELECT * INTO given, wanted FROM pg_temp.both_ways(query, q);
        hits := hits + (SELECT count(*) FROM unnest(given) AS d WHERE d = ANY (wanted));
        ordered := ordered AND given = (SELECT array_agg(d ORDER BY d) FROM unnest(given) AS d);
    END LOOP;
    near := hits >= 135;
END $$;
SET hnsw.ef_search = 200;
CREATE INDEX compact_idx ON t USING hnsw (v vector_l2_ops) WITH (storage = compact);
SELECT * FROM answers('<->', 'vector(96)');
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 1) LIMIT 10;
-- The options are heeded when the index is built.
ALTER INDEX compact_idx SET (bits = 4);
REINDEX INDEX compact_idx;
SELECT * FROM answers('<->', 'vector(96)');
ALTER INDEX compact_idx SET (storage = full);
REINDEX INDEX compact_idx;
SELECT * FROM answers('<->', 'vector(96)');
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw (v vector_ip_ops) WITH (storage = compact, bits = 4);
SELECT * FROM answers('<#>', 'vector(96)');
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw (v vector_cosine_ops) WITH (storage = compact, bits = 1);
SELECT * FROM answers('<=>', 'vector(96)');
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw ((v::halfvec(96)) halfvec_cosine_ops) WITH (storage = compact, bits = 8);
SELECT * FROM answers('<=>', 'halfvec(96)');
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw (v vector_l1_ops) WITH (storage = compact, bits = 4);
SELECT * FROM answers('<+>', 'vector(96)');
DROP INDEX compact_idx;

-- All rows, thresholds and groups are those of the exact search.
CREATE INDEX compact_idx ON t USING hnsw (v vector_l2_ops, kind) WITH (storage = compact, bits = 1);
SET enable_seqscan = off;
SELECT count(*), count(*) FILTER (WHERE before > d) AS descents
FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <-> (SELECT v FROM t WHERE id = 7) AS d FROM t ORDER BY 1) AS n) AS m;
SELECT array_agg(id ORDER BY id) = (SELECT array_agg(id ORDER BY id) FROM t WHERE l2_distance(v, (SELECT v FROM t WHERE id = 7)) < 3.6)
FROM t WHERE v <-> (SELECT v FROM t WHERE id = 7) < 3.6;
SELECT id, kind FROM t WHERE kind = 7 ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 1;
SELECT count(*), min(kind), max(kind) FROM (SELECT kind FROM t WHERE kind = 3 ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 60) AS n;

-- Rows that change, vanish and come.
UPDATE t SET v = (SELECT v FROM t WHERE id = 9) WHERE id IN (10, 11);
DELETE FROM t WHERE id = 9;
SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10), id LIMIT 2;
INSERT INTO t SELECT 2000 + i, 0, v FROM t, generate_series(1, 30) AS i WHERE id = 10;
SELECT count(*), min(id) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10) LIMIT 32) AS n;
BEGIN;
DELETE FROM t WHERE id > 2000;
SELECT id > 2000 AS copy FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10) LIMIT 3;
ROLLBACK;
SELECT problem FROM dvec_check('compact_idx');
SELECT v <-> NULL AS d FROM t ORDER BY v <-> NULL LIMIT 1;
SELECT pg_temp.failure($$SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1$$);

-- A scan that ends after its candidates ends after as many as are set, however many it keeps.
SET hnsw.iterative_scan = off;
SET hnsw.ef_search = 12;
SELECT dvec_ef_search('compact_idx', 100) > 12 AS keeps_more, count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10) LIMIT 100) AS n;
RESET hnsw.iterative_scan;
RESET hnsw.ef_search;

-- Each row of a LIMIT is looked for among a number of candidates that goes by the bits, up to 1,000 rows.
SELECT array_agg(dvec_ef_search('compact_idx', rows) ORDER BY rows) AS of_one_bit FROM unnest(ARRAY[5, 100, 1000, 2000]) AS rows;
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw (v vector_l2_ops) WITH (storage = compact, bits = 4);
SELECT array_agg(dvec_ef_search('compact_idx', rows) ORDER BY rows) AS of_four FROM unnest(ARRAY[5, 100, 1000, 2000]) AS rows;
DROP INDEX compact_idx;
CREATE INDEX compact_idx ON t USING hnsw (v vector_l2_ops) WITH (storage = compact, bits = 8);
SELECT array_agg(dvec_ef_search('compact_idx', rows) ORDER BY rows) AS of_eight FROM unnest(ARRAY[5, 100, 1000, 2000]) AS rows;

-- What an index is to become counts from the time when it is built. Until then searches, and plans, go by what it is.
CREATE FUNCTION cost(query text, OUT cost text) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    cost := plan->0->'Plan'->>'Total Cost';
END $$;
CREATE VIEW kept AS SELECT dvec_ef_search('compact_idx', 100) AS candidates,
    cost('SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 10) LIMIT 100') AS nearest,
    cost('SELECT id FROM t WHERE v <-> (SELECT v FROM t WHERE id = 10) < 1') AS within;
CREATE TEMPORARY TABLE of_eight AS SELECT * FROM kept;
ALTER INDEX compact_idx SET (bits = 1);
SELECT kept.candidates, kept IS NOT DISTINCT FROM of_eight AS as_before FROM kept, of_eight;
ALTER INDEX compact_idx SET (storage = full);
SELECT kept.candidates, kept IS NOT DISTINCT FROM of_eight AS as_before FROM kept, of_eight;
REINDEX INDEX compact_idx;
SELECT kept.candidates, kept IS NOT DISTINCT FROM of_eight AS as_before FROM kept, of_eight;
ALTER INDEX compact_idx SET (storage = compact);
SELECT candidates FROM kept;
REINDEX INDEX compact_idx;
SELECT candidates FROM kept;

DROP VIEW kept;
DROP FUNCTION answers, cost;
DROP TABLE t, bits, of_eight;
