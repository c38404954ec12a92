-- The install script of dvec 0.1.0. What it makes depends on whose vector types the database has:
--
--     nobody's       the types, the access methods hnsw and ivfflat, and all that follows
--     pgvector's     the access method dvec for them, and all that follows
--     dvec's own     nothing: the extension "vector" that dvec provides holds all of it
--
-- Names, signatures, labels and casts of the types are pgvector's, so that schemas and clients made
-- for it need no change. Every function of a type is immutable, strict and parallel safe.

\echo Use "CREATE EXTENSION dvec" to load this file. \quit

CREATE FUNCTION dvec_depend_on_extension(name) RETURNS void
    AS 'MODULE_PATHNAME', 'dvec_depend_on_extension' LANGUAGE C STRICT;

DO $install$
DECLARE
    -- The schema of the extension "vector" with its types, and whether they are pgvector's.
    home name;
    is_foreign boolean;
    class record;
BEGIN
SELECT schema.nspname, input.prosrc NOT LIKE 'dvec\_%' INTO home, is_foreign
FROM pg_catalog.pg_extension AS extension
JOIN pg_catalog.pg_depend AS member ON member.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    AND member.refobjid = extension.oid AND member.deptype = 'e'
    AND member.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
JOIN pg_catalog.pg_type AS type ON type.oid = member.objid AND type.typname = 'vector'
JOIN pg_catalog.pg_namespace AS schema ON schema.oid = type.typnamespace
JOIN pg_catalog.pg_proc AS input ON input.oid = type.typinput
WHERE extension.extname = 'vector';

-- Whose types these are is told to DROP EXTENSION, and to a dump, which has to create that one first.
IF home IS NOT NULL THEN
    PERFORM dvec_depend_on_extension('vector');
END IF;
IF NOT is_foreign THEN
    RETURN;
END IF;

EXECUTE $both$

-- ---------------------------------------------------------------------------------------------------
-- The access method dvec, and what operator classes tell about their type and their distance
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION dvec_handler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'dvec_handler' LANGUAGE C;

CREATE ACCESS METHOD dvec TYPE INDEX HANDLER dvec_handler;

COMMENT ON ACCESS METHOD dvec IS 'approximate nearest neighbor index on a memory-mapped sidecar';

CREATE FUNCTION hnsw_vector_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_vector_l2_support' LANGUAGE C;
CREATE FUNCTION hnsw_vector_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_vector_ip_support' LANGUAGE C;
CREATE FUNCTION hnsw_vector_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_vector_cosine_support' LANGUAGE C;
CREATE FUNCTION hnsw_vector_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_vector_l1_support' LANGUAGE C;
CREATE FUNCTION hnsw_halfvec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_halfvec_l2_support' LANGUAGE C;
CREATE FUNCTION hnsw_halfvec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_halfvec_ip_support' LANGUAGE C;
CREATE FUNCTION hnsw_halfvec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_halfvec_cosine_support' LANGUAGE C;
CREATE FUNCTION hnsw_halfvec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_halfvec_l1_support' LANGUAGE C;
CREATE FUNCTION hnsw_sparsevec_l2_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_sparsevec_l2_support' LANGUAGE C;
CREATE FUNCTION hnsw_sparsevec_ip_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_sparsevec_ip_support' LANGUAGE C;
CREATE FUNCTION hnsw_sparsevec_cosine_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_sparsevec_cosine_support' LANGUAGE C;
CREATE FUNCTION hnsw_sparsevec_l1_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_sparsevec_l1_support' LANGUAGE C;
CREATE FUNCTION hnsw_bit_hamming_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_bit_hamming_support' LANGUAGE C;
CREATE FUNCTION hnsw_bit_jaccard_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_hnsw_bit_jaccard_support' LANGUAGE C;

-- What the classes of columns behind the vector tell: how values become keys.
CREATE FUNCTION hnsw_int2_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_int2_keys' LANGUAGE C;
CREATE FUNCTION hnsw_int4_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_int4_keys' LANGUAGE C;
CREATE FUNCTION hnsw_int8_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_int8_keys' LANGUAGE C;
CREATE FUNCTION hnsw_float4_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_float4_keys' LANGUAGE C;
CREATE FUNCTION hnsw_float8_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_float8_keys' LANGUAGE C;
CREATE FUNCTION hnsw_numeric_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_numeric_keys' LANGUAGE C;
CREATE FUNCTION hnsw_bool_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_bool_keys' LANGUAGE C;
CREATE FUNCTION hnsw_date_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_date_keys' LANGUAGE C;
CREATE FUNCTION hnsw_timestamp_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_timestamp_keys' LANGUAGE C;
CREATE FUNCTION hnsw_timestamptz_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_timestamptz_keys' LANGUAGE C;
CREATE FUNCTION hnsw_uuid_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_uuid_keys' LANGUAGE C;
CREATE FUNCTION hnsw_text_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_text_keys' LANGUAGE C;
CREATE FUNCTION hnsw_enum_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_enum_keys' LANGUAGE C;
CREATE FUNCTION hnsw_array_keys(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'dvec_array_keys' LANGUAGE C;

$both$;

IF home IS NULL THEN
    home := pg_catalog.current_schema();
    EXECUTE $types$

-- ---------------------------------------------------------------------------------------------------
-- Type vector: storage, input and output
-- ---------------------------------------------------------------------------------------------------

CREATE TYPE vector;

CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_in';
CREATE FUNCTION vector_out(vector) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_out';
CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_recv';
CREATE FUNCTION vector_send(vector) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_send';
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_typmod_in';

-- Embeddings do not compress, so external storage moves long ones out of line without trying.
CREATE TYPE vector (
    INPUT = vector_in,
    OUTPUT = vector_out,
    RECEIVE = vector_recv,
    SEND = vector_send,
    TYPMOD_IN = vector_typmod_in,
    STORAGE = external
);

COMMENT ON TYPE vector IS 'vector of up to 16000 single-precision numbers';
COMMENT ON FUNCTION vector_in(cstring, oid, integer) IS 'I/O';
COMMENT ON FUNCTION vector_out(vector) IS 'I/O';
COMMENT ON FUNCTION vector_recv(internal, oid, integer) IS 'I/O';
COMMENT ON FUNCTION vector_send(vector) IS 'I/O';
COMMENT ON FUNCTION vector_typmod_in(cstring[]) IS 'I/O typmod';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: casts
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector';
CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_to_float4';
CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_vector';
CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_vector';
CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_vector';
CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_vector';

-- Arrays become vectors on assignment only: were it implicit, array = array would be ambiguous.
CREATE CAST (vector AS vector)
    WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (vector AS real[])
    WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS vector)
    WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS vector)
    WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS vector)
    WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS vector)
    WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;

COMMENT ON FUNCTION vector(vector, integer, boolean) IS 'check the dimensions of a vector';
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS 'convert vector to real[]';
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS 'convert integer[] to vector';
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS 'convert real[] to vector';
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean)
    IS 'convert double precision[] to vector';
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS 'convert numeric[] to vector';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: order and equality
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_cmp';
CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_lt';
CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_le';
CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_eq';
CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_ne';
CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_ge';
CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_gt';

