-- What clients may rely on about the type vector: functions with their arguments, results and labels,
-- operators, casts, aggregates and the btree operator class.
BEGIN;
SELECT no_plan();

SELECT has_type('vector');
SELECT set_eq(
    $$SELECT typlen::int, typalign::text, typstorage::text, typinput::text, typoutput::text,
             typreceive::text, typsend::text, typmodin::text, typcategory::text
      FROM pg_type WHERE oid = 'vector'::regtype$$,
    $$VALUES (-1, 'i', 'e', 'vector_in', 'vector_out', 'vector_recv', 'vector_send',
              'vector_typmod_in', 'U')$$,
    'vector is a variable-length type of its own, stored externally without compression');
CREATE TABLE typed (v vector(3));
SELECT col_type_is('typed', 'v', 'vector(3)', 'the declared dimensions are part of the name');

-- Every function of the type is immutable, strict and parallel safe.
CREATE TEMP TABLE expected (name text, arguments text, result text);
INSERT INTO expected VALUES
    ('array_to_vector', 'double precision[], integer, boolean', 'vector'),
    ('array_to_vector', 'integer[], integer, boolean', 'vector'),
    ('array_to_vector', 'numeric[], integer, boolean', 'vector'),
    ('array_to_vector', 'real[], integer, boolean', 'vector'),
    ('binary_quantize', 'vector', 'bit'),
    ('cosine_distance', 'vector, vector', 'double precision'),
    ('inner_product', 'vector, vector', 'double precision'),
    ('l1_distance', 'vector, vector', 'double precision'),
    ('l2_distance', 'vector, vector', 'double precision'),
    ('l2_normalize', 'vector', 'vector'),
    ('subvector', 'vector, integer, integer', 'vector'),
    ('vector', 'vector, integer, boolean', 'vector'),
    ('vector_accum', 'double precision[], vector', 'double precision[]'),
    ('vector_add', 'vector, vector', 'vector'),
    ('vector_avg', 'double precision[]', 'vector'),
    ('vector_cmp', 'vector, vector', 'integer'),
    ('vector_combine', 'double precision[], double precision[]', 'double precision[]'),
    ('vector_concat', 'vector, vector', 'vector'),
    ('vector_dims', 'vector', 'integer'),
    ('vector_eq', 'vector, vector', 'boolean'),
    ('vector_ge', 'vector, vector', 'boolean'),
    ('vector_gt', 'vector, vector', 'boolean'),
    ('vector_in', 'cstring, oid, integer', 'vector'),
    ('vector_l2_squared_distance', 'vector, vector', 'double precision'),
    ('vector_le', 'vector, vector', 'boolean'),
    ('vector_lt', 'vector, vector', 'boolean'),
    ('vector_mul', 'vector, vector', 'vector'),
    ('vector_ne', 'vector, vector', 'boolean'),
    ('vector_negative_inner_product', 'vector, vector', 'double precision'),
    ('vector_norm', 'vector', 'double precision'),
    ('vector_out', 'vector', 'cstring'),
    ('vector_recv', 'internal, oid, integer', 'vector'),
    ('vector_send', 'vector', 'bytea'),
    ('vector_spherical_distance', 'vector, vector', 'double precision'),
    ('vector_sub', 'vector, vector', 'vector'),
    ('vector_to_float4', 'vector, integer, boolean', 'real[]'),
    ('vector_typmod_in', 'cstring[]', 'integer');
PREPARE functions AS
    SELECT p.proname::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
    FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    WHERE p.prokind = 'f' AND (p.proname ~ '^vector_(combine|typmod_in)'
        OR 'vector'::regtype = ANY (p.proargtypes::oid[] || p.prorettype))
        AND NOT p.proargtypes::oid[] || p.prorettype && ARRAY['halfvec', 'sparsevec']::regtype[]::oid[];
SELECT set_eq('functions', 'SELECT name, arguments, result FROM expected', 'these functions and no others');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid
          AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec'
      WHERE p.prokind = 'f' AND p.proname !~ '^(hnsw|ivfflat|dvec)'
        AND (p.provolatile, p.proisstrict, p.proparallel) <> ('i', true, 's')$$,
    'each is immutable, strict and parallel safe');

