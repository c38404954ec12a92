-- Columns behind the vector: conditions on them are checked inside the search.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include
\set include :sources '/sql/include/compare.sql'
\i :include
CREATE TYPE mood AS ENUM ('sad', 'happy');
ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy';
CREATE DOMAIN cents AS integer;
CREATE TABLE items (id integer, v vector(3), tenant integer, price numeric, sold boolean, made timestamptz,
    label text, kind mood, tags text[], cost cents, key uuid);
INSERT INTO items
SELECT i, CASE WHEN i % 97 = 0 THEN NULL ELSE ARRAY[i % 7, (i * i) % 11, (i / 7) % 5]::vector END,
    nullif(i % 10, 9), (i % 40) / 4.0, i % 3 = 0, '2024-01-01'::timestamptz + i * interval '1 hour',
    'label ' || i % 6, (ARRAY['sad', 'ok', 'happy', NULL])[1 + i % 4]::mood,
    CASE i % 5 WHEN 0 THEN '{}' WHEN 1 THEN NULL WHEN 2 THEN ARRAY['red', NULL]
        ELSE ARRAY['red', 'blue', 'n' || i % 3] END,
    i % 13, ('00000000-0000-0000-0000-00000000000' || i % 7)::uuid
FROM generate_series(1, 1200) i;
CREATE TABLE items_plain AS SELECT * FROM items;
CREATE INDEX items_idx ON items USING hnsw (v vector_l2_ops, tenant, price, sold, made, label, kind, tags, cost);
VACUUM ANALYZE items, items_plain;

