-- A database that used pgvector 0.8, as pg_dump writes it, without its comments. test_310_migration.py
-- restores it.

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
CREATE DOMAIN public.direction AS public.vector(3)
	CONSTRAINT direction_check CHECK ((public.vector_norm(VALUE) > (0)::double precision));
ALTER DOMAIN public.direction OWNER TO postgres;
CREATE TYPE public.pair AS (
	first public.halfvec(3),
	second public.sparsevec(5)
);
ALTER TYPE public.pair OWNER TO postgres;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.items (
    id bigint NOT NULL,
    tenant integer NOT NULL,
    embedding public.vector(3) DEFAULT '[0,0,0]'::public.vector,
    half public.halfvec(3),
    sparse public.sparsevec(5),
    bits bit(4),
    open public.vector,
    many public.vector(3)[],
    towards public.direction,
    two public.pair,
    normal public.vector(3) GENERATED ALWAYS AS (public.l2_normalize(embedding)) STORED,
    signs bit(3) GENERATED ALWAYS AS ((public.binary_quantize(embedding))::bit(3)) STORED,
    CONSTRAINT items_embedding_check CHECK ((public.vector_dims(embedding) = 3))
);
ALTER TABLE public.items OWNER TO postgres;
CREATE FUNCTION public.nearest(query public.vector) RETURNS SETOF bigint
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT items.id
    FROM public.items
   ORDER BY (items.embedding OPERATOR(public.<->) nearest.query)
  LIMIT 5;
END;
ALTER FUNCTION public.nearest(query public.vector) OWNER TO postgres;
CREATE MATERIALIZED VIEW public.centres AS
 SELECT items.tenant,
    (public.avg(items.embedding))::public.vector(3) AS centre,
    count(*) AS rows
   FROM public.items
  GROUP BY items.tenant
  WITH NO DATA;
ALTER TABLE public.centres OWNER TO postgres;
CREATE TABLE public.events (
    day integer NOT NULL,
    id integer NOT NULL,
    embedding public.vector(3)
)
PARTITION BY RANGE (day);
ALTER TABLE public.events OWNER TO postgres;
CREATE TABLE public.events_1 (
    day integer NOT NULL,
    id integer NOT NULL,
    embedding public.vector(3)
);
ALTER TABLE public.events_1 OWNER TO postgres;
CREATE TABLE public.events_2 (
    day integer NOT NULL,
    id integer NOT NULL,
    embedding public.vector(3)
);
ALTER TABLE public.events_2 OWNER TO postgres;
CREATE VIEW public.first_ten AS
 SELECT items.id,
    (items.embedding OPERATOR(public.<->) '[3,1,2]'::public.vector) AS distance,
    (items.embedding OPERATOR(public.<+>) '[3,1,2]'::public.vector) AS taxicab,
    (items.half OPERATOR(public.<=>) '[1,2,3]'::public.halfvec) AS angle
   FROM public.items
  ORDER BY (items.embedding OPERATOR(public.<->) '[3,1,2]'::public.vector)
 LIMIT 10;
