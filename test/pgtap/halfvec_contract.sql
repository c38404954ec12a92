-- What clients may rely on about the type halfvec: functions with their arguments, results and labels,
-- operators, casts, aggregates and the btree operator class.
BEGIN;
SELECT no_plan();

SELECT has_type('halfvec');
SELECT set_eq(
    $$SELECT typlen::int, typalign::text, typstorage::text, typinput::text, typoutput::text,
             typreceive::text, typsend::text, typmodin::text, typcategory::text
      FROM pg_type WHERE oid = 'halfvec'::regtype$$,
    $$VALUES (-1, 'i', 'e', 'halfvec_in', 'halfvec_out', 'halfvec_recv', 'halfvec_send',
              'halfvec_typmod_in', 'U')$$,
    'halfvec is a variable-length type of its own, stored externally without compression');
CREATE TABLE typed (v halfvec(3));
SELECT col_type_is('typed', 'v', 'halfvec(3)', 'the declared dimensions are part of the name');

-- Every function of the type is immutable, strict and parallel safe.
CREATE TEMP TABLE expected (name text, arguments text, result text);
INSERT INTO expected VALUES
    ('array_to_halfvec', 'double precision[], integer, boolean', 'halfvec'),
    ('array_to_halfvec', 'integer[], integer, boolean', 'halfvec'),
    ('array_to_halfvec', 'numeric[], integer, boolean', 'halfvec'),
    ('array_to_halfvec', 'real[], integer, boolean', 'halfvec'),
    ('binary_quantize', 'halfvec', 'bit'),
    ('cosine_distance', 'halfvec, halfvec', 'double precision'),
    ('halfvec', 'halfvec, integer, boolean', 'halfvec'),
    ('halfvec_accum', 'double precision[], halfvec', 'double precision[]'),
    ('halfvec_add', 'halfvec, halfvec', 'halfvec'),
    ('halfvec_avg', 'double precision[]', 'halfvec'),
    ('halfvec_cmp', 'halfvec, halfvec', 'integer'),
    ('halfvec_combine', 'double precision[], double precision[]', 'double precision[]'),
    ('halfvec_concat', 'halfvec, halfvec', 'halfvec'),
    ('halfvec_eq', 'halfvec, halfvec', 'boolean'),
    ('halfvec_ge', 'halfvec, halfvec', 'boolean'),
    ('halfvec_gt', 'halfvec, halfvec', 'boolean'),
    ('halfvec_in', 'cstring, oid, integer', 'halfvec'),
    ('halfvec_l2_squared_distance', 'halfvec, halfvec', 'double precision'),
    ('halfvec_le', 'halfvec, halfvec', 'boolean'),
    ('halfvec_lt', 'halfvec, halfvec', 'boolean'),
    ('halfvec_mul', 'halfvec, halfvec', 'halfvec'),
    ('halfvec_ne', 'halfvec, halfvec', 'boolean'),
    ('halfvec_negative_inner_product', 'halfvec, halfvec', 'double precision'),
    ('halfvec_out', 'halfvec', 'cstring'),
    ('halfvec_recv', 'internal, oid, integer', 'halfvec'),
    ('halfvec_send', 'halfvec', 'bytea'),
    ('halfvec_spherical_distance', 'halfvec, halfvec', 'double precision'),
    ('halfvec_sub', 'halfvec, halfvec', 'halfvec'),
    ('halfvec_to_float4', 'halfvec, integer, boolean', 'real[]'),
    ('halfvec_to_vector', 'halfvec, integer, boolean', 'vector'),
    ('halfvec_typmod_in', 'cstring[]', 'integer'),
    ('inner_product', 'halfvec, halfvec', 'double precision'),
    ('l1_distance', 'halfvec, halfvec', 'double precision'),
    ('l2_distance', 'halfvec, halfvec', 'double precision'),
    ('l2_norm', 'halfvec', 'double precision'),
    ('l2_normalize', 'halfvec', 'halfvec'),
    ('subvector', 'halfvec, integer, integer', 'halfvec'),
    ('vector_dims', 'halfvec', 'integer'),
    ('vector_to_halfvec', 'vector, integer, boolean', 'halfvec');
CREATE TEMP VIEW functions AS
    SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    WHERE p.prokind = 'f' AND (p.proname ~ '^halfvec_(typmod_in|combine)'
        OR 'halfvec'::regtype = ANY (p.proargtypes::oid[] || p.prorettype))
        AND NOT 'sparsevec'::regtype = ANY (p.proargtypes::oid[] || p.prorettype);
SELECT set_eq(
    'SELECT proname::text, pg_get_function_arguments(oid), pg_get_function_result(oid) FROM functions',
    'SELECT name, arguments, result FROM expected', 'these functions and no others');
