-- VectorSearch: what a query makes of rows in order of distance is right whatever it is. Each query is answered
-- through the index and without it.
CREATE TABLE items (id integer PRIMARY KEY, kind integer, v vector(4));
-- Some distances occur many times, and some rows have no place in the index.
INSERT INTO items
SELECT i, i % 500, CASE WHEN i % 300 = 0 THEN NULL
    ELSE ARRAY[i % 7, (i * i) % 11, i % 3, (i / 7) % 5]::vector END FROM generate_series(1, 3000) i;
CREATE INDEX items_v_idx ON items USING hnsw (v vector_l2_ops);
CREATE TABLE tags (item integer, tag text);
INSERT INTO tags SELECT i, 'tag ' || i % 3 FROM generate_series(1, 3000, 40) i;
VACUUM ANALYZE items, tags;

-- The answer as one text, and whether the plan has the node.
CREATE FUNCTION pg_temp.answer(query text, index boolean, OUT answer text, OUT searched boolean)
LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    PERFORM set_config('enable_indexscan', CASE WHEN index THEN 'on' ELSE 'off' END, true),
        set_config('enable_seqscan', CASE WHEN index THEN 'off' ELSE 'on' END, true),
        set_config('enable_hashagg', CASE WHEN index THEN 'off' ELSE 'on' END, true),
        set_config('enable_hashjoin', CASE WHEN index THEN 'off' ELSE 'on' END, true);
    searched := false;
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        searched := searched OR line LIKE '%(VectorSearch)%';
    END LOOP;
    EXECUTE format('SELECT string_agg(q::text, '' '') FROM (%s) q', query) INTO answer;
END
$$;
CREATE FUNCTION pg_temp.compare(query text, OUT searched boolean, OUT same boolean)
LANGUAGE plpgsql AS $$
DECLARE
    with_index record := pg_temp.answer(query, true);
    without record := pg_temp.answer(query, false);
BEGIN
    searched := with_index.searched;
    same := with_index.answer IS NOT DISTINCT FROM without.answer;
    IF NOT same THEN
        RAISE NOTICE E'with the index: %\nwithout: %', with_index.answer, without.answer;
    END IF;
END
$$;
-- Whether the index is cheaper for two of these is for the planner to say, and its versions differ.
SELECT name, CASE WHEN name NOT IN ('union', 'join below limit') THEN searched END AS searched, same
FROM (VALUES
('grouping', $$SELECT v <-> '[3,5,1,2]' AS d, count(*) FROM items GROUP BY v <-> '[3,5,1,2]' ORDER BY d$$),
('distinct', $$SELECT DISTINCT v <-> '[3,5,1,2]' AS d FROM items ORDER BY d$$),
('distinct on', $$SELECT DISTINCT ON (v <-> '[3,5,1,2]') v <-> '[3,5,1,2]' AS d FROM items ORDER BY v <-> '[3,5,1,2]'$$),
('rank', $$SELECT d, r FROM (SELECT v <-> '[3,5,1,2]' AS d, rank() OVER (ORDER BY v <-> '[3,5,1,2]') AS r
    FROM items) s ORDER BY d, r$$),
('running count', $$SELECT d, max(c) FROM (SELECT v <-> '[3,5,1,2]' AS d,
    count(*) OVER (ORDER BY v <-> '[3,5,1,2]') AS c FROM items) s GROUP BY d ORDER BY d$$),
('ties', $$SELECT count(*), max(d) FROM (SELECT v <-> '[3,5,1,2]' AS d FROM items
    ORDER BY v <-> '[3,5,1,2]' FETCH FIRST 5 ROWS WITH TIES) s$$),
('minimum', $$SELECT min(v <-> '[3,5,1,2]') FROM items$$),
('merge join', $$SELECT a.id, b.id AS other FROM items a JOIN items b ON a.v <-> '[3,5,1,2]' = b.v <-> '[3,5,1,2]'
    WHERE a.id < 30 AND b.id < 30 ORDER BY a.v <-> '[3,5,1,2]', a.id, b.id$$),
('full join', $$SELECT count(*), count(x.d), count(y.d) FROM (SELECT v <-> '[3,5,1,2]' AS d FROM items WHERE id < 90) x
    FULL JOIN (SELECT v <-> '[3,5,1,2]' AS d FROM items WHERE id > 60 AND id < 120) y ON x.d = y.d$$),
('union', $$SELECT v <-> '[3,5,1,2]' AS d FROM items UNION SELECT 0.5 ORDER BY d$$),
('everything', $$SELECT v <-> '[3,5,1,2]' AS d FROM items WHERE v IS NOT NULL ORDER BY v <-> '[3,5,1,2]'$$),
('grouped subquery', $$SELECT d, count(*) FROM (SELECT v <-> '[3,5,1,2]' AS d FROM items
    ORDER BY v <-> '[3,5,1,2]' LIMIT 2500) s GROUP BY d ORDER BY d$$),
('large limit', $$SELECT v <-> '[3,5,1,2]' AS d FROM items ORDER BY v <-> '[3,5,1,2]' LIMIT 1500$$),
('large offset', $$SELECT v <-> '[3,5,1,2]' AS d FROM items ORDER BY v <-> '[3,5,1,2]' LIMIT 5 OFFSET 1500$$),
('limit that cannot be filled', $$SELECT id FROM items WHERE kind = 77 ORDER BY v <-> '[3,5,1,2]', id LIMIT 10$$),
('limit that cannot be filled, plain', $$SELECT v <-> '[3,5,1,2]' AS d FROM items WHERE kind % 500 = 77
    ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$),
('nothing passes', $$SELECT id FROM items WHERE kind % 500 = 777 ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$),
('join below limit', $$SELECT v <-> '[3,5,1,2]' AS d FROM items JOIN tags ON item = id
    ORDER BY v <-> '[3,5,1,2]' LIMIT 10$$),
('rows without a place in the index', $$SELECT id FROM items WHERE kind % 300 = 0 AND id % 2 = 0
    ORDER BY v <-> '[3,5,1,2]', id LIMIT 30$$),
('lateral', $$SELECT t.item, n.d FROM tags t, LATERAL (SELECT v <-> (SELECT v FROM items i WHERE i.id = t.item) AS d
    FROM items WHERE kind <> 3 ORDER BY v <-> (SELECT v FROM items i WHERE i.id = t.item) LIMIT 2) n
    WHERE t.tag = 'tag 1' ORDER BY 1, 2$$)
) AS q(name, query), pg_temp.compare(query);
DROP TABLE items, tags;
