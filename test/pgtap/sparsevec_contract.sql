-- What clients may rely on about the type sparsevec: functions with their arguments, results and labels,
-- operators, casts, and the btree operator class.
BEGIN;
SELECT no_plan();

SELECT has_type('sparsevec');
SELECT set_eq(
    $$SELECT typlen::int, typalign::text, typstorage::text, typinput::text, typoutput::text,
             typreceive::text, typsend::text, typmodin::text, typcategory::text
      FROM pg_type WHERE oid = 'sparsevec'::regtype$$,
    $$VALUES (-1, 'i', 'e', 'sparsevec_in', 'sparsevec_out', 'sparsevec_recv', 'sparsevec_send',
              'sparsevec_typmod_in', 'U')$$,
    'sparsevec is a variable-length type of its own, stored externally without compression');
CREATE TABLE typed (v sparsevec(3));
SELECT col_type_is('typed', 'v', 'sparsevec(3)', 'the declared dimensions are part of the name');

-- Every function of the type is immutable, strict and parallel safe.
CREATE TEMP TABLE expected (name text, arguments text, result text);
INSERT INTO expected VALUES
    ('array_to_sparsevec', 'double precision[], integer, boolean', 'sparsevec'),
    ('array_to_sparsevec', 'integer[], integer, boolean', 'sparsevec'),
    ('array_to_sparsevec', 'numeric[], integer, boolean', 'sparsevec'),
    ('array_to_sparsevec', 'real[], integer, boolean', 'sparsevec'),
    ('cosine_distance', 'sparsevec, sparsevec', 'double precision'),
    ('halfvec_to_sparsevec', 'halfvec, integer, boolean', 'sparsevec'),
    ('inner_product', 'sparsevec, sparsevec', 'double precision'),
    ('l1_distance', 'sparsevec, sparsevec', 'double precision'),
    ('l2_distance', 'sparsevec, sparsevec', 'double precision'),
    ('l2_norm', 'sparsevec', 'double precision'),
    ('l2_normalize', 'sparsevec', 'sparsevec'),
    ('sparsevec', 'sparsevec, integer, boolean', 'sparsevec'),
    ('sparsevec_cmp', 'sparsevec, sparsevec', 'integer'),
    ('sparsevec_eq', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_ge', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_gt', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_in', 'cstring, oid, integer', 'sparsevec'),
    ('sparsevec_l2_squared_distance', 'sparsevec, sparsevec', 'double precision'),
    ('sparsevec_le', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_lt', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_ne', 'sparsevec, sparsevec', 'boolean'),
    ('sparsevec_negative_inner_product', 'sparsevec, sparsevec', 'double precision'),
    ('sparsevec_out', 'sparsevec', 'cstring'),
    ('sparsevec_recv', 'internal, oid, integer', 'sparsevec'),
    ('sparsevec_send', 'sparsevec', 'bytea'),
    ('sparsevec_to_halfvec', 'sparsevec, integer, boolean', 'halfvec'),
    ('sparsevec_to_vector', 'sparsevec, integer, boolean', 'vector'),
    ('sparsevec_typmod_in', 'cstring[]', 'integer'),
    ('vector_to_sparsevec', 'vector, integer, boolean', 'sparsevec');
CREATE TEMP VIEW functions AS
    SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    WHERE p.prokind = 'f' AND (p.proname ~ '^sparsevec_(typmod_in)'
        OR 'sparsevec'::regtype = ANY (p.proargtypes::oid[] || p.prorettype));
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
    WHERE 'sparsevec'::regtype IN (o.oprleft, o.oprright);
SELECT set_eq('operators', $$VALUES
    ('<->', 'sparsevec', 'sparsevec', 'double precision', 'l2_distance(sparsevec,sparsevec)', '<->', ''),
    ('<#>', 'sparsevec', 'sparsevec', 'double precision', 'sparsevec_negative_inner_product(sparsevec,sparsevec)', '<#>', ''),
    ('<=>', 'sparsevec', 'sparsevec', 'double precision', 'cosine_distance(sparsevec,sparsevec)', '<=>', ''),
    ('<+>', 'sparsevec', 'sparsevec', 'double precision', 'l1_distance(sparsevec,sparsevec)', '<+>', ''),
    ('<', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_lt(sparsevec,sparsevec)', '>', '>='),
    ('<=', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_le(sparsevec,sparsevec)', '>=', '>'),
    ('=', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_eq(sparsevec,sparsevec)', '=', '<>'),
    ('<>', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_ne(sparsevec,sparsevec)', '<>', '='),
    ('>=', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_ge(sparsevec,sparsevec)', '<=', '<'),
    ('>', 'sparsevec', 'sparsevec', 'boolean', 'sparsevec_gt(sparsevec,sparsevec)', '<', '<=')$$,
    'operators with functions, commutators and negators');

SELECT cast_context_is('sparsevec', 'sparsevec', 'implicit');
SELECT cast_context_is('sparsevec', 'vector', 'assignment');
SELECT cast_context_is('vector', 'sparsevec', 'implicit');
SELECT cast_context_is('sparsevec', 'halfvec', 'assignment');
SELECT cast_context_is('halfvec', 'sparsevec', 'implicit');
SELECT cast_context_is('integer[]', 'sparsevec', 'assignment');
SELECT cast_context_is('real[]', 'sparsevec', 'assignment');
SELECT cast_context_is('double precision[]', 'sparsevec', 'assignment');
SELECT cast_context_is('numeric[]', 'sparsevec', 'assignment');
SELECT is(count(*), 9::bigint, 'no other casts') FROM pg_cast
WHERE 'sparsevec'::regtype IN (castsource, casttarget);

SELECT set_eq(
    $$SELECT amopstrategy::int, amopopr::regoperator::text FROM pg_amop
      WHERE amopfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'sparsevec_ops') ORDER BY 1$$,
    $$VALUES (1, '<(sparsevec,sparsevec)'), (2, '<=(sparsevec,sparsevec)'), (3, '=(sparsevec,sparsevec)'),
             (4, '>=(sparsevec,sparsevec)'), (5, '>(sparsevec,sparsevec)')$$,
    'btree order');
SELECT ok(opcdefault AND amvalidate(oid), 'sparsevec_ops is valid and the default for btree')
FROM pg_opclass WHERE opcname = 'sparsevec_ops';

SELECT * FROM finish();
ROLLBACK;