ALTER TABLE public.first_ten OWNER TO postgres;
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_1 FOR VALUES FROM (0) TO (10);
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_2 FOR VALUES FROM (10) TO (20);
COPY public.events_1 (day, id, embedding) FROM stdin;
0	0	[0,0,1]
1	1	[1,5,1]
2	2	[2,10,1]
3	3	[3,2,1]
4	4	[4,7,1]
5	5	[5,12,1]
6	6	[6,4,1]
7	7	[7,9,1]
8	8	[8,1,1]
9	9	[9,6,1]
\.
COPY public.events_2 (day, id, embedding) FROM stdin;
10	10	[10,11,1]
11	11	[11,3,1]
12	12	[12,8,1]
13	13	[13,0,1]
14	14	[14,5,1]
15	15	[15,10,1]
16	16	[16,2,1]
17	17	[17,7,1]
18	18	[18,12,1]
19	19	[19,4,1]
\.
COPY public.items (id, tenant, embedding, half, sparse, bits, open, many, towards, two) FROM stdin;
1	1	[1,2,0.125]	[1,2,0.125]	{1:1,4:-2.5}/5	0001	[1,2]	{"[1,2,0.125]","[2,4,0.25]"}	[1,2,0.125]	("[1,2,0.125]",{2:1}/5)
2	2	[2,-2,0.25]	[2,-2,0.25]	{1:2,4:-2.5}/5	0010	[2,-2,0.25]	{"[2,-2,0.25]","[4,-4,0.5]"}	[2,-2,0.25]	("[2,-2,0.25]",{2:1}/5)
3	0	[3,5,0.375]	[3,5,0.375]	{1:3,4:-2.5}/5	0011	[3]	{"[3,5,0.375]","[6,10,0.75]"}	[3,5,0.375]	("[3,5,0.375]",{2:1}/5)
4	1	[4,1,0.5]	[4,1,0.5]	{1:4,4:-2.5}/5	0100	[4,1]	{"[4,1,0.5]","[8,2,1]"}	[4,1,0.5]	("[4,1,0.5]",{2:1}/5)
5	2	[5,-3,0.625]	[5,-3,0.625]	{1:5,4:-2.5}/5	0101	[5,-3,0.625]	{"[5,-3,0.625]","[10,-6,1.25]"}	[5,-3,0.625]	("[5,-3,0.625]",{2:1}/5)
6	0	[6,4,0.75]	[6,4,0.75]	{1:6,4:-2.5}/5	0110	[6]	{"[6,4,0.75]","[12,8,1.5]"}	[6,4,0.75]	("[6,4,0.75]",{2:1}/5)
7	1	[7,0,0.875]	[7,0,0.875]	{1:7,4:-2.5}/5	0111	[7,0]	{"[7,0,0.875]","[14,0,1.75]"}	[7,0,0.875]	("[7,0,0.875]",{2:1}/5)
8	2	[8,-4,1]	[8,-4,1]	{1:8,4:-2.5}/5	1000	[8,-4,1]	{"[8,-4,1]","[16,-8,2]"}	[8,-4,1]	("[8,-4,1]",{2:1}/5)
9	0	[9,3,1.125]	[9,3,1.125]	{1:9,4:-2.5}/5	1001	[9]	{"[9,3,1.125]","[18,6,2.25]"}	[9,3,1.125]	("[9,3,1.125]",{2:1}/5)
10	1	[10,-1,1.25]	[10,-1,1.25]	{1:10,4:-2.5}/5	1010	[10,-1]	{"[10,-1,1.25]","[20,-2,2.5]"}	[10,-1,1.25]	("[10,-1,1.25]",{2:1}/5)
11	2	[11,-5,1.375]	[11,-5,1.375]	{1:11,4:-2.5}/5	1011	[11,-5,1.375]	{"[11,-5,1.375]","[22,-10,2.75]"}	[11,-5,1.375]	("[11,-5,1.375]",{2:1}/5)
12	0	[12,2,1.5]	[12,2,1.5]	{1:12,4:-2.5}/5	1100	[12]	{"[12,2,1.5]","[24,4,3]"}	[12,2,1.5]	("[12,2,1.5]",{2:1}/5)
13	1	[13,-2,1.625]	[13,-2,1.625]	{1:13,4:-2.5}/5	1101	[13,-2]	{"[13,-2,1.625]","[26,-4,3.25]"}	[13,-2,1.625]	("[13,-2,1.625]",{2:1}/5)
14	2	[14,5,1.75]	[14,5,1.75]	{1:14,4:-2.5}/5	1110	[14,5,1.75]	{"[14,5,1.75]","[28,10,3.5]"}	[14,5,1.75]	("[14,5,1.75]",{2:1}/5)
15	0	[15,1,1.875]	[15,1,1.875]	{1:15,4:-2.5}/5	1111	[15]	{"[15,1,1.875]","[30,2,3.75]"}	[15,1,1.875]	("[15,1,1.875]",{2:1}/5)
16	1	[16,-3,2]	[16,-3,2]	{1:16,4:-2.5}/5	0000	[16,-3]	{"[16,-3,2]","[32,-6,4]"}	[16,-3,2]	("[16,-3,2]",{2:1}/5)
17	2	[17,4,2.125]	[17,4,2.125]	{1:17,4:-2.5}/5	0001	[17,4,2.125]	{"[17,4,2.125]","[34,8,4.25]"}	[17,4,2.125]	("[17,4,2.125]",{2:1}/5)
18	0	[18,0,2.25]	[18,0,2.25]	{1:18,4:-2.5}/5	0010	[18]	{"[18,0,2.25]","[36,0,4.5]"}	[18,0,2.25]	("[18,0,2.25]",{2:1}/5)
19	1	[19,-4,2.375]	[19,-4,2.375]	{1:19,4:-2.5}/5	0011	[19,-4]	{"[19,-4,2.375]","[38,-8,4.75]"}	[19,-4,2.375]	("[19,-4,2.375]",{2:1}/5)
20	2	[20,3,2.5]	[20,3,2.5]	{1:20,4:-2.5}/5	0100	[20,3,2.5]	{"[20,3,2.5]","[40,6,5]"}	[20,3,2.5]	("[20,3,2.5]",{2:1}/5)
21	0	[21,-1,2.625]	[21,-1,2.625]	{1:21,4:-2.5}/5	0101	[21]	{"[21,-1,2.625]","[42,-2,5.25]"}	[21,-1,2.625]	("[21,-1,2.625]",{2:1}/5)
22	1	[22,-5,2.75]	[22,-5,2.75]	{1:22,4:-2.5}/5	0110	[22,-5]	{"[22,-5,2.75]","[44,-10,5.5]"}	[22,-5,2.75]	("[22,-5,2.75]",{2:1}/5)
23	2	[23,2,2.875]	[23,2,2.875]	{1:23,4:-2.5}/5	0111	[23,2,2.875]	{"[23,2,2.875]","[46,4,5.75]"}	[23,2,2.875]	("[23,2,2.875]",{2:1}/5)
24	0	[24,-2,3]	[24,-2,3]	{1:24,4:-2.5}/5	1000	[24]	{"[24,-2,3]","[48,-4,6]"}	[24,-2,3]	("[24,-2,3]",{2:1}/5)
25	1	[25,5,3.125]	[25,5,3.125]	{1:25,4:-2.5}/5	1001	[25,5]	{"[25,5,3.125]","[50,10,6.25]"}	[25,5,3.125]	("[25,5,3.125]",{2:1}/5)
26	2	[26,1,3.25]	[26,1,3.25]	{1:26,4:-2.5}/5	1010	[26,1,3.25]	{"[26,1,3.25]","[52,2,6.5]"}	[26,1,3.25]	("[26,1,3.25]",{2:1}/5)
27	0	[27,-3,3.375]	[27,-3,3.375]	{1:27,4:-2.5}/5	1011	[27]	{"[27,-3,3.375]","[54,-6,6.75]"}	[27,-3,3.375]	("[27,-3,3.375]",{2:1}/5)
28	1	[28,4,3.5]	[28,4,3.5]	{1:28,4:-2.5}/5	1100	[28,4]	{"[28,4,3.5]","[56,8,7]"}	[28,4,3.5]	("[28,4,3.5]",{2:1}/5)
29	2	[29,0,3.625]	[29,0,3.625]	{1:29,4:-2.5}/5	1101	[29,0,3.625]	{"[29,0,3.625]","[58,0,7.25]"}	[29,0,3.625]	("[29,0,3.625]",{2:1}/5)
30	0	[30,-4,3.75]	[30,-4,3.75]	{1:30,4:-2.5}/5	1110	[30]	{"[30,-4,3.75]","[60,-8,7.5]"}	[30,-4,3.75]	("[30,-4,3.75]",{2:1}/5)
31	1	[31,3,3.875]	[31,3,3.875]	{1:31,4:-2.5}/5	1111	[31,3]	{"[31,3,3.875]","[62,6,7.75]"}	[31,3,3.875]	("[31,3,3.875]",{2:1}/5)
32	2	[32,-1,4]	[32,-1,4]	{1:32,4:-2.5}/5	0000	[32,-1,4]	{"[32,-1,4]","[64,-2,8]"}	[32,-1,4]	("[32,-1,4]",{2:1}/5)
33	0	[33,-5,4.125]	[33,-5,4.125]	{1:33,4:-2.5}/5	0001	[33]	{"[33,-5,4.125]","[66,-10,8.25]"}	[33,-5,4.125]	("[33,-5,4.125]",{2:1}/5)
34	1	[34,2,4.25]	[34,2,4.25]	{1:34,4:-2.5}/5	0010	[34,2]	{"[34,2,4.25]","[68,4,8.5]"}	[34,2,4.25]	("[34,2,4.25]",{2:1}/5)
35	2	[35,-2,4.375]	[35,-2,4.375]	{1:35,4:-2.5}/5	0011	[35,-2,4.375]	{"[35,-2,4.375]","[70,-4,8.75]"}	[35,-2,4.375]	("[35,-2,4.375]",{2:1}/5)
36	0	[36,5,4.5]	[36,5,4.5]	{1:36,4:-2.5}/5	0100	[36]	{"[36,5,4.5]","[72,10,9]"}	[36,5,4.5]	("[36,5,4.5]",{2:1}/5)
37	1	[37,1,4.625]	[37,1,4.625]	{1:37,4:-2.5}/5	0101	[37,1]	{"[37,1,4.625]","[74,2,9.25]"}	[37,1,4.625]	("[37,1,4.625]",{2:1}/5)
38	2	[38,-3,4.75]	[38,-3,4.75]	{1:38,4:-2.5}/5	0110	[38,-3,4.75]	{"[38,-3,4.75]","[76,-6,9.5]"}	[38,-3,4.75]	("[38,-3,4.75]",{2:1}/5)
39	0	[39,4,4.875]	[39,4,4.875]	{1:39,4:-2.5}/5	0111	[39]	{"[39,4,4.875]","[78,8,9.75]"}	[39,4,4.875]	("[39,4,4.875]",{2:1}/5)
40	1	[40,0,5]	[40,0,5]	{1:40,4:-2.5}/5	1000	[40,0]	{"[40,0,5]","[80,0,10]"}	[40,0,5]	("[40,0,5]",{2:1}/5)
41	1	\N	\N	\N	\N	\N	\N	\N	\N
42	1	[0,0,0]	[1.1920929e-07,65504,-0.5]	\N	\N	\N	\N	\N	\N
\.
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (day, id);
ALTER TABLE ONLY public.events_1
    ADD CONSTRAINT events_1_pkey PRIMARY KEY (day, id);