-- Whether all conditions but those on the distance are the index's.
CREATE FUNCTION pg_temp.checked_by_index(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    node text;
    found boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        node := coalesce(substring(line FROM '-> +(.*)'), node);
        found := found OR line LIKE '%Index Cond: %';
        IF node LIKE 'Index Scan %' AND line LIKE '% Filter: %' AND line NOT LIKE '%<->%' THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN found;
END
$$;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT condition, pg_temp.checked_by_index(format('SELECT id FROM items WHERE %s ORDER BY v <-> ''[3,5,1]''', condition)) AS index,
    (pg_temp.compared('items', format('SELECT v <-> ''[3,5,1]'', count(*) FROM (SELECT * FROM {t} WHERE %s AND v IS NOT NULL
        ORDER BY v <-> ''[3,5,1]'' OFFSET 0) s GROUP BY 1 ORDER BY 1', condition))).answer
FROM (VALUES ('tenant = 3'), ('3 = tenant'), ('tenant = 3::bigint'), ('tenant < 3::smallint'), ('3 > tenant'),
    ('tenant BETWEEN 2 AND 4'), ('tenant IN (1, 5, NULL)'), ('tenant = ANY (''{}'')'), ('tenant = ANY (NULL)'),
    ('tenant < ANY (''{2,4}'')'), ('tenant IS NULL'), ('tenant IS NOT NULL'), ('tenant = NULL::integer'),
    ('tenant = 3 AND tenant > 4'), ('price = 2.25'), ('price > 9.5'), ('price < 1e300'), ('sold'), ('NOT sold'),
    ('sold = false'), ('sold IS TRUE'), ('made < ''2024-01-05'''), ('made >= ''2024-01-05''::date'),
    ('made < ''2024-01-05''::timestamp'), ('label = ''label 3'''), ('label > ''label 3'''), ('label < ''label'''),
    ('kind = ''ok'''), ('kind < ''happy'''), ('kind >= ''ok'''), ('tags @> ''{red}'''), ('tags @> ''{red,n1}'''),
    ('tags @> ''{}'''), ('tags @> ''{NULL}'''), ('tags && ''{n1,none}'''), ('tags && ''{}'''),
    ('tags <@ ''{red,blue,n2}'''), ('tags <@ ''{red}'''), ('tags = ''{}'''), ('tags IS NULL'), ('cost = 12'),
    ('cost = 12::bigint'), ('tenant = 3 AND price < 5 AND sold AND label = ''label 3'''),
    ('tenant <> 3'), ('tenant = 3 OR sold'), ('tenant + 1 = 3'), ('label = ''label 3'' COLLATE "POSIX"')
) AS t (condition);

-- With a LIMIT, a threshold, another order, and a threshold alone.
SELECT pg_temp.checked_by_index(replace(query, '{t}', 'items')) AS index, (pg_temp.compared('items', query)).* FROM (VALUES
    ('SELECT v <-> ''[3,5,1]'' FROM {t} WHERE tenant = 3 AND sold ORDER BY v <-> ''[3,5,1]'' LIMIT 4'),
    ('SELECT v <-> ''[3,5,1]'' FROM {t} WHERE tenant IN (3, 4) AND v <-> ''[3,5,1]'' < 2 ORDER BY v <-> ''[3,5,1]'' LIMIT 30'),
    ('SELECT 1 - (v <-> ''[3,5,1]'') AS s FROM {t} WHERE tenant IN (3, 4) AND v IS NOT NULL ORDER BY s DESC LIMIT 6'),
    ('SELECT count(*) FROM {t} WHERE tenant IN (3, 4) AND v <-> ''[3,5,1]'' < 2')
) AS t (query);

-- Parameters: of a prepared query, and of another table's row.
SET plan_cache_mode = force_generic_plan;
PREPARE nearest (integer, integer[]) AS
    SELECT v <-> '[3,5,1]' AS d FROM items WHERE tenant = $1 AND cost = ANY ($2) ORDER BY v <-> '[3,5,1]' LIMIT 3;
SELECT pg_temp.checked_by_index('EXECUTE nearest (3, ''{1,2}'')');
EXECUTE nearest (3, '{1,2}');
EXECUTE nearest (4, '{2,NULL}');
EXECUTE nearest (NULL, '{2}');
EXECUTE nearest (4, NULL);
DEALLOCATE nearest;
RESET plan_cache_mode;
CREATE TABLE tenants (id integer, q vector(3));
INSERT INTO tenants VALUES (1, '[0,0,0]'), (3, '[3,5,1]'), (NULL, '[1,1,1]'), (8, NULL);
SELECT pg_temp.checked_by_index($$SELECT * FROM tenants CROSS JOIN LATERAL (SELECT items.id FROM items
    WHERE tenant = tenants.id ORDER BY v <-> q LIMIT 2) n$$);
SELECT tenants.id, d FROM tenants CROSS JOIN LATERAL (SELECT v <-> q AS d FROM items
    WHERE tenant = tenants.id AND v IS NOT NULL ORDER BY v <-> q LIMIT 2) n ORDER BY 1, 2;
SELECT tenants.id, count(*) FROM tenants JOIN items ON tenant = tenants.id AND v <-> q < 2 GROUP BY 1 ORDER BY 1;

-- New versions of a row have keys of their own, also when only such a column changes.
UPDATE items SET tenant = 77 WHERE id = 100;
UPDATE items SET tags = '{new}' WHERE id = 101;
DELETE FROM items WHERE id = 102;
SELECT id FROM items WHERE tenant = 77 ORDER BY v <-> '[3,5,1]';
SELECT id FROM items WHERE tags @> '{new}' ORDER BY v <-> '[3,5,1]';
SELECT count(*) FROM (SELECT FROM items WHERE tenant = 100 % 10 ORDER BY v <-> '[3,5,1]' OFFSET 0) s;
VACUUM items;
SELECT * FROM dvec_check('items_idx');
REINDEX INDEX items_idx;
SELECT id FROM items WHERE tenant = 77 ORDER BY v <-> '[3,5,1]';

-- Without an order there is nothing to find in the index, nor where the vector is missing.
EXPLAIN (COSTS off) SELECT count(*) FROM items WHERE tenant = 3;
RESET enable_seqscan;
SELECT count(*) FROM (SELECT FROM items WHERE v IS NULL AND tenant = 3 ORDER BY v <-> '[3,5,1]' OFFSET 0) s;
SET enable_seqscan = off;

-- Where a session has switched index scans off, rows are found exactly, even where a search takes less.
RESET enable_seqscan; RESET enable_sort;
CREATE TABLE many AS SELECT id, ARRAY[id % 101, id % 103, id % 107]::vector(3) AS v, id AS price FROM generate_series(1, 6000) id;
CREATE INDEX ON many USING hnsw (v vector_l2_ops, price);
ANALYZE many;
EXPLAIN (COSTS off) SELECT id FROM many WHERE price < 3000 ORDER BY v <-> '[3,5,1]' LIMIT 3;
SET enable_indexscan = off;
EXPLAIN (COSTS off) SELECT id FROM many WHERE price < 3000 ORDER BY v <-> '[3,5,1]' LIMIT 3;
EXPLAIN (COSTS off) SELECT id FROM many WHERE price < 3000 AND v <-> '[3,5,1]' < 9 ORDER BY v <-> '[3,5,1]' LIMIT 3;
EXPLAIN (COSTS off) SELECT count(*) FROM many WHERE v <-> '[3,5,1]' < 9;
RESET enable_indexscan;
DROP TABLE many;
SET enable_seqscan = off; SET enable_sort = off;

-- Row security: a policy's conditions are the index's when their operators leak nothing.
CREATE ROLE filter_tenant;
CREATE TABLE secured (id integer, v vector(3), tenant integer, label text);
INSERT INTO secured SELECT id, v, tenant, label FROM items;
CREATE INDEX ON secured USING hnsw (v vector_l2_ops, tenant, label);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secured USING (tenant = current_setting('filter.tenant')::integer);
GRANT SELECT ON secured TO filter_tenant;
ANALYZE secured;
SET ROLE filter_tenant;
SET filter.tenant = 5;
SELECT pg_temp.checked_by_index('SELECT id FROM secured ORDER BY v <-> ''[3,5,1]'' LIMIT 3');
SELECT DISTINCT tenant FROM (SELECT tenant FROM secured ORDER BY v <-> '[3,5,1]' LIMIT 30) s;
SELECT count(*) FROM (SELECT FROM secured WHERE label = 'label 3' ORDER BY v <-> '[3,5,1]' OFFSET 0) s;
RESET ROLE;
SELECT count(*) FROM items_plain WHERE tenant = 5 AND label = 'label 3' AND v IS NOT NULL;
DROP TABLE secured;
DROP ROLE filter_tenant;

-- Partitions, partial indexes and expressions.
CREATE TABLE parts (id integer, v vector(3), tenant integer, made date) PARTITION BY LIST (tenant);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN (0, 1, 2, 3, 4);
CREATE TABLE parts_b PARTITION OF parts DEFAULT;
CREATE INDEX ON parts USING hnsw (v vector_l2_ops, made, (id % 4)) WHERE id > 10;
INSERT INTO parts SELECT id, v, tenant, made FROM items;
CREATE TABLE parts_plain AS SELECT * FROM parts;
ANALYZE parts;
SELECT pg_temp.checked_by_index(replace(query, '{t}', 'parts')) AS index, (pg_temp.compared('parts', query)).* FROM (VALUES
    ('SELECT v <-> ''[3,5,1]'' FROM {t} WHERE made < ''2024-01-20'' AND id % 4 = 1 AND id > 10 AND v IS NOT NULL
        ORDER BY v <-> ''[3,5,1]'' LIMIT 10'),
    ('SELECT v <-> ''[3,5,1]'' FROM {t} WHERE made < ''2024-01-20'' AND tenant = 7 AND id > 10 AND v IS NOT NULL
        ORDER BY v <-> ''[3,5,1]'' LIMIT 10')
) AS t (query);

-- What no index can have.
CREATE TABLE refused (v vector(3), w vector(3), i integer, j json, p point[]);
SELECT columns, pg_temp.failure('CREATE INDEX ON refused USING hnsw ' || columns) FROM (VALUES
    ('(i)'), ('(i, v vector_l2_ops)'), ('(v vector_l2_ops, w vector_l2_ops)'), ('(v vector_l2_ops) INCLUDE (i)'),
    ('(v vector_l2_ops, j)'), ('(v vector_l2_ops, p)'), ('(v vector_l2_ops, i, i, i, i, i, i, i, i, i)'),
    ('(v vector_l2_ops, i, i, i, i, i, i, i, i)')) AS t (columns);
DROP TABLE items, items_plain, tenants, parts, parts_plain, refused;
DROP TYPE mood;
DROP DOMAIN cents;