PREPARE operators AS
    SELECT o.oprname::text, o.oprleft::regtype::text, o.oprright::regtype::text,
        o.oprresult::regtype::text, o.oprcode::regprocedure::text, coalesce(c.oprname::text, '') AS commutator,
        coalesce(n.oprname::text, '') AS negator
    FROM pg_operator o JOIN pg_depend d ON d.objid = o.oid AND d.classid = 'pg_operator'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_operator n ON n.oid = o.oprnegate
    WHERE 'vector'::regtype IN (o.oprleft, o.oprright);
SELECT set_eq('operators', $$VALUES
    ('<->', 'vector', 'vector', 'double precision', 'l2_distance(vector,vector)', '<->', ''),
    ('<#>', 'vector', 'vector', 'double precision', 'vector_negative_inner_product(vector,vector)', '<#>', ''),
    ('<=>', 'vector', 'vector', 'double precision', 'cosine_distance(vector,vector)', '<=>', ''),
    ('<+>', 'vector', 'vector', 'double precision', 'l1_distance(vector,vector)', '<+>', ''),
    ('+', 'vector', 'vector', 'vector', 'vector_add(vector,vector)', '+', ''),
    ('-', 'vector', 'vector', 'vector', 'vector_sub(vector,vector)', '', ''),
    ('*', 'vector', 'vector', 'vector', 'vector_mul(vector,vector)', '*', ''),
    ('||', 'vector', 'vector', 'vector', 'vector_concat(vector,vector)', '', ''),
    ('<', 'vector', 'vector', 'boolean', 'vector_lt(vector,vector)', '>', '>='),
    ('<=', 'vector', 'vector', 'boolean', 'vector_le(vector,vector)', '>=', '>'),
    ('=', 'vector', 'vector', 'boolean', 'vector_eq(vector,vector)', '=', '<>'),
    ('<>', 'vector', 'vector', 'boolean', 'vector_ne(vector,vector)', '<>', '='),
    ('>=', 'vector', 'vector', 'boolean', 'vector_ge(vector,vector)', '<=', '<'),
    ('>', 'vector', 'vector', 'boolean', 'vector_gt(vector,vector)', '<', '<=')$$,
    'operators with functions, commutators and negators');

SELECT cast_context_is('vector', 'vector', 'implicit');
SELECT cast_context_is('vector', 'real[]', 'implicit');
SELECT cast_context_is('integer[]', 'vector', 'assignment');
SELECT cast_context_is('real[]', 'vector', 'assignment');
SELECT cast_context_is('double precision[]', 'vector', 'assignment');
SELECT cast_context_is('numeric[]', 'vector', 'assignment');
SELECT is(count(*), 6::bigint, 'no other casts') FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget)
    AND NOT ARRAY[castsource, casttarget] && ARRAY['halfvec', 'sparsevec']::regtype[]::oid[];

SELECT set_eq(
    $$SELECT p.proname::text, a.aggtransfn::text, a.aggcombinefn::text, a.aggfinalfn::text,
             a.aggtranstype::regtype::text, a.agginitval, p.proparallel::text
      FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
      WHERE p.pronargs = 1 AND p.proargtypes[0] = 'vector'::regtype$$,
    $$VALUES ('avg', 'vector_accum', 'vector_combine', 'vector_avg', 'double precision[]', '{0}', 's'),
             ('sum', 'vector_add', 'vector_add', '-', 'vector', NULL, 's')$$,
    'avg and sum can be computed in parallel');

SELECT set_eq(
    $$SELECT amopstrategy::int, amopopr::regoperator::text FROM pg_amop
      WHERE amopfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'vector_ops') ORDER BY 1$$,
    $$VALUES (1, '<(vector,vector)'), (2, '<=(vector,vector)'), (3, '=(vector,vector)'),
             (4, '>=(vector,vector)'), (5, '>(vector,vector)')$$,
    'btree order');
SELECT ok(opcdefault AND amvalidate(oid), 'vector_ops is valid and the default for btree')
FROM pg_opclass WHERE opcname = 'vector_ops';

SELECT * FROM finish();
ROLLBACK;
