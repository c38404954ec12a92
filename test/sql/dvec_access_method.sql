-- The access method dvec: hnsw under a name that is free in every database, pgvector's included.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
CREATE TABLE t (id integer, v vector(8), h halfvec(8), s sparsevec(8), b bit(32));
SELECT setseed(0.15);
INSERT INTO t SELECT i, v, v, v, (i * 2654435761 % 4294967296)::bit(32)
FROM (SELECT i, array_agg(random() - 0.5)::vector(8) AS v
    FROM generate_series(1, 500::bigint) AS i, generate_series(1, 8) GROUP BY i) AS drawn;
CREATE INDEX by_l2 ON t USING dvec (v vector_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX by_cosine ON t USING dvec (h halfvec_cosine_ops);
CREATE INDEX by_product ON t USING dvec (s sparsevec_ip_ops) WHERE id > 100;
CREATE INDEX by_bits ON t USING dvec (b bit_jaccard_ops);
SELECT index, state FROM dvec_indexes ORDER BY index::text;

SELECT pg_temp.failure('CREATE INDEX ON t USING dvec (v)');
SELECT pg_temp.failure('CREATE INDEX ON t USING dvec (v vector_l2_ops, h halfvec_l2_ops)');
SELECT pg_temp.failure('CREATE INDEX ON t USING dvec (v vector_l2_ops) WITH (m = 1)');
SELECT pg_temp.failure('CREATE INDEX ON t USING dvec (v vector_l2_ops) WITH (lists = 10)');

-- It has what hnsw has.
SELECT count(DISTINCT d.oid) AS classes, bool_and(amvalidate(d.oid)) AS valid, count(DISTINCT h.oid) AS as_hnsw
FROM pg_opclass d JOIN pg_am a ON a.oid = d.opcmethod AND a.amname = 'dvec'
JOIN pg_amop x ON x.amopfamily = d.opcfamily JOIN pg_amproc p ON p.amprocfamily = d.opcfamily
LEFT JOIN (pg_opclass h JOIN pg_am b ON b.oid = h.opcmethod AND b.amname = 'hnsw'
    JOIN pg_amop y ON y.amopfamily = h.opcfamily JOIN pg_amproc q ON q.amprocfamily = h.opcfamily)
    ON h.opcname = d.opcname AND h.opcintype = d.opcintype AND h.opcdefault = d.opcdefault
    AND y.amopopr = x.amopopr AND q.amproc = p.amproc;

SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id > 100 ORDER BY s <#> '{1:1}/8' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> '[1,1,1,1,1,1,1,1]' < 0.5;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (h <=> '[1,1,1,1,1,1,1,1]') DESC LIMIT 3;
SELECT count(*) FROM dvec_check('by_l2');
SELECT max(recall) >= 0.99 AS found FROM dvec_recall('by_cosine', 20);
REINDEX INDEX by_l2;
SELECT indexdef FROM pg_indexes WHERE indexname = 'by_l2';

-- Settings of dvec go before those of hnsw.
SET hnsw.iterative_scan = off;
SET hnsw.ef_search = 7;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]') AS found;
SET dvec.ef_search = 9;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]') AS found;
SET dvec.iterative_scan = complete;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]') AS found;
SET dvec.iterative_scan = unset;
SET dvec.ef_search = 0;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]') AS found;
SELECT pg_temp.failure('SET dvec.ef_search = 10001');
SELECT pg_temp.failure('SET dvec.iterative_scan = ''sometimes''');
DROP TABLE t;