CREATE OPERATOR < (
    FUNCTION = vector_lt, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = vector_le, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = vector_eq, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = vector_ne, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = vector_ge, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = vector_gt, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS vector_ops DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 vector_cmp(vector, vector);

COMMENT ON FUNCTION vector_cmp(vector, vector) IS 'less-equal-greater';
COMMENT ON FUNCTION vector_lt(vector, vector) IS 'implementation of < operator';
COMMENT ON FUNCTION vector_le(vector, vector) IS 'implementation of <= operator';
COMMENT ON FUNCTION vector_eq(vector, vector) IS 'implementation of = operator';
COMMENT ON FUNCTION vector_ne(vector, vector) IS 'implementation of <> operator';
COMMENT ON FUNCTION vector_ge(vector, vector) IS 'implementation of >= operator';
COMMENT ON FUNCTION vector_gt(vector, vector) IS 'implementation of > operator';
COMMENT ON OPERATOR <(vector, vector) IS 'less than';
COMMENT ON OPERATOR <=(vector, vector) IS 'less than or equal';
COMMENT ON OPERATOR =(vector, vector) IS 'equal';
COMMENT ON OPERATOR <>(vector, vector) IS 'not equal';
COMMENT ON OPERATOR >=(vector, vector) IS 'greater than or equal';
COMMENT ON OPERATOR >(vector, vector) IS 'greater than';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: distances
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_l2_distance';
CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_inner_product';
CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_cosine_distance';
CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_l1_distance';

-- Support functions of operators and operator classes.
CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_l2_squared_distance';
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_negative_inner_product';
CREATE FUNCTION vector_spherical_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_spherical_distance';

-- An index scan returns the smallest first, hence the negative inner product.
CREATE OPERATOR <-> (
    FUNCTION = l2_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <->
);
CREATE OPERATOR <#> (
    FUNCTION = vector_negative_inner_product, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <#>
);
CREATE OPERATOR <=> (
    FUNCTION = cosine_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <=>
);
CREATE OPERATOR <+> (
    FUNCTION = l1_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <+>
);

COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance';
COMMENT ON FUNCTION inner_product(vector, vector) IS 'inner product';
COMMENT ON FUNCTION cosine_distance(vector, vector) IS 'cosine distance';
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance';
COMMENT ON FUNCTION vector_l2_squared_distance(vector, vector) IS 'squared Euclidean distance';
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector)
    IS 'implementation of <#> operator';
COMMENT ON FUNCTION vector_spherical_distance(vector, vector)
    IS 'angle between unit vectors, as a fraction of a half turn';
COMMENT ON OPERATOR <->(vector, vector) IS 'Euclidean distance';
COMMENT ON OPERATOR <#>(vector, vector) IS 'negative inner product';
COMMENT ON OPERATOR <=>(vector, vector) IS 'cosine distance';
COMMENT ON OPERATOR <+>(vector, vector) IS 'taxicab distance';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: arithmetic
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_add';
CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_sub';
CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_mul';
CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_concat';

CREATE OPERATOR + (
    FUNCTION = vector_add, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = +
);
CREATE OPERATOR - (
    FUNCTION = vector_sub, LEFTARG = vector, RIGHTARG = vector
);
CREATE OPERATOR * (
    FUNCTION = vector_mul, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = *
);
CREATE OPERATOR || (
    FUNCTION = vector_concat, LEFTARG = vector, RIGHTARG = vector
);

