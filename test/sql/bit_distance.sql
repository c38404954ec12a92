-- Distances of bit strings.
\getenv sources PG_ABS_SRCDIR
\set include :sources '/sql/include/failure.sql'
\i :include

SELECT a, b, a <~> b AS hamming, a <%> b AS jaccard FROM (VALUES
    (B'111', B'111'), (B'111', B'110'), (B'111', B'000'), (B'000', B'000'), (B'1010', B'0101'),
    (B'1100', B'1000'), (B'', B''), (B'10000000000000001', B'10000000000000000')
) AS t(a, b);
SELECT hamming_distance(B'1100', B'1010') AS hamming, jaccard_distance(B'1100', B'1010') AS jaccard,
       hamming_distance(B'11'::varbit, B'10'::varbit) AS varbit;
SELECT pg_temp.failure($$SELECT B'111' <~> B'11'$$), pg_temp.failure($$SELECT B'111' <%> B'1111'$$);

-- Every length around the width of a register, and long ones, against the server's own counting.
SELECT count(*) AS lengths, count(*) FILTER (WHERE a <~> b = bit_count(a # b)) AS hamming,
       count(*) FILTER (WHERE a <%> b = CASE bit_count(a & b) WHEN 0 THEN 1
                              ELSE 1 - bit_count(a & b)::float8 / bit_count(a | b) END) AS jaccard,
       count(*) FILTER (WHERE a <~> b = b <~> a AND a <%> b = b <%> a AND a <~> a = 0) AS symmetric
FROM (SELECT n, string_agg(((i % 1009 * (i % 1013) * 7 + n) % 5 / 3)::text, '' ORDER BY i)::varbit AS a,
             string_agg(((i * 11 + i / 9) % 3 / 2)::text, '' ORDER BY i)::varbit AS b
      FROM (SELECT generate_series(1, 600) UNION ALL VALUES (4096), (64001)) l(n),
           generate_series(1, n) i
      GROUP BY n) s;

-- Quantised vectors compare by the signs of their elements.
SELECT binary_quantize('[1,-1,2]'::vector) <~> binary_quantize('[1,1,-2]'::halfvec) AS signs;
