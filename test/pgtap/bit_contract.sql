-- What clients may rely on about distances of bit strings, and that dvec has no objects on any other
-- type than its contracts tell of.
BEGIN;
SELECT no_plan();

PREPARE functions AS
    SELECT p.proname::text, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
        p.provolatile::text, p.proisstrict, p.proparallel::text
    FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    WHERE p.prokind = 'f' AND p.proname !~ '^(hnsw|ivfflat|dvec|(vector|halfvec|sparsevec)_(combine|typmod_in))'
        AND NOT p.proargtypes::oid[] || p.prorettype
            && ARRAY['vector', 'halfvec', 'sparsevec']::regtype[]::oid[];
SELECT set_eq('functions', $$VALUES
    ('hamming_distance', 'bit, bit', 'double precision', 'i', true, 's'),
    ('jaccard_distance', 'bit, bit', 'double precision', 'i', true, 's')$$,
    'two functions, immutable, strict and parallel safe');

PREPARE operators AS
    SELECT o.oprname::text, o.oprleft::regtype::text, o.oprright::regtype::text,
        o.oprresult::regtype::text, o.oprcode::text, c.oprname::text AS commutator
    FROM pg_operator o JOIN pg_depend d ON d.objid = o.oid AND d.classid = 'pg_operator'::regclass
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'dvec' AND d.deptype = 'e'
    LEFT JOIN pg_operator c ON c.oid = o.oprcom
    WHERE o.oprleft NOT IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype);
SELECT set_eq('operators', $$VALUES
    ('<~>', 'bit', 'bit', 'double precision', 'hamming_distance', '<~>'),
    ('<%>', 'bit', 'bit', 'double precision', 'jaccard_distance', '<%>')$$,
    'an operator for each');

SELECT * FROM finish();
ROLLBACK;
