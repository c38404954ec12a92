-- dvec_recall: which share of the nearest rows an index finds.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, v vector(8), h halfvec(8), b bit(32));
SELECT setseed(0.35);
INSERT INTO t SELECT i, v, v, (i * 2654435761 % 4294967296)::bit(32)
FROM (SELECT i, array_agg(random() - 0.5)::vector(8) AS v
    FROM generate_series(1, 1000::bigint) AS i, generate_series(1, 8) GROUP BY i) AS drawn;
CREATE INDEX by_l2 ON t USING hnsw (v vector_l2_ops);
CREATE INDEX by_ip ON t USING hnsw (v vector_ip_ops);
CREATE INDEX by_part ON t USING hnsw (h halfvec_cosine_ops) WHERE id % 2 = 0;
CREATE INDEX by_expression ON t USING hnsw ((v::halfvec(8)) halfvec_l1_ops);
CREATE INDEX by_bits ON t USING ivfflat (b bit_hamming_ops);

-- Random rows differ from run to run; what must hold does not.
CREATE FUNCTION pg_temp.sound(index regclass, queries integer, k integer) RETURNS boolean
LANGUAGE sql AS $$
    SELECT bool_and(recall BETWEEN 0 AND 1 AND milliseconds > 0) AND max(recall) >= 0.99
        AND array_agg(ef_search) FILTER (WHERE NOT in_force OR ef_search = 40)
            <@ ARRAY[10, 20, 40, 80, 160, 320, 640, 1000, 2000, 4000, 10000]
        AND array_agg(ef_search) = array_agg(ef_search ORDER BY ef_search) AND min(ef_search) = 10
    FROM dvec_recall(index, queries, k)
$$;
SELECT index, pg_temp.sound(index, 20, 10)
FROM unnest('{by_l2,by_ip,by_part,by_expression,by_bits}'::regclass[]) AS index;
SELECT pg_temp.sound('by_l2', 1, 1000), pg_temp.sound('by_l2', 10, 1);

-- A scan that ends early shows: of 50 neighbors at most ten were returned.
SET hnsw.iterative_scan = off;
SELECT ef_search, recall <= 0.2 AS low FROM dvec_recall('by_l2', 10, 50) LIMIT 1;
RESET hnsw.iterative_scan;

-- The session's settings are its own.
SET hnsw.ef_search = 77;
SET enable_indexscan = off;
SELECT count(*) > 0 AS measured FROM dvec_recall('by_l2', 1);
SHOW hnsw.ef_search;
SHOW enable_indexscan;
SHOW enable_seqscan;
RESET enable_indexscan;

-- Nothing to ask for, or nothing to find and so nothing to miss.
CREATE TABLE few (v vector(2));
CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops);
SELECT ef_search, recall FROM dvec_recall('few_v');
INSERT INTO few VALUES ('[1,2]'), (NULL);
SELECT ef_search, recall FROM dvec_recall('few_v');
INSERT INTO few VALUES ('[1,2]'), ('[3,4]');
SELECT ef_search, recall FROM dvec_recall('few_v');
SELECT ef_search, recall FROM dvec_recall(NULL);

CREATE INDEX by_id ON t (id);
CREATE TABLE parts (v vector(2)) PARTITION BY RANGE (vector_dims(v));
CREATE INDEX parts_v ON parts USING hnsw (v vector_l2_ops);
CREATE INDEX few_again ON few USING hnsw (v vector_l2_ops);
SELECT call, pg_temp.failure('SELECT dvec_recall' || call)
FROM (VALUES ('(''by_id'')'), ('(''t'')'), ('(''parts_v'')'), ('(''by_l2'', 0)'), ('(''by_l2'', 10001)'),
    ('(''by_l2'', 10, 0)'), ('(''by_l2'', 10, 1001)'), ('(''by_nothing'')')
) AS t(call);
-- Of two indexes of a column each is measured alone, and both are compared; others are left out.
SELECT count(*) FROM unnest('{few_v,few_again}'::regclass[]) AS index
WHERE pg_temp.failure(format('SELECT dvec_recall(%L)', index)) LIKE '55000%';
CREATE INDEX by_l2_again ON t USING dvec (v vector_l2_ops) WITH (m = 4);
CREATE INDEX by_l2_part ON t USING hnsw (v vector_l2_ops) WHERE id % 2 = 0;
SELECT compared, setting, min(value), max(recall) > 0.99 AS found, bool_and(milliseconds > 0) AS timed,
    min(plan) ~ ('Index Scan using ' || compared || ' on t  \(cost=') AS planned
FROM dvec_compare('by_l2', 20) GROUP BY compared, setting ORDER BY compared::text;
SELECT DISTINCT compared FROM dvec_compare('by_l2_part', 20);
SELECT * FROM dvec_compare(NULL);
SELECT pg_temp.failure('SELECT dvec_compare(''by_id'')');
SHOW dvec.measured_index;
SELECT pg_temp.failure('SET dvec.measured_index = ''by_l2''');

-- Whoever may read the table may ask.
CREATE ROLE hnsw_recall_nobody;
SET ROLE hnsw_recall_nobody;
SELECT pg_temp.failure('SELECT dvec_recall(''few_v'')');
RESET ROLE;
DROP ROLE hnsw_recall_nobody;
DROP TABLE t, few, parts;