SELECT is_empty(
    $$SELECT oid::regprocedure FROM functions
      WHERE (provolatile, proisstrict, proparallel) <> ('i', true, 's')$$,
    'each is immutable, strict and parallel safe');

PREPARE operators AS
    SELECT o.oprname::text, o.oprleft::regtype::text, o.oprright::regtype::text,
        o.oprresult::regtype::text, o.oprcode::regprocedure::text,
        coalesce(c.oprname::text, '') AS commutator, coalesce(n.oprname::text, '') AS negator
    FROM pg_operator o
    LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_operator n ON n.oid = o.oprnegate
    WHERE 'halfvec'::regtype IN (o.oprleft, o.oprright);
SELECT set_eq('operators', $$VALUES
    ('<->', 'halfvec', 'halfvec', 'double precision', 'l2_distance(halfvec,halfvec)', '<->', ''),
    ('<#>', 'halfvec', 'halfvec', 'double precision', 'halfvec_negative_inner_product(halfvec,halfvec)', '<#>', ''),
    ('<=>', 'halfvec', 'halfvec', 'double precision', 'cosine_distance(halfvec,halfvec)', '<=>', ''),
    ('<+>', 'halfvec', 'halfvec', 'double precision', 'l1_distance(halfvec,halfvec)', '<+>', ''),
    ('+', 'halfvec', 'halfvec', 'halfvec', 'halfvec_add(halfvec,halfvec)', '+', ''),
    ('-', 'halfvec', 'halfvec', 'halfvec', 'halfvec_sub(halfvec,halfvec)', '', ''),
    ('*', 'halfvec', 'halfvec', 'halfvec', 'halfvec_mul(halfvec,halfvec)', '*', ''),
    ('||', 'halfvec', 'halfvec', 'halfvec', 'halfvec_concat(halfvec,halfvec)', '', ''),
    ('<', 'halfvec', 'halfvec', 'boolean', 'halfvec_lt(halfvec,halfvec)', '>', '>='),
    ('<=', 'halfvec', 'halfvec', 'boolean', 'halfvec_le(halfvec,halfvec)', '>=', '>'),
    ('=', 'halfvec', 'halfvec', 'boolean', 'halfvec_eq(halfvec,halfvec)', '=', '<>'),
    ('<>', 'halfvec', 'halfvec', 'boolean', 'halfvec_ne(halfvec,halfvec)', '<>', '='),
    ('>=', 'halfvec', 'halfvec', 'boolean', 'halfvec_ge(halfvec,halfvec)', '<=', '<'),
    ('>', 'halfvec', 'halfvec', 'boolean', 'halfvec_gt(halfvec,halfvec)', '<', '<=')$$,
    'operators with functions, commutators and negators');

SELECT cast_context_is('halfvec', 'halfvec', 'implicit');
SELECT cast_context_is('halfvec', 'vector', 'assignment');
SELECT cast_context_is('vector', 'halfvec', 'implicit');
SELECT cast_context_is('halfvec', 'real[]', 'assignment');
SELECT cast_context_is('integer[]', 'halfvec', 'assignment');
SELECT cast_context_is('real[]', 'halfvec', 'assignment');
SELECT cast_context_is('double precision[]', 'halfvec', 'assignment');
SELECT cast_context_is('numeric[]', 'halfvec', 'assignment');
SELECT is(count(*), 8::bigint, 'no other casts') FROM pg_cast
WHERE 'halfvec'::regtype IN (castsource, casttarget) AND 'sparsevec'::regtype NOT IN (castsource, casttarget);

SELECT set_eq(
    $$SELECT p.proname::text, a.aggtransfn::text, a.aggcombinefn::text, a.aggfinalfn::text,
             a.aggtranstype::regtype::text, a.agginitval, p.proparallel::text
      FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
      WHERE p.pronargs = 1 AND p.proargtypes[0] = 'halfvec'::regtype$$,
    $$VALUES ('avg', 'halfvec_accum', 'halfvec_combine', 'halfvec_avg', 'double precision[]', '{0}',
              's'),
             ('sum', 'halfvec_add', 'halfvec_add', '-', 'halfvec', NULL, 's')$$,
    'avg and sum can be computed in parallel');

SELECT set_eq(
    $$SELECT amopstrategy::int, amopopr::regoperator::text FROM pg_amop
      WHERE amopfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'halfvec_ops') ORDER BY 1$$,
    $$VALUES (1, '<(halfvec,halfvec)'), (2, '<=(halfvec,halfvec)'), (3, '=(halfvec,halfvec)'),
             (4, '>=(halfvec,halfvec)'), (5, '>(halfvec,halfvec)')$$,
    'btree order');
SELECT ok(opcdefault AND amvalidate(oid), 'halfvec_ops is valid and the default for btree')
FROM pg_opclass WHERE opcname = 'halfvec_ops';

SELECT * FROM finish();
ROLLBACK;
