-- One distance, by every plan: what an index orders by is what the operator returns, to the last bit,
-- whatever the lengths of vectors, and whichever instruction set measures.
-- Plans without a sequential scan look costly.
SET jit = off;
CREATE TABLE lengths (id integer, v vector(3), h halfvec(3), s sparsevec(40), b bit(150));
-- Of usual lengths; such that squares overflow, lose digits or vanish; and a third of an earlier row, whose
-- cosine differs in the last bits or not at all.
INSERT INTO lengths
SELECT i, v, h, format('{%s:%s,%s:%s,40:%s}/40', i % 13 + 1, (v::real[])[1], i % 11 + 20, (v::real[])[2],
        (v::real[])[3])::sparsevec, b
FROM (SELECT i,
        ARRAY[((i / d) * 7919 % 101 + 1) * f / d, ((i / d) * 104729 % 97 - 48) * f / d,
              ((i / d) * 1299709 % 89 - 44) * f / d]::vector AS v,
        ARRAY[((i / d) * 7919 % 101 + 1) / d, ((i / d) * 104729 % 97 - 48) / d, i % 7]::halfvec AS h,
        (i::bigint * 2654435761 % 4294967296)::bit(32) || (i::bigint * i * 40503 % 4294967296)::bit(32)
            || repeat('1', i % 87)::bit(86) AS b
      FROM generate_series(1, 240) i,
        LATERAL (SELECT (ARRAY[1, 1e20, 1e-20, 1e-40, 1e30, 1e-22, 0.1, 3e8])[i % 8 + 1]::float8 AS f,
            CASE WHEN i % 5 = 0 THEN 3 ELSE 1 END AS d) l) r;
CREATE INDEX ON lengths USING hnsw (v vector_l2_ops);
CREATE INDEX ON lengths USING hnsw (v vector_ip_ops);
CREATE INDEX ON lengths USING hnsw (v vector_cosine_ops);
CREATE INDEX ON lengths USING hnsw (v vector_l1_ops);
CREATE INDEX ON lengths USING hnsw (h halfvec_l2_ops);
CREATE INDEX ON lengths USING hnsw (h halfvec_ip_ops);
CREATE INDEX ON lengths USING hnsw (h halfvec_cosine_ops);
CREATE INDEX ON lengths USING hnsw (h halfvec_l1_ops);
CREATE INDEX ON lengths USING hnsw (s sparsevec_l2_ops);
CREATE INDEX ON lengths USING hnsw (s sparsevec_ip_ops);
CREATE INDEX ON lengths USING hnsw (s sparsevec_cosine_ops);
CREATE INDEX ON lengths USING hnsw (s sparsevec_l1_ops);
CREATE INDEX ON lengths USING hnsw (b bit_hamming_ops);
CREATE INDEX ON lengths USING hnsw (b bit_jaccard_ops);
-- Rows that come after the build.
INSERT INTO lengths SELECT id + 240, v, h, s, b FROM lengths WHERE id % 4 = 1;
ANALYZE lengths;

CREATE TABLE operators (attribute, operator) AS VALUES
    ('v', '<->'), ('v', '<#>'), ('v', '<=>'), ('v', '<+>'), ('h', '<->'), ('h', '<#>'), ('h', '<=>'),
    ('h', '<+>'), ('s', '<->'), ('s', '<#>'), ('s', '<=>'), ('s', '<+>'), ('b', '<~>'), ('b', '<%>');

-- The distances of the nearest rows in the order in which they come, computed by the operator itself.
CREATE FUNCTION pg_temp.nearest(plan text, attribute text, operator text, query integer, wanted integer)
RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
    result float8[];
BEGIN
    PERFORM set_config('enable_indexscan', CASE plan WHEN 'exact' THEN 'off' ELSE 'on' END, true);
    PERFORM set_config('enable_seqscan', CASE plan WHEN 'exact' THEN 'on' ELSE 'off' END, true);
    PERFORM set_config('hnsw.ef_search', '1000', true);
    EXECUTE format('SELECT ARRAY(SELECT %1$s %2$s (SELECT %1$s FROM lengths WHERE id = $1)
        FROM lengths ORDER BY %1$s %2$s (SELECT %1$s FROM lengths WHERE id = $1) LIMIT $2)',
        attribute, operator) INTO result USING query, wanted;
    RETURN result;
END
$$;
-- Doubles are compared as SQL compares them, NaN with NaN included: equal arrays have the same order. By
-- inner product no beam meets the rows that are the answer to hardly any query; they may come late.
CREATE FUNCTION pg_temp.sorted(distances float8[]) RETURNS float8[] LANGUAGE sql AS $$
SELECT array_agg(d ORDER BY d) FROM unnest(distances) d
$$;
CREATE FUNCTION pg_temp.same_rows(attribute text, operator text, query integer)
RETURNS boolean LANGUAGE sql AS $$
SELECT CASE operator WHEN '<#>' THEN pg_temp.sorted(found) ELSE found END
    = pg_temp.nearest('exact', attribute, operator, query, 400)
