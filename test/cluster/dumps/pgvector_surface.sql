-- Every operator class, option and setting of pgvector 0.8, and its functions wherever a schema can
-- hold one, as pg_dump --create writes them there, without its comments. test_310_migration.py restores it.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C';
ALTER DATABASE shop OWNER TO postgres;
\connect shop
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
ALTER DATABASE shop SET "hnsw.iterative_scan" TO 'strict_order';
ALTER DATABASE shop SET "hnsw.max_scan_tuples" TO '30000';
ALTER DATABASE shop SET "hnsw.scan_mem_multiplier" TO '2';
ALTER DATABASE shop SET "ivfflat.probes" TO '10';
ALTER DATABASE shop SET "ivfflat.max_probes" TO '20';
ALTER ROLE searcher IN DATABASE shop SET "ivfflat.iterative_scan" TO 'relaxed_order';
ALTER ROLE searcher IN DATABASE shop SET "hnsw.iterative_scan" TO 'off';
\connect shop
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods';
CREATE FUNCTION public.near(query public.vector, how_many integer DEFAULT 3) RETURNS TABLE(id integer, distance double precision)
    LANGUAGE plpgsql STABLE
    SET "hnsw.ef_search" TO '500'
    SET "ivfflat.probes" TO '5'
    AS $$
BEGIN
    RETURN QUERY SELECT p.id, p.v <=> query FROM points p ORDER BY p.v <=> query LIMIT how_many;