COMMENT ON FUNCTION vector_add(vector, vector) IS 'implementation of + operator';
COMMENT ON FUNCTION vector_sub(vector, vector) IS 'implementation of - operator';
COMMENT ON FUNCTION vector_mul(vector, vector) IS 'implementation of * operator';
COMMENT ON FUNCTION vector_concat(vector, vector) IS 'implementation of || operator';
COMMENT ON OPERATOR +(vector, vector) IS 'add element by element';
COMMENT ON OPERATOR -(vector, vector) IS 'subtract element by element';
COMMENT ON OPERATOR *(vector, vector) IS 'multiply element by element';
COMMENT ON OPERATOR ||(vector, vector) IS 'concatenate';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: functions of one vector
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector_dims(vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_dims';
CREATE FUNCTION vector_norm(vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_norm';
CREATE FUNCTION l2_normalize(vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_l2_normalize';
CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_subvector';
CREATE FUNCTION binary_quantize(vector) RETURNS bit
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_binary_quantize';

COMMENT ON FUNCTION vector_dims(vector) IS 'number of dimensions';
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean norm';
COMMENT ON FUNCTION l2_normalize(vector) IS 'vector of the same direction with Euclidean norm 1';
COMMENT ON FUNCTION subvector(vector, integer, integer)
    IS 'elements from a position (the first is 1), as many as given';
COMMENT ON FUNCTION binary_quantize(vector) IS 'one bit per element, set where it is positive';

-- ---------------------------------------------------------------------------------------------------
-- Type vector: aggregates
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector_accum(double precision[], vector) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_accum';
CREATE FUNCTION vector_combine(double precision[], double precision[]) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_combine';
CREATE FUNCTION vector_avg(double precision[]) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_avg';

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum,
    STYPE = double precision[],
    INITCOND = '{0}',
    FINALFUNC = vector_avg,
    COMBINEFUNC = vector_combine,
    PARALLEL = SAFE
);
CREATE AGGREGATE sum(vector) (
    SFUNC = vector_add,
    STYPE = vector,
    COMBINEFUNC = vector_add,
    PARALLEL = SAFE
);

COMMENT ON FUNCTION vector_accum(double precision[], vector) IS 'aggregate transition function';
COMMENT ON FUNCTION vector_combine(double precision[], double precision[])
    IS 'aggregate combine function';
COMMENT ON FUNCTION vector_avg(double precision[]) IS 'aggregate final function';
COMMENT ON AGGREGATE avg(vector) IS 'the average of all vectors, element by element';
COMMENT ON AGGREGATE sum(vector) IS 'the sum of all vectors, element by element';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: storage, input and output
-- ---------------------------------------------------------------------------------------------------

CREATE TYPE halfvec;

CREATE FUNCTION halfvec_in(cstring, oid, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_in';
CREATE FUNCTION halfvec_out(halfvec) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_out';
CREATE FUNCTION halfvec_recv(internal, oid, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_recv';
CREATE FUNCTION halfvec_send(halfvec) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_send';
CREATE FUNCTION halfvec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_typmod_in';

CREATE TYPE halfvec (
    INPUT = halfvec_in,
    OUTPUT = halfvec_out,
    RECEIVE = halfvec_recv,
    SEND = halfvec_send,
    TYPMOD_IN = halfvec_typmod_in,
    STORAGE = external
);

COMMENT ON TYPE halfvec IS 'vector of up to 16000 half-precision numbers';
COMMENT ON FUNCTION halfvec_in(cstring, oid, integer) IS 'I/O';
COMMENT ON FUNCTION halfvec_out(halfvec) IS 'I/O';
COMMENT ON FUNCTION halfvec_recv(internal, oid, integer) IS 'I/O';
COMMENT ON FUNCTION halfvec_send(halfvec) IS 'I/O';
COMMENT ON FUNCTION halfvec_typmod_in(cstring[]) IS 'I/O typmod';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: casts
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION halfvec(halfvec, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec';
CREATE FUNCTION halfvec_to_vector(halfvec, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_to_vector';
CREATE FUNCTION vector_to_halfvec(vector, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_to_halfvec';
CREATE FUNCTION halfvec_to_float4(halfvec, integer, boolean) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_to_float4';
CREATE FUNCTION array_to_halfvec(integer[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_halfvec';
CREATE FUNCTION array_to_halfvec(real[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_halfvec';
CREATE FUNCTION array_to_halfvec(double precision[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_halfvec';
CREATE FUNCTION array_to_halfvec(numeric[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_halfvec';

CREATE CAST (halfvec AS halfvec)
    WITH FUNCTION halfvec(halfvec, integer, boolean) AS IMPLICIT;
CREATE CAST (halfvec AS vector)
    WITH FUNCTION halfvec_to_vector(halfvec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (vector AS halfvec)
    WITH FUNCTION vector_to_halfvec(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (halfvec AS real[])
    WITH FUNCTION halfvec_to_float4(halfvec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (integer[] AS halfvec)
    WITH FUNCTION array_to_halfvec(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS halfvec)
    WITH FUNCTION array_to_halfvec(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS halfvec)
    WITH FUNCTION array_to_halfvec(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS halfvec)
    WITH FUNCTION array_to_halfvec(numeric[], integer, boolean) AS ASSIGNMENT;

COMMENT ON FUNCTION halfvec(halfvec, integer, boolean) IS 'check the dimensions of a halfvec';
COMMENT ON FUNCTION halfvec_to_vector(halfvec, integer, boolean) IS 'convert halfvec to vector';
COMMENT ON FUNCTION vector_to_halfvec(vector, integer, boolean) IS 'convert vector to halfvec';
COMMENT ON FUNCTION halfvec_to_float4(halfvec, integer, boolean) IS 'convert halfvec to real[]';
COMMENT ON FUNCTION array_to_halfvec(integer[], integer, boolean) IS 'convert integer[] to halfvec';
COMMENT ON FUNCTION array_to_halfvec(real[], integer, boolean) IS 'convert real[] to halfvec';
COMMENT ON FUNCTION array_to_halfvec(double precision[], integer, boolean)
    IS 'convert double precision[] to halfvec';
COMMENT ON FUNCTION array_to_halfvec(numeric[], integer, boolean) IS 'convert numeric[] to halfvec';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: order and equality
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION halfvec_cmp(halfvec, halfvec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_cmp';
CREATE FUNCTION halfvec_lt(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_lt';
CREATE FUNCTION halfvec_le(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_le';
CREATE FUNCTION halfvec_eq(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_eq';
CREATE FUNCTION halfvec_ne(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_ne';
CREATE FUNCTION halfvec_ge(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_ge';
CREATE FUNCTION halfvec_gt(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_gt';

CREATE OPERATOR < (
    FUNCTION = halfvec_lt, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = halfvec_le, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = halfvec_eq, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = halfvec_ne, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = halfvec_ge, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = halfvec_gt, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS halfvec_ops DEFAULT FOR TYPE halfvec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 halfvec_cmp(halfvec, halfvec);

COMMENT ON FUNCTION halfvec_cmp(halfvec, halfvec) IS 'less-equal-greater';
COMMENT ON FUNCTION halfvec_lt(halfvec, halfvec) IS 'implementation of < operator';
COMMENT ON FUNCTION halfvec_le(halfvec, halfvec) IS 'implementation of <= operator';
COMMENT ON FUNCTION halfvec_eq(halfvec, halfvec) IS 'implementation of = operator';
COMMENT ON FUNCTION halfvec_ne(halfvec, halfvec) IS 'implementation of <> operator';
COMMENT ON FUNCTION halfvec_ge(halfvec, halfvec) IS 'implementation of >= operator';
COMMENT ON FUNCTION halfvec_gt(halfvec, halfvec) IS 'implementation of > operator';
COMMENT ON OPERATOR <(halfvec, halfvec) IS 'less than';
COMMENT ON OPERATOR <=(halfvec, halfvec) IS 'less than or equal';
COMMENT ON OPERATOR =(halfvec, halfvec) IS 'equal';
COMMENT ON OPERATOR <>(halfvec, halfvec) IS 'not equal';
COMMENT ON OPERATOR >=(halfvec, halfvec) IS 'greater than or equal';
COMMENT ON OPERATOR >(halfvec, halfvec) IS 'greater than';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: distances
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION l2_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_l2_distance';
CREATE FUNCTION inner_product(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_inner_product';
CREATE FUNCTION cosine_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_cosine_distance';
CREATE FUNCTION l1_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_l1_distance';

-- Support functions of operators and operator classes.
CREATE FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_l2_squared_distance';
CREATE FUNCTION halfvec_negative_inner_product(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_negative_inner_product';
CREATE FUNCTION halfvec_spherical_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_spherical_distance';

CREATE OPERATOR <-> (
    FUNCTION = l2_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <->
);
CREATE OPERATOR <#> (
    FUNCTION = halfvec_negative_inner_product, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <#>
);
CREATE OPERATOR <=> (
    FUNCTION = cosine_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <=>
);
CREATE OPERATOR <+> (
    FUNCTION = l1_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <+>
);

COMMENT ON FUNCTION l2_distance(halfvec, halfvec) IS 'Euclidean distance';
COMMENT ON FUNCTION inner_product(halfvec, halfvec) IS 'inner product';
COMMENT ON FUNCTION cosine_distance(halfvec, halfvec) IS 'cosine distance';
COMMENT ON FUNCTION l1_distance(halfvec, halfvec) IS 'taxicab distance';
COMMENT ON FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) IS 'squared Euclidean distance';
COMMENT ON FUNCTION halfvec_negative_inner_product(halfvec, halfvec)
    IS 'implementation of <#> operator';
COMMENT ON FUNCTION halfvec_spherical_distance(halfvec, halfvec)
    IS 'angle between unit vectors, as a fraction of a half turn';
COMMENT ON OPERATOR <->(halfvec, halfvec) IS 'Euclidean distance';
COMMENT ON OPERATOR <#>(halfvec, halfvec) IS 'negative inner product';
COMMENT ON OPERATOR <=>(halfvec, halfvec) IS 'cosine distance';
COMMENT ON OPERATOR <+>(halfvec, halfvec) IS 'taxicab distance';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: arithmetic
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION halfvec_add(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_add';
CREATE FUNCTION halfvec_sub(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_sub';
CREATE FUNCTION halfvec_mul(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_mul';
CREATE FUNCTION halfvec_concat(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_concat';

CREATE OPERATOR + (
    FUNCTION = halfvec_add, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = +
);
CREATE OPERATOR - (
    FUNCTION = halfvec_sub, LEFTARG = halfvec, RIGHTARG = halfvec
);
CREATE OPERATOR * (
    FUNCTION = halfvec_mul, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = *
);
CREATE OPERATOR || (
    FUNCTION = halfvec_concat, LEFTARG = halfvec, RIGHTARG = halfvec
);

COMMENT ON FUNCTION halfvec_add(halfvec, halfvec) IS 'implementation of + operator';
COMMENT ON FUNCTION halfvec_sub(halfvec, halfvec) IS 'implementation of - operator';
COMMENT ON FUNCTION halfvec_mul(halfvec, halfvec) IS 'implementation of * operator';
COMMENT ON FUNCTION halfvec_concat(halfvec, halfvec) IS 'implementation of || operator';
COMMENT ON OPERATOR +(halfvec, halfvec) IS 'add element by element';
COMMENT ON OPERATOR -(halfvec, halfvec) IS 'subtract element by element';
COMMENT ON OPERATOR *(halfvec, halfvec) IS 'multiply element by element';
COMMENT ON OPERATOR ||(halfvec, halfvec) IS 'concatenate';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: functions of one vector
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION vector_dims(halfvec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_vector_dims';
CREATE FUNCTION l2_norm(halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_l2_norm';
CREATE FUNCTION l2_normalize(halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_l2_normalize';
CREATE FUNCTION subvector(halfvec, integer, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_subvector';
CREATE FUNCTION binary_quantize(halfvec) RETURNS bit
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_binary_quantize';

COMMENT ON FUNCTION vector_dims(halfvec) IS 'number of dimensions';
COMMENT ON FUNCTION l2_norm(halfvec) IS 'Euclidean norm';
COMMENT ON FUNCTION l2_normalize(halfvec) IS 'vector of the same direction with Euclidean norm 1';
COMMENT ON FUNCTION subvector(halfvec, integer, integer)
    IS 'elements from a position (the first is 1), as many as given';
COMMENT ON FUNCTION binary_quantize(halfvec) IS 'one bit per element, set where it is positive';

-- ---------------------------------------------------------------------------------------------------
-- Type halfvec: aggregates
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION halfvec_accum(double precision[], halfvec) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_accum';
CREATE FUNCTION halfvec_combine(double precision[], double precision[]) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_combine';
CREATE FUNCTION halfvec_avg(double precision[]) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_avg';

CREATE AGGREGATE avg(halfvec) (
    SFUNC = halfvec_accum,
    STYPE = double precision[],
    INITCOND = '{0}',
    FINALFUNC = halfvec_avg,
    COMBINEFUNC = halfvec_combine,
    PARALLEL = SAFE
);
CREATE AGGREGATE sum(halfvec) (
    SFUNC = halfvec_add,
    STYPE = halfvec,
    COMBINEFUNC = halfvec_add,
    PARALLEL = SAFE
);

COMMENT ON FUNCTION halfvec_accum(double precision[], halfvec) IS 'aggregate transition function';
COMMENT ON FUNCTION halfvec_combine(double precision[], double precision[])
    IS 'aggregate combine function';
COMMENT ON FUNCTION halfvec_avg(double precision[]) IS 'aggregate final function';
COMMENT ON AGGREGATE avg(halfvec) IS 'the average of all vectors, element by element';
COMMENT ON AGGREGATE sum(halfvec) IS 'the sum of all vectors, element by element';

-- ---------------------------------------------------------------------------------------------------
-- Type sparsevec: storage, input and output
-- ---------------------------------------------------------------------------------------------------

CREATE TYPE sparsevec;

CREATE FUNCTION sparsevec_in(cstring, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_in';
CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_out';
CREATE FUNCTION sparsevec_recv(internal, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_recv';
CREATE FUNCTION sparsevec_send(sparsevec) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_send';
CREATE FUNCTION sparsevec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_typmod_in';

CREATE TYPE sparsevec (
    INPUT = sparsevec_in,
    OUTPUT = sparsevec_out,
    RECEIVE = sparsevec_recv,
    SEND = sparsevec_send,
    TYPMOD_IN = sparsevec_typmod_in,
    STORAGE = external
);

COMMENT ON TYPE sparsevec IS 'vector of up to 16000 single-precision numbers other than zero, and zeros';
COMMENT ON FUNCTION sparsevec_in(cstring, oid, integer) IS 'I/O';
COMMENT ON FUNCTION sparsevec_out(sparsevec) IS 'I/O';
COMMENT ON FUNCTION sparsevec_recv(internal, oid, integer) IS 'I/O';
COMMENT ON FUNCTION sparsevec_send(sparsevec) IS 'I/O';
COMMENT ON FUNCTION sparsevec_typmod_in(cstring[]) IS 'I/O typmod';

-- ---------------------------------------------------------------------------------------------------
-- Type sparsevec: casts
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sparsevec(sparsevec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec';
CREATE FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_to_vector';
CREATE FUNCTION vector_to_sparsevec(vector, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_vector_to_sparsevec';
CREATE FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_to_halfvec';
CREATE FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_halfvec_to_sparsevec';
CREATE FUNCTION array_to_sparsevec(integer[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_sparsevec';
CREATE FUNCTION array_to_sparsevec(real[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_sparsevec';
CREATE FUNCTION array_to_sparsevec(double precision[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_sparsevec';
CREATE FUNCTION array_to_sparsevec(numeric[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_array_to_sparsevec';

CREATE CAST (sparsevec AS sparsevec)
    WITH FUNCTION sparsevec(sparsevec, integer, boolean) AS IMPLICIT;
CREATE CAST (sparsevec AS vector)
    WITH FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (vector AS sparsevec)
    WITH FUNCTION vector_to_sparsevec(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (sparsevec AS halfvec)
    WITH FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (halfvec AS sparsevec)
    WITH FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(numeric[], integer, boolean) AS ASSIGNMENT;

COMMENT ON FUNCTION sparsevec(sparsevec, integer, boolean) IS 'check the dimensions of a sparsevec';
COMMENT ON FUNCTION sparsevec_to_vector(sparsevec, integer, boolean)
    IS 'convert sparsevec to vector';
COMMENT ON FUNCTION vector_to_sparsevec(vector, integer, boolean) IS 'convert vector to sparsevec';
COMMENT ON FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean)
    IS 'convert sparsevec to halfvec';
COMMENT ON FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean)
    IS 'convert halfvec to sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(integer[], integer, boolean)
    IS 'convert integer[] to sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(real[], integer, boolean) IS 'convert real[] to sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(double precision[], integer, boolean)
    IS 'convert double precision[] to sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(numeric[], integer, boolean)
    IS 'convert numeric[] to sparsevec';

-- ---------------------------------------------------------------------------------------------------
-- Type sparsevec: order and equality
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sparsevec_cmp(sparsevec, sparsevec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_cmp';
CREATE FUNCTION sparsevec_lt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_lt';
CREATE FUNCTION sparsevec_le(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_le';
CREATE FUNCTION sparsevec_eq(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_eq';
CREATE FUNCTION sparsevec_ne(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_ne';
CREATE FUNCTION sparsevec_ge(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_ge';
CREATE FUNCTION sparsevec_gt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_gt';

CREATE OPERATOR < (
    FUNCTION = sparsevec_lt, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = sparsevec_le, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = sparsevec_eq, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = sparsevec_ne, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = sparsevec_ge, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = sparsevec_gt, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS sparsevec_ops DEFAULT FOR TYPE sparsevec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 sparsevec_cmp(sparsevec, sparsevec);

COMMENT ON FUNCTION sparsevec_cmp(sparsevec, sparsevec) IS 'less-equal-greater';
COMMENT ON FUNCTION sparsevec_lt(sparsevec, sparsevec) IS 'implementation of < operator';
COMMENT ON FUNCTION sparsevec_le(sparsevec, sparsevec) IS 'implementation of <= operator';
COMMENT ON FUNCTION sparsevec_eq(sparsevec, sparsevec) IS 'implementation of = operator';
COMMENT ON FUNCTION sparsevec_ne(sparsevec, sparsevec) IS 'implementation of <> operator';
COMMENT ON FUNCTION sparsevec_ge(sparsevec, sparsevec) IS 'implementation of >= operator';
COMMENT ON FUNCTION sparsevec_gt(sparsevec, sparsevec) IS 'implementation of > operator';
COMMENT ON OPERATOR <(sparsevec, sparsevec) IS 'less than';
COMMENT ON OPERATOR <=(sparsevec, sparsevec) IS 'less than or equal';
COMMENT ON OPERATOR =(sparsevec, sparsevec) IS 'equal';
COMMENT ON OPERATOR <>(sparsevec, sparsevec) IS 'not equal';
COMMENT ON OPERATOR >=(sparsevec, sparsevec) IS 'greater than or equal';
COMMENT ON OPERATOR >(sparsevec, sparsevec) IS 'greater than';

-- ---------------------------------------------------------------------------------------------------
-- Type sparsevec: distances
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION l2_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_l2_distance';
CREATE FUNCTION inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_inner_product';
CREATE FUNCTION cosine_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_cosine_distance';
CREATE FUNCTION l1_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_l1_distance';

-- Support functions of operators and operator classes.
CREATE FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_l2_squared_distance';
CREATE FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_negative_inner_product';

CREATE OPERATOR <-> (
    FUNCTION = l2_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <->
);
CREATE OPERATOR <#> (
    FUNCTION = sparsevec_negative_inner_product, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <#>
);
CREATE OPERATOR <=> (
    FUNCTION = cosine_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <=>
);
CREATE OPERATOR <+> (
    FUNCTION = l1_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <+>
);

COMMENT ON FUNCTION l2_distance(sparsevec, sparsevec) IS 'Euclidean distance';
COMMENT ON FUNCTION inner_product(sparsevec, sparsevec) IS 'inner product';
COMMENT ON FUNCTION cosine_distance(sparsevec, sparsevec) IS 'cosine distance';
COMMENT ON FUNCTION l1_distance(sparsevec, sparsevec) IS 'taxicab distance';
COMMENT ON FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec)
    IS 'squared Euclidean distance';
COMMENT ON FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec)
    IS 'implementation of <#> operator';
COMMENT ON OPERATOR <->(sparsevec, sparsevec) IS 'Euclidean distance';
COMMENT ON OPERATOR <#>(sparsevec, sparsevec) IS 'negative inner product';
COMMENT ON OPERATOR <=>(sparsevec, sparsevec) IS 'cosine distance';
COMMENT ON OPERATOR <+>(sparsevec, sparsevec) IS 'taxicab distance';

-- ---------------------------------------------------------------------------------------------------
-- Type sparsevec: functions of one vector
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION l2_norm(sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_l2_norm';
CREATE FUNCTION l2_normalize(sparsevec) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_sparsevec_l2_normalize';

COMMENT ON FUNCTION l2_norm(sparsevec) IS 'Euclidean norm';
COMMENT ON FUNCTION l2_normalize(sparsevec) IS 'vector of the same direction with Euclidean norm 1';

-- ---------------------------------------------------------------------------------------------------
-- Type bit: distances
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_hamming_distance';
CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dvec_jaccard_distance';

CREATE OPERATOR <~> (
    FUNCTION = hamming_distance, LEFTARG = bit, RIGHTARG = bit, COMMUTATOR = <~>
);
CREATE OPERATOR <%> (
    FUNCTION = jaccard_distance, LEFTARG = bit, RIGHTARG = bit, COMMUTATOR = <%>
);

COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'number of bits that differ';
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS '1 - bits set in both / bits set in either';
COMMENT ON OPERATOR <~>(bit, bit) IS 'Hamming distance';
COMMENT ON OPERATOR <%>(bit, bit) IS 'Jaccard distance';

-- ---------------------------------------------------------------------------------------------------
-- The access method
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION hnswhandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'dvec_hnswhandler' LANGUAGE C;

CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnswhandler;

COMMENT ON ACCESS METHOD hnsw IS 'approximate nearest neighbor index on a memory-mapped sidecar';

CREATE OPERATOR CLASS vector_l2_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_l2_support(internal);

CREATE OPERATOR CLASS vector_ip_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_ip_support(internal);

CREATE OPERATOR CLASS vector_cosine_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_cosine_support(internal);

CREATE OPERATOR CLASS vector_l1_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_l1_support(internal);

-- ---------------------------------------------------------------------------------------------------
-- The access method: operator classes of halfvec
-- ---------------------------------------------------------------------------------------------------

CREATE OPERATOR CLASS halfvec_l2_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_l2_support(internal);

CREATE OPERATOR CLASS halfvec_ip_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_ip_support(internal);

CREATE OPERATOR CLASS halfvec_cosine_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_cosine_support(internal);

CREATE OPERATOR CLASS halfvec_l1_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_l1_support(internal);

-- ---------------------------------------------------------------------------------------------------
-- The access method: operator classes of sparsevec
-- ---------------------------------------------------------------------------------------------------

CREATE OPERATOR CLASS sparsevec_l2_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_sparsevec_l2_support(internal);

CREATE OPERATOR CLASS sparsevec_ip_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_sparsevec_ip_support(internal);

CREATE OPERATOR CLASS sparsevec_cosine_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_sparsevec_cosine_support(internal);

CREATE OPERATOR CLASS sparsevec_l1_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_sparsevec_l1_support(internal);

-- ---------------------------------------------------------------------------------------------------
-- The access method: operator classes of bit
-- ---------------------------------------------------------------------------------------------------

CREATE OPERATOR CLASS bit_hamming_ops
    FOR TYPE bit USING hnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_bit_hamming_support(internal);

CREATE OPERATOR CLASS bit_jaccard_ops
    FOR TYPE bit USING hnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_bit_jaccard_support(internal);

-- ---------------------------------------------------------------------------------------------------
-- ivfflat: for SQL written for an inverted file. The index is the same graph.
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION ivfflathandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'dvec_ivfflathandler' LANGUAGE C;

CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflathandler;

COMMENT ON ACCESS METHOD ivfflat IS 'the index of access method hnsw under the name and with the options of pgvector''s inverted file';

CREATE OPERATOR CLASS vector_l2_ops
    DEFAULT FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_l2_support(internal);

CREATE OPERATOR CLASS vector_ip_ops
    FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_ip_support(internal);

CREATE OPERATOR CLASS vector_cosine_ops
    FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_vector_cosine_support(internal);

CREATE OPERATOR CLASS halfvec_l2_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_l2_support(internal);

CREATE OPERATOR CLASS halfvec_ip_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_ip_support(internal);

CREATE OPERATOR CLASS halfvec_cosine_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_halfvec_cosine_support(internal);

CREATE OPERATOR CLASS bit_hamming_ops
    FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 hnsw_bit_hamming_support(internal);

$types$;
END IF;

-- Operator classes as those of hnsw, with the type and the operators where they are. Not every version of
-- pgvector has all of them.
FOR class IN
    SELECT types.type || '_' || metrics.metric || '_ops' AS name, types.type, metrics.operator,
        'hnsw_' || types.type || '_' || metrics.metric || '_support' AS support,
        pg_catalog.to_regtype(pg_catalog.format('%I.%I', home, types.type)) AS found_type
    FROM (VALUES ('vector'), ('halfvec'), ('sparsevec')) AS types (type),
        (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) AS metrics (metric, operator)
    UNION ALL
    SELECT 'bit_' || metrics.metric || '_ops', 'bit', metrics.operator,
        'hnsw_bit_' || metrics.metric || '_support', 'pg_catalog.bit'::pg_catalog.regtype
    FROM (VALUES ('hamming', '<~>'), ('jaccard', '<%>')) AS metrics (metric, operator)
LOOP
    CONTINUE WHEN NOT EXISTS (
        SELECT FROM pg_catalog.pg_operator AS operator
        JOIN pg_catalog.pg_namespace AS schema ON schema.oid = operator.oprnamespace
        WHERE schema.nspname = home AND operator.oprname = class.operator
            AND operator.oprleft = class.found_type AND operator.oprright = class.found_type);
    EXECUTE pg_catalog.format(
        'CREATE OPERATOR CLASS %1$I FOR TYPE %2$s USING dvec AS'
        ' OPERATOR 1 %3$I.%4$s (%2$s, %2$s) FOR ORDER BY pg_catalog.float_ops, FUNCTION 1 %5$I(internal)',
        class.name, class.found_type, home, class.operator, class.support);
END LOOP;

-- Operator classes of columns behind the vector, for conditions, in families as those of btree: a column
-- can be compared with whatever its type can be compared with in its family.
FOR class IN
    SELECT method.name AS method, family.name AS family, family.types
    FROM pg_catalog.unnest(CASE WHEN is_foreign THEN ARRAY['dvec'] ELSE ARRAY['dvec', 'hnsw', 'ivfflat'] END)
            AS method (name),
        (VALUES ('integer_ops', ARRAY['int2', 'int4', 'int8']), ('float_ops', ARRAY['float4', 'float8']),
            ('numeric_ops', ARRAY['numeric']), ('bool_ops', ARRAY['bool']),
            ('datetime_ops', ARRAY['date', 'timestamp', 'timestamptz']), ('uuid_ops', ARRAY['uuid']),
            ('text_ops', ARRAY['text']), ('enum_ops', ARRAY['anyenum'])) AS family (name, types)
LOOP
    EXECUTE pg_catalog.format('CREATE OPERATOR FAMILY %I USING %I', class.family, class.method);
    EXECUTE (
        SELECT pg_catalog.string_agg(pg_catalog.format(
            'CREATE OPERATOR CLASS %1$s_ops DEFAULT FOR TYPE pg_catalog.%2$I USING %3$I FAMILY %4$I AS'
            ' FUNCTION 2 (pg_catalog.%2$I) hnsw_%1$s_keys(internal);',
            pg_catalog.replace(type, 'any', ''), type, class.method, class.family), '')
        FROM pg_catalog.unnest(class.types) AS type);
    EXECUTE (
        SELECT pg_catalog.format('ALTER OPERATOR FAMILY %I USING %I ADD ', class.family, class.method)
            || pg_catalog.string_agg(pg_catalog.format(
                'OPERATOR %s pg_catalog.%s (pg_catalog.%I, pg_catalog.%I)',
                operator.strategy, operator.name, one, other), ', ')
        FROM pg_catalog.unnest(class.types) AS one, pg_catalog.unnest(class.types) AS other,
            pg_catalog.unnest(ARRAY['<', '<=', '=', '>=', '>']) WITH ORDINALITY AS operator (name, strategy));
END LOOP;
FOR class IN
    SELECT method AS name
    FROM pg_catalog.unnest(CASE WHEN is_foreign THEN ARRAY['dvec'] ELSE ARRAY['dvec', 'hnsw', 'ivfflat'] END)
        AS method
LOOP
    EXECUTE pg_catalog.format(
        'CREATE OPERATOR CLASS array_ops DEFAULT FOR TYPE pg_catalog.anyarray USING %I AS'
        ' OPERATOR 3 pg_catalog.= (pg_catalog.anyarray, pg_catalog.anyarray),'
        ' OPERATOR 6 pg_catalog.&& (pg_catalog.anyarray, pg_catalog.anyarray),'
        ' OPERATOR 7 pg_catalog.@> (pg_catalog.anyarray, pg_catalog.anyarray),'
        ' OPERATOR 8 pg_catalog.<@ (pg_catalog.anyarray, pg_catalog.anyarray),'
        ' FUNCTION 2 hnsw_array_keys(internal)', class.name);
END LOOP;

EXECUTE $both$

-- ---------------------------------------------------------------------------------------------------
-- Monitoring
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION dvec_simd() RETURNS text
    AS 'MODULE_PATHNAME', 'dvec_simd' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION dvec_simd() IS 'the instruction set that distances are computed with';

CREATE FUNCTION dvec_index_states(
    OUT tablespace oid,
    OUT database oid,
    OUT file_number oid,
    OUT backend integer,
    OUT state text,
    OUT nodes bigint,
    OUT deleted bigint,
    OUT tail bigint,
    OUT bytes bigint,
    OUT log_bytes bigint,
    OUT unsynced_log_bytes bigint,
    OUT checkpoints bigint,
    OUT last_checkpoint timestamptz,
    OUT scans bigint,
    OUT opened_by text,
    OUT opening_time interval,
    OUT replayed_records bigint,
    OUT dropped_records bigint,
    OUT damaged_records bigint,
    OUT damage bigint,
    OUT compactions bigint,
    OUT compact_done bigint,
    OUT compact_total bigint,
    OUT waiting bigint,
    OUT waiting_for text,
    OUT waits bigint,
    OUT reconcile_lsn pg_lsn,
    OUT pages_behind bigint,
    OUT read_lsn pg_lsn,
    OUT repair text,
    OUT repair_reason text,
    OUT repair_done bigint,
    OUT repair_total bigint,
    OUT repaired bigint,
    OUT repair_added bigint,
    OUT repair_removed bigint,
    OUT row_bytes double precision,
    OUT row_link_bytes double precision,
    OUT row_code_bytes double precision,
    OUT row_vector_bytes double precision,
    OUT row_upper_bytes double precision,
    OUT row_log_bytes double precision
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_index_states' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 100;

COMMENT ON FUNCTION dvec_index_states() IS
    'the indexes in use since the server started, in all databases, by the file they are stored in';

-- The indexes of this database. One that was not used since the server started is 'closed'.
CREATE VIEW dvec_indexes AS
SELECT
    index.oid::regclass AS index,
    definition.indrelid::regclass AS "table",
    coalesce(states.state, 'closed') AS state,
    states.nodes,
    states.deleted,
    states.tail,
    states.bytes,
    states.log_bytes,
    states.unsynced_log_bytes,
    states.checkpoints,
    states.last_checkpoint,
    states.scans,
    states.opened_by,
    states.opening_time,
    states.replayed_records,
    states.dropped_records,
    states.damaged_records,
    states.damage,
    states.compactions,
    states.compact_done,
    states.compact_total,
    states.waiting,
    states.waiting_for,
    states.waits,
    states.reconcile_lsn,
    states.pages_behind,
    states.read_lsn,
    states.repair,
    states.repair_reason,
    states.repair_done,
    states.repair_total,
    states.repaired,
    states.repair_added,
    states.repair_removed,
    states.row_bytes,
    states.row_link_bytes,
    states.row_code_bytes,
    states.row_vector_bytes,
    states.row_upper_bytes,
    states.row_log_bytes
FROM pg_class AS index
JOIN pg_am AS method ON method.oid = index.relam
JOIN pg_proc AS handler ON handler.oid = method.amhandler
    AND handler.prosrc IN ('dvec_handler', 'dvec_hnswhandler', 'dvec_ivfflathandler')
JOIN pg_index AS definition ON definition.indexrelid = index.oid
JOIN pg_database AS this ON this.datname = current_database()
LEFT JOIN dvec_index_states() AS states
    ON states.database = this.oid
    AND states.file_number = pg_relation_filenode(index.oid)
    AND states.tablespace = CASE index.reltablespace
        WHEN 0 THEN this.dattablespace ELSE index.reltablespace END
WHERE index.relkind = 'i';

COMMENT ON VIEW dvec_indexes IS 'the indexes of dvec in this database and the state of their files';

GRANT SELECT ON dvec_indexes TO PUBLIC;

CREATE FUNCTION dvec_index_counters(
    OUT tablespace oid,
    OUT database oid,
    OUT file_number oid,
    OUT searches bigint,
    OUT rows bigint,
    OUT distances bigint,
    OUT nodes bigint,
    OUT rounds bigint,
    OUT tail bigint,
    OUT refused bigint,
    OUT exact_searches bigint,
    OUT inserts bigint,
    OUT removals bigint,
    OUT linking_waits bigint,
    OUT linking_wait_time double precision,
    OUT compaction_waits bigint,
    OUT compaction_wait_time double precision,
    OUT checkpoint_waits bigint,
    OUT checkpoint_wait_time double precision,
    OUT links bigint,
    OUT link_time double precision,
    OUT compactions bigint,
    OUT compaction_time double precision,
    OUT checkpoints bigint,
    OUT checkpoint_time double precision,
    OUT syncs bigint,
    OUT sync_time double precision,
    OUT failed_syncs bigint,
    OUT stats_reset timestamptz
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_index_counters' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 100;

COMMENT ON FUNCTION dvec_index_counters() IS
    'what was counted about the indexes in use, in all databases, by the file they are stored in';

CREATE VIEW dvec_stat_indexes AS
SELECT
    index.oid::regclass AS index,
    definition.indrelid::regclass AS "table",
    counters.searches,
    counters.rows,
    counters.distances,
    counters.nodes,
    counters.rounds,
    counters.tail,
    counters.refused,
    counters.exact_searches,
    counters.inserts,
    counters.removals,
    counters.linking_waits,
    counters.linking_wait_time,
    counters.compaction_waits,
    counters.compaction_wait_time,
    counters.checkpoint_waits,
    counters.checkpoint_wait_time,
    counters.links,
    counters.link_time,
    counters.compactions,
    counters.compaction_time,
    counters.checkpoints,
    counters.checkpoint_time,
    counters.syncs,
    counters.sync_time,
    counters.failed_syncs,
    counters.stats_reset
FROM dvec_index_counters() AS counters
JOIN pg_database AS this ON this.datname = current_database() AND this.oid = counters.database
JOIN pg_class AS index ON pg_relation_filenode(index.oid) = counters.file_number
    AND counters.tablespace = CASE index.reltablespace
        WHEN 0 THEN this.dattablespace ELSE index.reltablespace END
JOIN pg_am AS method ON method.oid = index.relam
JOIN pg_proc AS handler ON handler.oid = method.amhandler
    AND handler.prosrc IN ('dvec_handler', 'dvec_hnswhandler', 'dvec_ivfflathandler')
JOIN pg_index AS definition ON definition.indexrelid = index.oid
WHERE index.relkind = 'i';

COMMENT ON VIEW dvec_stat_indexes IS 'what was counted about the indexes of dvec in this database that are in use';

GRANT SELECT ON dvec_stat_indexes TO PUBLIC;

CREATE FUNCTION dvec_stat_reset(index regclass DEFAULT NULL) RETURNS void
    AS 'MODULE_PATHNAME', 'dvec_stat_reset' LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION dvec_stat_reset(regclass) IS
    'sets the counters of an index, or of all in this database, to zero';

REVOKE EXECUTE ON FUNCTION dvec_stat_reset(regclass) FROM PUBLIC;

CREATE FUNCTION dvec_check(
    index regclass,
    heap boolean DEFAULT true,
    OUT file text,
    OUT "offset" bigint,
    OUT problem text
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_check' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 1;

COMMENT ON FUNCTION dvec_check(regclass, boolean) IS
    'what is damaged in an index of dvec, and what it lacks of its table; what can be mended is';

-- Reads whole files, and tells TIDs.
REVOKE EXECUTE ON FUNCTION dvec_check(regclass, boolean) FROM PUBLIC;

CREATE FUNCTION dvec_prewarm(index regclass) RETURNS bigint
    AS 'MODULE_PATHNAME', 'dvec_prewarm' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000;

COMMENT ON FUNCTION dvec_prewarm(regclass) IS
    'reads the files of an index of dvec into memory; returns their bytes';

CREATE FUNCTION dvec_index_size(
    index regclass,
    OUT part text,
    OUT bytes bigint,
    OUT bytes_per_row double precision
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_index_size' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 10;

COMMENT ON FUNCTION dvec_index_size(regclass) IS
    'what the files of an index of dvec take, by what is in them';

CREATE FUNCTION dvec_last_searches(
    OUT index regclass,
    OUT searches bigint,
    OUT rows bigint,
    OUT distances bigint,
    OUT estimates bigint,
    OUT nodes bigint,
    OUT rounds bigint,
    OUT tail bigint,
    OUT refused bigint,
    OUT exact_searches bigint,
    OUT ef_search integer,
    OUT milliseconds double precision
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_last_searches' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1;

COMMENT ON FUNCTION dvec_last_searches() IS
    'what the last statement of this session that searched indexes of dvec did there';

-- ---------------------------------------------------------------------------------------------------
-- Recall: how much of the exact answer an index finds
-- ---------------------------------------------------------------------------------------------------

CREATE FUNCTION dvec_ef_search(index regclass, k integer DEFAULT 10) RETURNS integer
    AS 'MODULE_PATHNAME', 'dvec_ef_search' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION dvec_ef_search(regclass, integer) IS
    'how many candidates a search of an index of dvec for k rows keeps in this session; null of another relation';

CREATE FUNCTION dvec_recall_curve(
    index regclass,
    OUT k integer,
    OUT ef_search integer,
    OUT recall double precision,
    OUT error double precision,
    OUT queries integer,
    OUT rows bigint
) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'dvec_recall_curve' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 50;

COMMENT ON FUNCTION dvec_recall_curve(regclass) IS
    'what dvec has measured of an index to choose ef_search by for target_recall; no row before that';

-- Of indexes of the same vectors by the same operator, each used alone. Queries are rows of the table,
-- chosen at random, the same for all; the row itself does not count among its neighbors. A neighbor is
-- found when a row as near as it was returned, so that equal distances are no misses. Besides a ladder of
-- values, `asked` is measured unless it is 0.
CREATE FUNCTION dvec_measure_recall(
    indexes regclass[],
    queries integer,
    k integer,
    asked integer,
    OUT index regclass,
    OUT setting text,
    OUT value integer,
    OUT recall double precision,
    OUT milliseconds double precision,
    OUT plan text
) RETURNS SETOF record LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 12
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on
    SET enable_indexscan = on
    SET enable_bitmapscan = off
    SET max_parallel_workers_per_gather = 0
    SET dvec.ef_search = 40
    SET hnsw.ef_search = 40
    SET ivfflat.probes = 1
    SET dvec.measured_index = ''
AS $function$
DECLARE
    shape record;
    sample record;
    line text;
    nearest text;               -- the k + 1 nearest rows of a query, $1, as t (tid) and d (distance)
    distances text;             -- of those without the query's own row, $3, the k first
    bounds double precision[];  -- by query, the distance of its k-th neighbor
    bound double precision;
    neighbors bigint;
    all_neighbors bigint := 0;  -- of all queries: k of each, or as many as there are
    found_neighbors bigint;
    started timestamptz;
    warm boolean;
BEGIN
    IF queries NOT BETWEEN 1 AND 10000 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'number of queries must be between 1 and 10000';
    ELSIF k NOT BETWEEN 1 AND 1000 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'number of neighbors must be between 1 and 1000';
    END IF;

    SELECT format('ONLY %s', definition.indrelid::regclass) AS rows,
        format('(%s)', pg_get_indexdef(definition.indexrelid, 1, false)) AS vector,
        format('(%s)', coalesce(pg_get_expr(definition.indpred, definition.indrelid), 'true')) AS condition,
        format('OPERATOR(%I.%s)', schema.nspname, operator.oprname) AS operator,
        -- With the modifier -1, "bit" is of any length.
        format_type(class.opcintype, -1) AS type
    INTO shape
    FROM pg_index AS definition
    JOIN pg_opclass AS class ON class.oid = definition.indclass[0]
    JOIN pg_amop AS entry ON entry.amopfamily = class.opcfamily AND entry.amoplefttype = class.opcintype
        AND entry.amoppurpose = 'o'
    JOIN pg_operator AS operator ON operator.oid = entry.amopopr
    JOIN pg_namespace AS schema ON schema.oid = operator.oprnamespace
    JOIN pg_class AS relation ON relation.oid = definition.indexrelid AND relation.relkind = 'i'
    JOIN pg_am AS method ON method.oid = relation.relam AND method.amname IN ('dvec', 'hnsw', 'ivfflat')
    WHERE definition.indexrelid = indexes[1];
    IF NOT FOUND THEN
        SELECT relation.relname AS name,
            relation.relkind = 'I' AND method.amname IN ('dvec', 'hnsw', 'ivfflat') AS partitioned
        INTO shape
        FROM pg_class AS relation LEFT JOIN pg_am AS method ON method.oid = relation.relam
        WHERE relation.oid = indexes[1];
        IF shape.partitioned THEN
            RAISE wrong_object_type USING
                MESSAGE = format('"%s" is a partitioned index', shape.name),
                HINT = 'Each of its partitions has an index of its own: measure those.';
        END IF;
        RAISE wrong_object_type USING MESSAGE = format('"%s" is not an index of vectors', shape.name);
    END IF;

    nearest := format('SELECT ctid AS t, %1$s %2$s $1::%3$s AS d FROM %4$s WHERE %5$s ORDER BY %1$s %2$s $1::%3$s'
        ' LIMIT $2 + 1', shape.vector, shape.operator, shape.type, shape.rows, shape.condition);
    distances := format('SELECT d FROM (%s) AS nearest WHERE t <> $3 ORDER BY d LIMIT $2', nearest);

    EXECUTE format('SELECT array_agg(t) AS tids, array_agg(v) AS vectors FROM (SELECT ctid AS t, %1$s::text AS v'
        ' FROM %2$s WHERE %3$s AND %1$s IS NOT NULL ORDER BY random() LIMIT %4$s) AS sample',
        shape.vector, shape.rows, shape.condition, queries) INTO sample;
    IF sample.tids IS NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('index "%s" has no rows to ask for their neighbors',
                (SELECT relname FROM pg_class WHERE oid = indexes[1]));
        RETURN;
    END IF;

    PERFORM set_config('enable_indexscan', 'off', true);
    FOR i IN 1 .. array_length(sample.tids, 1) LOOP
        EXECUTE format('SELECT max(d), count(d) FROM (%s) AS neighbors', distances)
            INTO bound, neighbors USING sample.vectors[i], k, sample.tids[i];
        bounds[i] := bound;
        all_neighbors := all_neighbors + neighbors;
    END LOOP;

    PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
    FOREACH index IN ARRAY indexes LOOP
        PERFORM set_config('dvec.measured_index', index::oid::text, true);
        SELECT CASE WHEN handler.prosrc LIKE 'dvec\_%' THEN 'dvec.ef_search'
            WHEN method.amname = 'ivfflat' THEN 'ivfflat.probes' ELSE 'hnsw.ef_search' END
        INTO setting
        FROM pg_class AS relation
        JOIN pg_am AS method ON method.oid = relation.relam
        JOIN pg_proc AS handler ON handler.oid = method.amhandler
        WHERE relation.oid = index;

        plan := NULL;
        FOR line IN EXECUTE 'EXPLAIN ' || nearest USING sample.vectors[1], k LOOP
            IF strpos(line, format(' using %I on ', (SELECT relname FROM pg_class WHERE oid = index))) > 0 THEN
                plan := ltrim(line, ' ->');
            END IF;
        END LOOP;
        IF plan IS NULL THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('queries do not use index "%s"', (SELECT relname FROM pg_class WHERE oid = index)),
                HINT = 'See its state in dvec_indexes.';
        END IF;

        warm := false;
        FOR value IN SELECT DISTINCT unnest(CASE setting
                WHEN 'ivfflat.probes' THEN ARRAY[1, 2, 4, 8, 16, 32, 64, 128]
                WHEN 'hnsw.ef_search' THEN ARRAY[10, 20, 40, 80, 160, 320, 640, 1000]
                ELSE ARRAY[10, 20, 40, 80, 160, 320, 640, 1000, 2000, 4000, 10000, coalesce(nullif(asked, 0), 10)] END)
            ORDER BY 1
        LOOP
            PERFORM set_config(setting, value::text, true);
            -- The queries are asked once more than they are timed: whoever reads a part of an index
            -- for the first time waits for memory, or for the disk.
            LOOP
                found_neighbors := 0;
                started := clock_timestamp();
                FOR i IN 1 .. array_length(sample.tids, 1) LOOP
                    EXECUTE format('SELECT count(*) FROM (%s) AS neighbors WHERE d <= $4', distances)
                        INTO neighbors USING sample.vectors[i], k, sample.tids[i], bounds[i];
                    found_neighbors := found_neighbors + neighbors;
                END LOOP;
                EXIT WHEN warm;
                warm := true;
            END LOOP;
            milliseconds := extract(epoch FROM clock_timestamp() - started) * 1000 / array_length(sample.tids, 1);
            -- A row without others misses none.
            recall := coalesce(found_neighbors / nullif(all_neighbors, 0)::double precision, 1);
            RETURN NEXT;
            EXIT WHEN found_neighbors = all_neighbors AND value >= asked;
        END LOOP;
    END LOOP;
END
$function$;

COMMENT ON FUNCTION dvec_measure_recall(regclass[], integer, integer, integer) IS
    'implementation of dvec_recall and dvec_compare';

CREATE FUNCTION dvec_recall(
    index regclass,
    queries integer DEFAULT 100,
    k integer DEFAULT 10,
    OUT ef_search integer,
    OUT recall double precision,
    OUT milliseconds double precision,
    OUT in_force boolean
) RETURNS SETOF record LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 12
BEGIN ATOMIC
    SELECT measured.value, measured.recall, measured.milliseconds, measured.value = kept.ef_search
    -- What k may be is said where it is measured.
    FROM dvec_ef_search(index, greatest(k, 1)) AS kept (ef_search),
        dvec_measure_recall(ARRAY[index], queries, k, coalesce(kept.ef_search, 0)) AS measured;
END;

COMMENT ON FUNCTION dvec_recall(regclass, integer, integer) IS
    'which share of the nearest rows an index finds at each ef_search, and the time of a query';

CREATE FUNCTION dvec_compare(
    index regclass,
    queries integer DEFAULT 100,
    k integer DEFAULT 10,
    OUT compared regclass,
    OUT setting text,
    OUT value integer,
    OUT recall double precision,
    OUT milliseconds double precision,
    OUT plan text
) RETURNS SETOF record LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 16
BEGIN ATOMIC
    SELECT measured.*
    FROM dvec_measure_recall(ARRAY[$1] || ARRAY(
        SELECT other.indexrelid::regclass
        FROM pg_index AS this
        JOIN pg_index AS other ON other.indrelid = this.indrelid AND other.indisvalid
            AND pg_get_indexdef(other.indexrelid, 1, false) = pg_get_indexdef(this.indexrelid, 1, false)
            AND pg_get_expr(other.indpred, other.indrelid)
                IS NOT DISTINCT FROM pg_get_expr(this.indpred, this.indrelid)
        JOIN pg_opclass AS this_class ON this_class.oid = this.indclass[0]
        JOIN pg_opclass AS other_class ON other_class.oid = other.indclass[0]
        JOIN pg_amop AS this_entry ON this_entry.amopfamily = this_class.opcfamily
            AND this_entry.amoppurpose = 'o'
        JOIN pg_amop AS other_entry ON other_entry.amopfamily = other_class.opcfamily
            AND other_entry.amoppurpose = 'o' AND other_entry.amopopr = this_entry.amopopr
        WHERE this.indexrelid = $1 AND other.indexrelid <> $1
        ORDER BY other.indexrelid), queries, k, 0) AS measured;
END;

COMMENT ON FUNCTION dvec_compare(regclass, integer, integer) IS
    'recall, time and plan of an index and of the others that answer the same queries, pgvector''s included';

$both$;
END
$install$;

DROP FUNCTION dvec_depend_on_extension(name);