ALTER TABLE ONLY public.events_2
    ADD CONSTRAINT events_2_pkey PRIMARY KEY (day, id);
ALTER TABLE ONLY public.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (id);
CREATE INDEX centres_l2 ON public.centres USING hnsw (centre public.vector_l2_ops);
CREATE INDEX events_l2 ON ONLY public.events USING hnsw (embedding public.vector_l2_ops) WITH (m='24');
CREATE INDEX events_1_embedding_idx ON public.events_1 USING hnsw (embedding public.vector_l2_ops) WITH (m='24');
CREATE INDEX events_2_embedding_idx ON public.events_2 USING hnsw (embedding public.vector_l2_ops) WITH (m='24');
CREATE INDEX items_as_half ON public.items USING hnsw (((embedding)::public.halfvec(3)) public.halfvec_cosine_ops);
CREATE INDEX items_cosine ON public.items USING hnsw (embedding public.vector_cosine_ops);
CREATE INDEX items_half ON public.items USING hnsw (half public.halfvec_l2_ops);
CREATE INDEX items_hamming ON public.items USING hnsw (bits public.bit_hamming_ops);
CREATE INDEX items_ip ON public.items USING hnsw (embedding public.vector_ip_ops) WITH (m='8', ef_construction='32');
CREATE INDEX items_jaccard ON public.items USING hnsw (bits public.bit_jaccard_ops);
CREATE INDEX items_l1 ON public.items USING hnsw (embedding public.vector_l1_ops);
CREATE INDEX items_l2 ON public.items USING hnsw (embedding public.vector_l2_ops);
COMMENT ON INDEX public.items_l2 IS 'the one that searches use';
CREATE INDEX items_normal ON public.items USING hnsw (normal public.vector_ip_ops);
CREATE INDEX items_order ON public.items USING btree (embedding);
CREATE INDEX items_part ON public.items USING hnsw (((public.subvector(embedding, 1, 2))::public.vector(2)) public.vector_l2_ops);
CREATE INDEX items_quantized ON public.items USING hnsw (((public.binary_quantize(embedding))::bit(3)) public.bit_hamming_ops);
CREATE INDEX items_sparse ON public.items USING hnsw (sparse public.sparsevec_l2_ops);
CREATE INDEX items_tenant_1 ON public.items USING hnsw (embedding public.vector_l2_ops) WHERE (tenant = 1);
ALTER INDEX public.events_l2 ATTACH PARTITION public.events_1_embedding_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_1_pkey;
ALTER INDEX public.events_l2 ATTACH PARTITION public.events_2_embedding_idx;
ALTER INDEX public.events_pkey ATTACH PARTITION public.events_2_pkey;
REFRESH MATERIALIZED VIEW public.centres;