END $$;
ALTER FUNCTION public.near(query public.vector, how_many integer) OWNER TO postgres;
CREATE AGGREGATE public.average(public.vector) (
    SFUNC = public.vector_accum,
    STYPE = double precision[],
    INITCOND = '{0}',
    FINALFUNC = public.vector_avg
);
ALTER AGGREGATE public.average(public.vector) OWNER TO postgres;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.points (
    id integer NOT NULL,
    v public.vector(4),
    h public.halfvec(4),
    s public.sparsevec(6),
    b bit(6),
    length double precision GENERATED ALWAYS AS (public.vector_norm(v)) STORED,
    half_length double precision GENERATED ALWAYS AS (public.l2_norm(h)) STORED,
    sparse_length double precision GENERATED ALWAYS AS (public.l2_norm(s)) STORED,
    head public.vector(2) GENERATED ALWAYS AS (public.subvector(v, 1, 2)) STORED,
    half_tail public.halfvec(3) GENERATED ALWAYS AS (public.subvector(h, 2, 3)) STORED,
    unit public.sparsevec(6) GENERATED ALWAYS AS (public.l2_normalize(s)) STORED,
    twice public.vector(8) GENERATED ALWAYS AS ((v OPERATOR(public.||) v)) STORED,
    squares public.halfvec(4) GENERATED ALWAYS AS ((((h OPERATOR(public.*) h) OPERATOR(public.-) h) OPERATOR(public.+) h)) STORED,
    floats real[] GENERATED ALWAYS AS ((v)::real[]) STORED,
    as_half public.halfvec(4) GENERATED ALWAYS AS ((v)::public.halfvec) STORED,
    as_sparse public.sparsevec(4) GENERATED ALWAYS AS ((h)::public.sparsevec) STORED,
    signs bit(4) GENERATED ALWAYS AS ((public.binary_quantize(h))::bit(4)) STORED,
    from_array public.vector(3) DEFAULT (ARRAY[(1)::numeric, 2.5, (3)::numeric])::public.vector,
    CONSTRAINT points_h_check CHECK ((h OPERATOR(public.>) '[-100,-100,-100,-100]'::public.halfvec)),
    CONSTRAINT points_h_check1 CHECK ((public.vector_dims(h) = 4)),
    CONSTRAINT points_s_check CHECK ((s OPERATOR(public.>=) '{}/6'::public.sparsevec)),
    CONSTRAINT points_v_check CHECK ((v OPERATOR(public.<>) '[0,0,0,0]'::public.vector))
);
ALTER TABLE public.points OWNER TO postgres;
CREATE VIEW public.functions AS
 SELECT points.id,
    public.l2_distance(points.v, '[1,2,3,4]'::public.vector) AS a,
    public.inner_product(points.h, '[1,2,3,4]'::public.halfvec) AS b,
    public.cosine_distance(points.s, '{1:1}/6'::public.sparsevec) AS c,
    public.l1_distance(points.h, '[1,2,3,4]'::public.halfvec) AS d,
    public.hamming_distance(points.b, '101010'::"bit") AS e,
    public.jaccard_distance(points.b, '101010'::"bit") AS f,
    (points.v OPERATOR(public.<#>) '[1,0,0,1]'::public.vector) AS g,
    (points.h OPERATOR(public.<+>) '[1,0,0,1]'::public.halfvec) AS h,
    (points.s OPERATOR(public.<=>) '{1:3,2:1}/6'::public.sparsevec) AS i,
    (points.b OPERATOR(public.<~>) '111000'::"bit") AS j,
    (points.b OPERATOR(public.<%>) '111000'::"bit") AS k,
    public.l2_normalize(points.v) AS l,
    (points.v OPERATOR(public.-) '[1,1,1,1]'::public.vector) AS m,
    (points.v OPERATOR(public.*) points.v) AS n,
    ((ARRAY[1, 2])::public.vector OPERATOR(public.||) public.subvector(points.v, 3, 2)) AS o,
    public.binary_quantize(points.v) AS p,
    (points.s)::public.halfvec AS q,
    (points.v)::public.sparsevec AS r,
    (points.h)::public.vector(4) AS s
   FROM public.points;
ALTER TABLE public.functions OWNER TO postgres;
CREATE MATERIALIZED VIEW public.halves AS
 SELECT points.id,
    (points.v)::public.halfvec(4) AS h
   FROM public.points
  WHERE (points.v IS NOT NULL)
  WITH NO DATA;
ALTER TABLE public.halves OWNER TO postgres;
CREATE TABLE public.parts (
    id integer,
    h public.halfvec(4)
)
PARTITION BY LIST (id);
ALTER TABLE public.parts OWNER TO postgres;
CREATE TABLE public.parts_a (
    id integer,
    h public.halfvec(4)
);
ALTER TABLE public.parts_a OWNER TO postgres;
CREATE TABLE public.parts_b (
    id integer,
    h public.halfvec(4)
);
ALTER TABLE public.parts_b OWNER TO postgres;
CREATE UNLOGGED TABLE public.scratch (
    v public.vector(3)
);
ALTER TABLE public.scratch OWNER TO postgres;
CREATE VIEW public.searches AS
 SELECT q.id,
    n.id AS neighbour,
    n.distance
   FROM (public.points q
     CROSS JOIN LATERAL ( SELECT p.id,
            (p.h OPERATOR(public.<->) q.h) AS distance
           FROM public.points p
          ORDER BY (p.h OPERATOR(public.<->) q.h), p.id
         LIMIT 2) n);
ALTER TABLE public.searches OWNER TO postgres;
CREATE VIEW public.totals AS
 SELECT (points.id % 3) AS part,
    public.sum(points.v) AS v,
    public.avg(points.h) AS h,
    public.sum((points.h OPERATOR(public.*) points.h)) AS squares,
    max((points.s)::text) AS s,
    count(DISTINCT points.h) AS different
   FROM public.points
  GROUP BY (points.id % 3);
ALTER TABLE public.totals OWNER TO postgres;
ALTER TABLE ONLY public.parts ATTACH PARTITION public.parts_a FOR VALUES IN (1, 2, 3);
ALTER TABLE ONLY public.parts ATTACH PARTITION public.parts_b DEFAULT;
COPY public.parts_a (id, h) FROM stdin;
1	[1,0,4,0.125]
2	[2,5,7,0.25]
3	[3,-1,3,0.375]
1	[7,-3,1,0.875]
2	[8,2,4,1]
3	[9,-4,7,1.125]
1	[13,5,5,1.625]
2	[14,-1,1,1.75]
3	[15,4,4,1.875]
1	[19,2,2,2.375]
2	[20,-4,5,2.5]
3	[21,1,1,2.625]
1	[25,-1,6,3.125]
2	[26,4,2,3.25]
3	[27,-2,5,3.375]
1	[31,-4,3,3.875]
2	[32,1,6,4]
3	[33,-5,2,4.125]
1	[37,4,7,4.625]
2	[38,-2,3,4.75]
3	[39,3,6,4.875]
1	[43,1,4,5.375]
2	[44,-5,7,5.5]
3	[45,0,3,5.625]
1	[49,-2,1,6.125]
2	[50,3,4,6.25]
3	[51,-3,7,6.375]
1	[55,-5,5,6.875]
2	[56,0,1,7]
3	[57,5,4,7.125]
1	\N
\.
COPY public.parts_b (id, h) FROM stdin;
4	[4,4,6,0.5]
5	[5,-2,2,0.625]
0	[6,3,5,0.75]
4	[10,1,3,1.25]
5	[11,-5,6,1.375]
0	[12,0,2,1.5]
4	[16,-2,7,2]
5	[17,3,3,2.125]
0	[18,-3,6,2.25]
4	[22,-5,4,2.75]
5	[23,0,7,2.875]
0	[24,5,3,3]
4	[28,3,1,3.5]
5	[29,-3,4,3.625]
0	[30,2,7,3.75]
4	[34,0,5,4.25]
5	[35,5,1,4.375]
0	[36,-1,4,4.5]
4	[40,-3,2,5]
5	[41,2,5,5.125]
0	[42,-4,1,5.25]
4	[46,5,6,5.75]
5	[47,-1,2,5.875]
0	[48,4,5,6]
4	[52,2,3,6.5]
5	[53,-4,6,6.625]
0	[54,1,2,6.75]
4	[58,-1,7,7.25]
5	[59,4,3,7.375]
0	[60,-2,6,7.5]
\.
COPY public.points (id, v, h, s, b, from_array) FROM stdin;
1	[1,1,4,0.0625]	[1,0,4,0.125]	{1:1,3:1.25}/6	100101	[1,2.5,3]
2	[2,-5,2,0.125]	[2,5,7,0.25]	{1:2,4:1.5}/6	001010	[1,2.5,3]
3	[3,2,5,0.1875]	[3,-1,3,0.375]	{1:3,5:1.75}/6	101111	[1,2.5,3]
4	[4,-4,3,0.25]	[4,4,6,0.5]	{1:4,6:2}/6	010100	[1,2.5,3]
5	[5,3,1,0.3125]	[5,-2,2,0.625]	{1:5,2:2.25}/6	111001	[1,2.5,3]
6	[6,-3,4,0.375]	[6,3,5,0.75]	{1:6,3:2.5}/6	011110	[1,2.5,3]
7	[7,4,2,0.4375]	[7,-3,1,0.875]	{1:7,4:2.75}/6	000011	[1,2.5,3]
8	[8,-2,5,0.5]	[8,2,4,1]	{1:8,5:3}/6	101000	[1,2.5,3]
9	[9,5,3,0.5625]	[9,-4,7,1.125]	{1:9,6:3.25}/6	001101	[1,2.5,3]
10	[10,-1,1,0.625]	[10,1,3,1.25]	{1:10,2:3.5}/6	110010	[1,2.5,3]
11	[11,6,4,0.6875]	[11,-5,6,1.375]	{1:11,3:3.75}/6	010111	[1,2.5,3]
12	[12,0,2,0.75]	[12,0,2,1.5]	{1:12,4:4}/6	111100	[1,2.5,3]
13	[13,-6,5,0.8125]	[13,5,5,1.625]	{1:13,5:4.25}/6	100001	[1,2.5,3]
14	[14,1,3,0.875]	[14,-1,1,1.75]	{1:14,6:4.5}/6	000110	[1,2.5,3]
15	[15,-5,1,0.9375]	[15,4,4,1.875]	{1:15,2:4.75}/6	101011	[1,2.5,3]
16	[16,2,4,1]	[16,-2,7,2]	{1:16,3:5}/6	010000	[1,2.5,3]
17	[17,-4,2,1.0625]	[17,3,3,2.125]	{1:17,4:5.25}/6	110101	[1,2.5,3]
18	[18,3,5,1.125]	[18,-3,6,2.25]	{1:18,5:5.5}/6	011010	[1,2.5,3]
19	[19,-3,3,1.1875]	[19,2,2,2.375]	{1:19,6:5.75}/6	111111	[1,2.5,3]
20	[20,4,1,1.25]	[20,-4,5,2.5]	{1:20,2:6}/6	100100	[1,2.5,3]
21	[21,-2,4,1.3125]	[21,1,1,2.625]	{1:21,3:6.25}/6	001001	[1,2.5,3]
22	[22,5,2,1.375]	[22,-5,4,2.75]	{1:22,4:6.5}/6	101110	[1,2.5,3]
23	[23,-1,5,1.4375]	[23,0,7,2.875]	{1:23,5:6.75}/6	010011	[1,2.5,3]
24	[24,6,3,1.5]	[24,5,3,3]	{1:24,6:7}/6	111000	[1,2.5,3]
25	[25,0,1,1.5625]	[25,-1,6,3.125]	{1:25,2:7.25}/6	011101	[1,2.5,3]
26	[26,-6,4,1.625]	[26,4,2,3.25]	{1:26,3:7.5}/6	000010	[1,2.5,3]
27	[27,1,2,1.6875]	[27,-2,5,3.375]	{1:27,4:7.75}/6	100111	[1,2.5,3]
28	[28,-5,5,1.75]	[28,3,1,3.5]	{1:28,5:8}/6	001100	[1,2.5,3]
29	[29,2,3,1.8125]	[29,-3,4,3.625]	{1:29,6:8.25}/6	110001	[1,2.5,3]
30	[30,-4,1,1.875]	[30,2,7,3.75]	{1:30,2:8.5}/6	010110	[1,2.5,3]
31	[31,3,4,1.9375]	[31,-4,3,3.875]	{1:31,3:8.75}/6	111011	[1,2.5,3]
32	[32,-3,2,2]	[32,1,6,4]	{1:32,4:9}/6	100000	[1,2.5,3]
33	[33,4,5,2.0625]	[33,-5,2,4.125]	{1:33,5:9.25}/6	000101	[1,2.5,3]
34	[34,-2,3,2.125]	[34,0,5,4.25]	{1:34,6:9.5}/6	101010	[1,2.5,3]
35	[35,5,1,2.1875]	[35,5,1,4.375]	{1:35,2:9.75}/6	001111	[1,2.5,3]
36	[36,-1,4,2.25]	[36,-1,4,4.5]	{1:36,3:10}/6	110100	[1,2.5,3]
37	[37,6,2,2.3125]	[37,4,7,4.625]	{1:37,4:10.25}/6	011001	[1,2.5,3]
38	[38,0,5,2.375]	[38,-2,3,4.75]	{1:38,5:10.5}/6	111110	[1,2.5,3]
39	[39,-6,3,2.4375]	[39,3,6,4.875]	{1:39,6:10.75}/6	100011	[1,2.5,3]
40	[40,1,1,2.5]	[40,-3,2,5]	{1:40,2:11}/6	001000	[1,2.5,3]
41	[41,-5,4,2.5625]	[41,2,5,5.125]	{1:41,3:11.25}/6	101101	[1,2.5,3]
42	[42,2,2,2.625]	[42,-4,1,5.25]	{1:42,4:11.5}/6	010010	[1,2.5,3]
43	[43,-4,5,2.6875]	[43,1,4,5.375]	{1:43,5:11.75}/6	110111	[1,2.5,3]
44	[44,3,3,2.75]	[44,-5,7,5.5]	{1:44,6:12}/6	011100	[1,2.5,3]
45	[45,-3,1,2.8125]	[45,0,3,5.625]	{1:45,2:12.25}/6	000001	[1,2.5,3]
46	[46,4,4,2.875]	[46,5,6,5.75]	{1:46,3:12.5}/6	100110	[1,2.5,3]
47	[47,-2,2,2.9375]	[47,-1,2,5.875]	{1:47,4:12.75}/6	001011	[1,2.5,3]
48	[48,5,5,3]	[48,4,5,6]	{1:48,5:13}/6	110000	[1,2.5,3]
49	[49,-1,3,3.0625]	[49,-2,1,6.125]	{1:49,6:13.25}/6	010101	[1,2.5,3]
50	[50,6,1,3.125]	[50,3,4,6.25]	{1:50,2:13.5}/6	111010	[1,2.5,3]
51	[51,0,4,3.1875]	[51,-3,7,6.375]	{1:51,3:13.75}/6	011111	[1,2.5,3]
52	[52,-6,2,3.25]	[52,2,3,6.5]	{1:52,4:14}/6	000100	[1,2.5,3]
53	[53,1,5,3.3125]	[53,-4,6,6.625]	{1:53,5:14.25}/6	101001	[1,2.5,3]
54	[54,-5,3,3.375]	[54,1,2,6.75]	{1:54,6:14.5}/6	001110	[1,2.5,3]
55	[55,2,1,3.4375]	[55,-5,5,6.875]	{1:55,2:14.75}/6	110011	[1,2.5,3]
56	[56,-4,4,3.5]	[56,0,1,7]	{1:56,3:15}/6	011000	[1,2.5,3]
57	[57,3,2,3.5625]	[57,5,4,7.125]	{1:57,4:15.25}/6	111101	[1,2.5,3]
58	[58,-3,5,3.625]	[58,-1,7,7.25]	{1:58,5:15.5}/6	100010	[1,2.5,3]
59	[59,4,3,3.6875]	[59,4,3,7.375]	{1:59,6:15.75}/6	000111	[1,2.5,3]
60	[60,-2,1,3.75]	[60,-2,6,7.5]	{1:60,2:16}/6	101100	[1,2.5,3]
61	\N	\N	\N	\N	[1,2.5,3]
\.
COPY public.scratch (v) FROM stdin;
\.
ALTER TABLE ONLY public.points
    ADD CONSTRAINT points_pkey PRIMARY KEY (id);
ALTER TABLE public.points CLUSTER ON points_pkey;
CREATE INDEX halves_lists ON public.halves USING ivfflat (h public.halfvec_cosine_ops) WITH (lists='7');
CREATE INDEX parts_h ON ONLY public.parts USING ivfflat (h public.halfvec_l2_ops) WITH (lists='2');
CREATE INDEX parts_a_h_idx ON public.parts_a USING ivfflat (h public.halfvec_l2_ops) WITH (lists='2');
CREATE INDEX parts_b_h_idx ON public.parts_b USING ivfflat (h public.halfvec_l2_ops) WITH (lists='2');
CREATE INDEX points_b_hamming ON public.points USING hnsw (b public.bit_hamming_ops);
CREATE INDEX points_b_jaccard ON public.points USING hnsw (b public.bit_jaccard_ops) WITH (ef_construction='100');
CREATE INDEX points_bits ON public.points USING ivfflat (((public.binary_quantize(v))::bit(4)) public.bit_hamming_ops) WITH (lists='2');
CREATE INDEX points_both ON public.points USING hnsw ((((h OPERATOR(public.||) h))::public.halfvec(8)) public.halfvec_ip_ops);
CREATE INDEX points_dense ON public.points USING hnsw (((s)::public.vector(6)) public.vector_cosine_ops) WHERE ((s OPERATOR(public.<->) '{}/6'::public.sparsevec) > (3)::double precision);
CREATE INDEX points_distance ON public.points USING btree (public.l1_distance(v, '[1,2,3,4]'::public.vector));
CREATE INDEX points_floats ON public.points USING hnsw (((floats)::public.vector(4)) public.vector_l2_ops);
CREATE INDEX points_h_cosine ON public.points USING hnsw (h public.halfvec_cosine_ops);
CREATE INDEX points_h_ip ON public.points USING hnsw (h public.halfvec_ip_ops);
CREATE INDEX points_h_l1 ON public.points USING hnsw (h public.halfvec_l1_ops);
CREATE INDEX points_h_l2 ON public.points USING hnsw (h public.halfvec_l2_ops) WITH (m='8');
CREATE UNIQUE INDEX points_h_order ON public.points USING btree (h);
CREATE INDEX points_lists_b ON public.points USING ivfflat (b public.bit_hamming_ops) WITH (lists='4');
CREATE INDEX points_lists_h_cosine ON public.points USING ivfflat (h public.halfvec_cosine_ops) WITH (lists='2');
CREATE INDEX points_lists_h_ip ON public.points USING ivfflat (h public.halfvec_ip_ops) WITH (lists='5');
CREATE INDEX points_lists_h_l2 ON public.points USING ivfflat (h public.halfvec_l2_ops) WITH (lists='5');
CREATE INDEX points_lists_part ON public.points USING ivfflat (((public.subvector(v, 2, 3))::public.vector(3))) WITH (lists='2') WHERE (id > 20);
CREATE INDEX points_lists_v_cosine ON public.points USING ivfflat (v public.vector_cosine_ops);
CREATE INDEX points_lists_v_ip ON public.points USING ivfflat (v public.vector_ip_ops) WITH (lists='1');
CREATE INDEX points_lists_v_l2 ON public.points USING ivfflat (v) WITH (lists='3');
CREATE INDEX points_s_cosine ON public.points USING hnsw (s public.sparsevec_cosine_ops);
CREATE INDEX points_s_ip ON public.points USING hnsw (s public.sparsevec_ip_ops);
CREATE INDEX points_s_l1 ON public.points USING hnsw (s public.sparsevec_l1_ops) WITH (m='24', ef_construction='48');
CREATE INDEX points_s_l2 ON public.points USING hnsw (s public.sparsevec_l2_ops);
CREATE INDEX points_s_order ON public.points USING btree (s DESC NULLS LAST);
CREATE INDEX points_sum ON public.points USING hnsw ((((v OPERATOR(public.+) '[1,1,1,1]'::public.vector))::public.vector(4)) public.vector_l2_ops);
CREATE INDEX points_unit ON public.points USING hnsw (((public.l2_normalize(h))::public.halfvec(4)) public.halfvec_l2_ops);
CREATE INDEX points_v_cosine ON public.points USING hnsw (v public.vector_cosine_ops) WITH (ef_construction='200');
CREATE INDEX points_v_ip ON public.points USING hnsw (v public.vector_ip_ops) WITH (m='100', ef_construction='1000');
CREATE INDEX points_v_l1 ON public.points USING hnsw (v public.vector_l1_ops);
CREATE INDEX points_v_l2 ON public.points USING hnsw (v public.vector_l2_ops) WITH (m='2', ef_construction='4');
CREATE INDEX scratch_v_idx ON public.scratch USING hnsw (v public.vector_l2_ops);
CREATE INDEX scratch_v_idx1 ON public.scratch USING ivfflat (v) WITH (lists='1');
ALTER INDEX public.parts_h ATTACH PARTITION public.parts_a_h_idx;
ALTER INDEX public.parts_h ATTACH PARTITION public.parts_b_h_idx;
GRANT SELECT ON TABLE public.points TO searcher;
GRANT SELECT ON TABLE public.functions TO searcher;
GRANT SELECT ON TABLE public.halves TO searcher;
GRANT SELECT ON TABLE public.parts TO searcher;
GRANT SELECT ON TABLE public.parts_a TO searcher;
GRANT SELECT ON TABLE public.parts_b TO searcher;
GRANT SELECT ON TABLE public.scratch TO searcher;
GRANT SELECT ON TABLE public.searches TO searcher;
GRANT SELECT ON TABLE public.totals TO searcher;
REFRESH MATERIALIZED VIEW public.halves;
