-- Compact indexes of rows that differ by less than their bits tell: near copies, and clusters.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/both_ways.sql'
\i :include
CREATE TABLE centres AS SELECT k, array_agg(6 * random() ORDER BY j) AS a
FROM (SELECT setseed(0.3)) AS seed, generate_series(1, 8) AS k, generate_series(1, 64) AS j GROUP BY k;
CREATE TABLE copies (id integer PRIMARY KEY, v vector(64)) WITH (autovacuum_enabled = off);
CREATE TABLE clusters (LIKE copies INCLUDING ALL) WITH (autovacuum_enabled = off);
INSERT INTO copies SELECT i, array_agg(x + 0.001 * (random() - 0.5) ORDER BY at)::vector(64)
FROM generate_series(1, 960) AS i JOIN centres ON k = 1 + i % 8, unnest(a) WITH ORDINALITY AS of (x, at) GROUP BY i;
INSERT INTO clusters SELECT i, array_agg(x + random() - 0.5 ORDER BY at)::vector(64)
FROM generate_series(1, 960) AS i JOIN centres ON k = 1 + i % 8, unnest(a) WITH ORDINALITY AS of (x, at) GROUP BY i;
ANALYZE copies, clusters;

-- The ten nearest rows of some queries: how many come, and the rows that were measured for each.
CREATE FUNCTION found(rows regclass, operator text, OUT hits integer, OUT measured bigint) LANGUAGE plpgsql AS $$
DECLARE
    q text;
    query text := format('SELECT array_agg(d) FROM (SELECT v %2$s $1::vector AS d FROM %1$s ORDER BY 1 LIMIT 10) AS n', rows, operator);
    given float8[];
    wanted float8[];
BEGIN
    hits := 0;
    FOR q IN EXECUTE format('SELECT v::text FROM %s WHERE id %% 96 = 0', rows) LOOP
        SELECT * INTO given, wanted FROM pg_temp.both_ways(query, q);
        hits := hits + (SELECT count(*) FROM unnest(given) AS d WHERE d <= wanted[10]);
    END LOOP;
    SELECT sum(distances) / sum(searches) INTO measured FROM dvec_last_searches() WHERE index = 'by_bits'::regclass;
END $$;
CREATE FUNCTION by_bits(rows regclass, OUT metric text, OUT bits integer, OUT hits integer, OUT all_measured boolean) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    operator text;
    measured bigint;
BEGIN
    FOR metric, operator IN VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>') LOOP
        FOREACH bits IN ARRAY ARRAY[8, 4, 1] LOOP
            EXECUTE format('CREATE INDEX by_bits ON %s USING hnsw (v vector_%s_ops) WITH (storage = compact, bits = %s)', rows, metric, bits);
            SELECT found.hits, found.measured INTO hits, measured FROM found(rows, operator);
            all_measured := measured >= least(current_setting('dvec.ef_search')::integer, 960);
            DROP INDEX by_bits;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

-- Who keeps a candidate for every row misses none, whatever the bits.
SET dvec.ef_search = 960;
SELECT * FROM by_bits('copies');
SELECT * FROM by_bits('clusters');
-- By L1 few bits bound nothing: as many rows are measured as candidates are kept, whether the search walks or not.
SET dvec.ef_search = 50;
SELECT metric, bits, all_measured FROM by_bits('clusters') WHERE metric = 'l1' AND bits < 8;
SET dvec.ef_search = 100;
SELECT metric, bits, all_measured FROM by_bits('clusters') WHERE metric = 'l1' AND bits < 8;
-- With a place for each row of a cluster, its rows are told apart by the table.
SET dvec.ef_search = 240;
SELECT * FROM (SELECT 'copies' AS rows, metric, bits, hits FROM by_bits('copies') UNION ALL SELECT 'clusters', metric, bits, hits FROM by_bits('clusters')) AS n
WHERE hits < 90;
-- With fewer places a search goes on, where what it has read shows that the bits tell the rows of a cluster no better than chance would. How
-- much it finds by that depends on the data, but more than a search that ends with its candidates.
SET dvec.ef_search = 20;
SET hnsw.iterative_scan = off;
CREATE TEMPORARY TABLE candidates AS SELECT * FROM by_bits('copies') WHERE bits < 8;
RESET hnsw.iterative_scan;
SELECT metric, bits, n.hits > c.hits OR n.hits = 100 AS more FROM by_bits('copies') AS n JOIN candidates AS c USING (metric, bits)
ORDER BY metric, bits;
DROP TABLE candidates;
RESET dvec.ef_search;
DROP FUNCTION found, by_bits;
DROP TABLE centres, copies, clusters;
