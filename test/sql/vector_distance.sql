-- Distance operators and functions. The elements are small whole numbers, whose sums are exact in
-- float whatever the order of summation, so every processor must print the same.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT a, b, a <-> b AS l2, a <#> b AS negative_ip, a <=> b AS cosine, a <+> b AS l1
FROM (VALUES
    ('[0,0]'::vector, '[3,4]'::vector), ('[4,3]', '[3,4]'), ('[1,2]', '[1,2]'), ('[3,0]', '[0,2]'),
    ('[3,4]', '[-3,-4]'), ('[1]', '[-1]'), ('[0,0]', '[0,0]')
) AS t(a, b);

-- Each operator is its function, and the functions for operator classes agree with them.
SELECT l2_distance(a, b) = a <-> b AS l2, vector_l2_squared_distance(a, b) AS squared,
       inner_product(a, b) = -(a <#> b) AS ip,
       vector_negative_inner_product(a, b) = a <#> b AS negative_ip,
       cosine_distance(a, b) = a <=> b AS cosine, l1_distance(a, b) = a <+> b AS l1
FROM (SELECT '[1,-2,3]'::vector AS a, '[4,5,-6]'::vector AS b) s;
SELECT oprname, oprcom::regoperator FROM pg_operator
WHERE oprleft = 'vector'::regtype AND oprname IN ('<->', '<#>', '<=>', '<+>')
ORDER BY oprname COLLATE "C";

-- Every length around the width of a register, and a long one, against sums done in SQL.
CREATE TEMPORARY TABLE pairs AS
SELECT n, array_agg(i * 37 % 11 - 5 ORDER BY i) AS a, array_agg(i * 53 % 13 - 6 ORDER BY i) AS b
FROM (SELECT generate_series(1, 67) UNION ALL VALUES (768), (1536), (16000)) AS lengths(n),
     generate_series(1, n) i
GROUP BY n;
CREATE TEMPORARY TABLE sums AS
SELECT n, sum((x - y) ^ 2) AS l2, sum(x * y) AS ip, sum(abs(x - y)) AS l1,
       sum(x * x) AS xx, sum(y * y) AS yy
FROM pairs, unnest(a::float8[], b::float8[]) AS u(x, y) GROUP BY n;
SELECT count(*) AS lengths,
       count(*) FILTER (WHERE vector_l2_squared_distance(v, w) = l2) AS squared,
       count(*) FILTER (WHERE v <-> w = sqrt(l2)) AS l2,
       count(*) FILTER (WHERE v <#> w = -ip) AS negative_ip,
       count(*) FILTER (WHERE v <+> w = l1) AS l1,
       count(*) FILTER (WHERE abs((v <=> w) - (1 - ip / sqrt(xx * yy))) < 1e-12) AS cosine,
       count(*) FILTER (WHERE v <-> v = 0 AND v <=> v = 0 AND v <+> v = 0) AS self,
       count(*) FILTER (WHERE v <-> w = w <-> v AND v <=> w = w <=> v AND v <#> w = w <#> v
                          AND v <+> w = w <+> v) AS symmetric
FROM sums JOIN (SELECT n, a::vector AS v, b::vector AS w FROM pairs) AS vectors USING (n);

-- A cosine distance stays between 0 and 2, whatever the scale.
SELECT '[1,1]'::vector <=> '[3,3]' AS same, '[1,1]'::vector <=> '[-3,-3]' AS opposite;
SELECT bool_and(d >= 0 AND d <= 2) FROM
    (SELECT ARRAY[i, i / 3.0, 1.0 / i]::vector
                <=> ARRAY[i * s, s * i / 3.0, s * 1.0 / i]::vector AS d
     FROM generate_series(1, 1000) i, (VALUES (1), (-1), (7)) AS signs(s)) t;

-- What float cannot hold becomes infinite, and a cosine without meaning NaN; neither fails.
SELECT '[3e38]'::vector <-> '[-3e38]' AS l2, '[3e38]'::vector <+> '[-3e38]' AS l1,
       inner_product('[3e38]'::vector, '[3e38]') AS ip,
       '[3e38]'::vector <#> '[3e38]' AS negative_ip;
SELECT '[1,2]'::vector <=> '[0,0]' AS zero, '[0]'::vector <=> '[0]' AS zeros,
       '[3e38]'::vector <=> '[3e38]' AS too_long, '[1e-30]'::vector <=> '[1e-30]' AS too_short;
SELECT v FROM (VALUES ('[0,0]'::vector), ('[1,0]'), ('[0,1]')) AS t(v) ORDER BY v <=> '[1,0]';

-- The angle between unit vectors, 0 to 1; longer ones are taken for unit vectors.
SELECT a, b, round(vector_spherical_distance(a, b)::numeric, 6) AS angle
FROM (VALUES ('[1,0]'::vector, '[1,0]'::vector), ('[1,0]', '[0,1]'), ('[1,0]', '[-1,0]'),
             ('[1,0]', '[0.5,0.8660254]'), ('[5,0]', '[5,0]'), ('[5,0]', '[-5,0]')) AS t(a, b);

-- Only vectors of the same length have a distance.
SELECT call, pg_temp.failure('SELECT ' || call) FROM (VALUES
    ($$'[1,2]'::vector <-> '[3]'$$),
    ($$'[1,2]'::vector <#> '[3]'$$),
    ($$'[1]'::vector <=> '[2,3]'$$),
    ($$'[1,2]'::vector <+> '[1,2,3]'$$),
    ($$l2_distance('[1,2]'::vector, '[3]')$$),
    ($$inner_product('[1,2]'::vector, '[3]')$$),
    ($$cosine_distance('[1,2]'::vector, '[3]')$$),
    ($$l1_distance('[1,2]'::vector, '[3]')$$),
    ($$vector_l2_squared_distance('[1,2]', '[3]')$$),
    ($$vector_negative_inner_product('[1,2]', '[3]')$$),
    ($$vector_spherical_distance('[1,2]', '[3]')$$)
) AS t(call);
SELECT '[1]'::vector <-> NULL IS NULL AS l2, NULL::vector <=> '[1]' IS NULL AS cosine;

-- Exact nearest neighbours, which need no index.
CREATE TEMPORARY TABLE items AS
SELECT i AS id, ARRAY[i % 10, i / 10]::vector AS v FROM generate_series(0, 99) i;
SELECT id, v <-> '[4,7]' AS distance FROM items ORDER BY v <-> '[4,7]', id LIMIT 3;
SELECT id FROM items ORDER BY v <#> '[1,1]', id LIMIT 2;
SELECT id FROM items ORDER BY v <+> '[9,9]', id LIMIT 3;