FROM pg_temp.nearest('index', attribute, operator, query, 400) found
$$;
SELECT attribute, operator, count(*) AS queries,
    count(*) FILTER (WHERE pg_temp.same_rows(attribute, operator, query)) AS all_rows,
    count(*) FILTER (WHERE pg_temp.nearest('exact', attribute, operator, query, 20)
        = pg_temp.nearest('index', attribute, operator, query, 20)) AS nearest
FROM operators, generate_series(1, 8, 2) query GROUP BY attribute, operator ORDER BY attribute, operator;

-- What the planner puts on top of the order: groups, and a second key.
CREATE FUNCTION pg_temp.grouped(plan text, attribute text, operator text, query integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('enable_indexscan', CASE plan WHEN 'exact' THEN 'off' ELSE 'on' END, true);
    PERFORM set_config('enable_seqscan', CASE plan WHEN 'exact' THEN 'on' ELSE 'off' END, true);
    PERFORM set_config('enable_hashagg', 'off', true);
    PERFORM set_config('hnsw.ef_search', '1000', true);
    EXECUTE format('SELECT md5(string_agg(d || '' '' || n, '','')) || md5((
            SELECT string_agg(id::text, '','') FROM (SELECT id FROM lengths
            ORDER BY %1$s %2$s (SELECT %1$s FROM lengths WHERE id = $1), id) o))
        FROM (SELECT %1$s %2$s (SELECT %1$s FROM lengths WHERE id = $1) AS d, count(*) AS n
            FROM lengths GROUP BY d ORDER BY d) g', attribute, operator)
    INTO result USING query;
    RETURN result;
END
$$;
SELECT attribute, operator, count(*) FILTER (WHERE pg_temp.grouped('exact', attribute, operator, query)
    = pg_temp.grouped('index', attribute, operator, query)) AS same
FROM operators, generate_series(1, 8, 3) query WHERE operator <> '<#>' GROUP BY attribute, operator ORDER BY attribute, operator;

-- Built under one instruction set, searched under another.
SET dvec.simd = 'scalar';
SELECT attribute, operator,
    count(*) FILTER (WHERE pg_temp.same_rows(attribute, operator, query)) AS all_rows
FROM operators, generate_series(1, 8, 3) query GROUP BY attribute, operator ORDER BY attribute, operator;
RESET dvec.simd;

-- A query that points nowhere is as far from every row; so is none.
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id), min(d), max(d)
FROM (SELECT id, v <=> '[0,0,0]' AS d FROM lengths ORDER BY v <=> '[0,0,0]') n;
SELECT count(*), count(DISTINCT id)
FROM (SELECT id FROM lengths ORDER BY s <=> (SELECT NULL::sparsevec)) n;
RESET enable_seqscan;

-- Codes: more dimensions, near neighbours.
CREATE TABLE coded (id integer, v vector(160));
INSERT INTO coded SELECT i, array_agg((sin(i / 7 * d) + sin(i * d) / 50) * l ORDER BY d)
FROM generate_series(1, 350) i, generate_series(1, 160) d,
    LATERAL (SELECT (ARRAY[1, 1, 1, 1e-15, 1e15, 1e-20, 1e19])[i % 7 + 1]::float8 AS l) l GROUP BY i;
CREATE INDEX ON coded USING hnsw (v vector_l2_ops);
CREATE INDEX ON coded USING hnsw (v vector_ip_ops);
CREATE INDEX ON coded USING hnsw (v vector_cosine_ops);
CREATE FUNCTION pg_temp.coded(plan text, operator text, query integer)
RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
    result float8[];
BEGIN
    PERFORM set_config('enable_indexscan', CASE plan WHEN 'exact' THEN 'off' ELSE 'on' END, true);
    PERFORM set_config('enable_seqscan', CASE plan WHEN 'exact' THEN 'on' ELSE 'off' END, true);
    PERFORM set_config('hnsw.ef_search', '1000', true);
    EXECUTE format('SELECT ARRAY(SELECT v %1$s (SELECT v FROM coded WHERE id = $1) FROM coded
        ORDER BY v %1$s (SELECT v FROM coded WHERE id = $1))', operator) INTO result USING query;
    RETURN result;
END
$$;
SELECT operator, count(*) FILTER (WHERE pg_temp.coded('exact', operator, query)
    = CASE operator WHEN '<#>' THEN pg_temp.sorted(pg_temp.coded('index', operator, query))
        ELSE pg_temp.coded('index', operator, query) END) AS all_rows
FROM (VALUES ('<->'), ('<#>'), ('<=>')) o(operator), generate_series(1, 7) query
GROUP BY operator ORDER BY operator;
DROP TABLE lengths, operators, coded;
