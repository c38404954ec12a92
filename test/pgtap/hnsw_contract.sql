-- What administrators and clients may rely on about indexes: the access method, its operator classes,
-- settings, views and functions.
BEGIN;
SELECT no_plan();

SELECT has_extension('dvec');

SELECT set_eq(
    $$SELECT amname::text, amtype::text, amhandler::text FROM pg_am WHERE amname IN ('dvec', 'hnsw', 'ivfflat')$$,
    $$VALUES ('dvec', 'i', 'dvec_handler'), ('hnsw', 'i', 'hnswhandler'), ('ivfflat', 'i', 'ivfflathandler')$$,
    'the access methods exist');
SELECT set_eq(
    $$SELECT p, pg_indexam_has_property(pg_am.oid, p) FROM pg_am,
        unnest(ARRAY['can_order', 'can_unique', 'can_multi_col', 'can_exclude', 'can_include']) p
      WHERE amname = 'hnsw'$$,
    $$VALUES ('can_order', false), ('can_unique', false), ('can_multi_col', true),
             ('can_exclude', true), ('can_include', false)$$,
    'what hnsw can and cannot do');

PREPARE classes AS
    SELECT c.opcname::text, c.opcintype::regtype::text, c.opcdefault, o.amopstrategy::int,
        o.amopopr::regoperator::text, o.amoppurpose::text, f.opfname::text, p.amprocnum::int,
        p.amproc::text
    FROM pg_opclass c
    JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'hnsw'
    JOIN pg_amop o ON o.amopfamily = c.opcfamily
    JOIN pg_opfamily f ON f.oid = o.amopsortfamily
    JOIN pg_amproc p ON p.amprocfamily = c.opcfamily;
SELECT set_eq('classes', $$VALUES
    ('vector_l2_ops', 'vector', false, 1, '<->(vector,vector)', 'o', 'float_ops', 1,
     'hnsw_vector_l2_support'),
    ('vector_ip_ops', 'vector', false, 1, '<#>(vector,vector)', 'o', 'float_ops', 1,
     'hnsw_vector_ip_support'),
    ('vector_cosine_ops', 'vector', false, 1, '<=>(vector,vector)', 'o', 'float_ops', 1,
     'hnsw_vector_cosine_support'),
    ('vector_l1_ops', 'vector', false, 1, '<+>(vector,vector)', 'o', 'float_ops', 1,
     'hnsw_vector_l1_support'),
    ('halfvec_l2_ops', 'halfvec', false, 1, '<->(halfvec,halfvec)', 'o', 'float_ops', 1,
     'hnsw_halfvec_l2_support'),
    ('halfvec_ip_ops', 'halfvec', false, 1, '<#>(halfvec,halfvec)', 'o', 'float_ops', 1,
     'hnsw_halfvec_ip_support'),
    ('halfvec_cosine_ops', 'halfvec', false, 1, '<=>(halfvec,halfvec)', 'o', 'float_ops', 1,
     'hnsw_halfvec_cosine_support'),
    ('halfvec_l1_ops', 'halfvec', false, 1, '<+>(halfvec,halfvec)', 'o', 'float_ops', 1,
     'hnsw_halfvec_l1_support'),
    ('sparsevec_l2_ops', 'sparsevec', false, 1, '<->(sparsevec,sparsevec)', 'o', 'float_ops', 1,
     'hnsw_sparsevec_l2_support'),
    ('sparsevec_ip_ops', 'sparsevec', false, 1, '<#>(sparsevec,sparsevec)', 'o', 'float_ops', 1,
     'hnsw_sparsevec_ip_support'),
    ('sparsevec_cosine_ops', 'sparsevec', false, 1, '<=>(sparsevec,sparsevec)', 'o', 'float_ops', 1,
     'hnsw_sparsevec_cosine_support'),
    ('sparsevec_l1_ops', 'sparsevec', false, 1, '<+>(sparsevec,sparsevec)', 'o', 'float_ops', 1,
     'hnsw_sparsevec_l1_support'),
    ('bit_hamming_ops', 'bit', false, 1, '<~>(bit,bit)', 'o', 'float_ops', 1,
     'hnsw_bit_hamming_support'),
    ('bit_jaccard_ops', 'bit', false, 1, '<%>(bit,bit)', 'o', 'float_ops', 1,
     'hnsw_bit_jaccard_support')$$,
    'fourteen operator classes of vectors, none of them the default');
SELECT set_eq(
    $$SELECT m.amname::text, c.opcname::text, c.opcintype::regtype::text, c.opcdefault, f.opfname::text, p.amproc::text
      FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod AND m.amname IN ('dvec', 'hnsw', 'ivfflat')
      JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_amproc p ON p.amprocfamily = c.opcfamily
          AND p.amproclefttype = c.opcintype AND p.amprocnum = 2$$,
    $$SELECT m, name || '_ops' AS a, type, true AS b, family || '_ops' AS c, 'hnsw_' || name || '_keys' AS d
      FROM unnest(ARRAY['dvec', 'hnsw', 'ivfflat']) AS m,
      (VALUES ('int2', 'smallint', 'integer'), ('int4', 'integer', 'integer'), ('int8', 'bigint', 'integer'),
          ('float4', 'real', 'float'), ('float8', 'double precision', 'float'), ('numeric', 'numeric', 'numeric'),
          ('bool', 'boolean', 'bool'), ('date', 'date', 'datetime'),
          ('timestamp', 'timestamp without time zone', 'datetime'),
          ('timestamptz', 'timestamp with time zone', 'datetime'), ('uuid', 'uuid', 'uuid'), ('text', 'text', 'text'),
          ('enum', 'anyenum', 'enum'), ('array', 'anyarray', 'array')) AS t (name, type, family)$$,
    'fourteen operator classes of columns behind a vector, the defaults of their types');
SELECT is_empty(
    $$SELECT m.amname, f.opfname, b.amopopr::regoperator FROM pg_opfamily f
      JOIN pg_am m ON m.oid = f.opfmethod AND m.amname IN ('dvec', 'hnsw', 'ivfflat')
      JOIN pg_opfamily g ON g.opfname = f.opfname AND g.opfnamespace = 'pg_catalog'::regnamespace AND g.opfmethod = 403
      JOIN pg_amop b ON b.amopfamily = g.oid AND b.amoplefttype <> 'bpchar'::regtype AND b.amopstrategy <= 5
      WHERE b.amoplefttype <> 'name'::regtype AND b.amoprighttype <> 'name'::regtype AND f.opfname <> 'array_ops'
      AND NOT EXISTS (SELECT FROM pg_amop o WHERE o.amopfamily = f.oid AND o.amopopr = b.amopopr
          AND o.amopstrategy = b.amopstrategy)$$,
    'their operators are those of btree''s families');
SELECT set_eq(
    $$SELECT c.opcname::text, c.opcdefault FROM pg_opclass c
      JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'ivfflat'
      WHERE EXISTS (SELECT FROM pg_amop o WHERE o.amopfamily = c.opcfamily AND o.amoppurpose = 'o')$$,
    $$VALUES ('vector_l2_ops', true), ('vector_ip_ops', false), ('vector_cosine_ops', false),
             ('halfvec_l2_ops', false), ('halfvec_ip_ops', false), ('halfvec_cosine_ops', false),
             ('bit_hamming_ops', false)$$,
    'seven operator classes of ivfflat, one of them the default');
SELECT is_empty(
    $$SELECT i.opcname FROM pg_opclass i JOIN pg_am m ON m.oid = i.opcmethod AND m.amname = 'ivfflat'
      WHERE NOT EXISTS (SELECT FROM pg_opclass h JOIN pg_am n ON n.oid = h.opcmethod AND n.amname = 'hnsw',
          pg_amop x, pg_amop y, pg_amproc p, pg_amproc q
          WHERE h.opcname = i.opcname AND x.amopfamily = i.opcfamily AND y.amopfamily = h.opcfamily
          AND x.amopopr = y.amopopr AND x.amopstrategy = y.amopstrategy
          AND p.amprocfamily = i.opcfamily AND q.amprocfamily = h.opcfamily AND p.amproc = q.amproc)$$,
    'a class of ivfflat has operator and function of that of hnsw');
SELECT ok(amvalidate(c.oid), m.amname || ' ' || c.opcname || ' is valid')
FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod WHERE m.amname IN ('dvec', 'hnsw', 'ivfflat')
ORDER BY m.amname, c.opcname;
-- amvalidate can say no.
CREATE OPERATOR CLASS without_support FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
CREATE OPERATOR CLASS without_distance FOR TYPE vector USING hnsw AS
    FUNCTION 1 hnsw_vector_l2_support(internal);
SET LOCAL client_min_messages = error;
SELECT ok(NOT amvalidate(oid), opcname || ' is not valid') FROM pg_opclass WHERE opcname ~ '^without_';
RESET client_min_messages;

SELECT set_eq(
    $$SELECT p.oid::regprocedure::text, provolatile::text, proisstrict, proparallel::text
      FROM pg_proc p WHERE proname ~ '^dvec_' ORDER BY proname$$,
    $$VALUES ('dvec_check(regclass,boolean)', 'v', true, 'u'),
        ('dvec_compare(regclass,integer,integer)', 'v', true, 'u'),
        ('dvec_measure_recall(regclass[],integer,integer,integer)', 'v', true, 'u'), ('dvec_ef_search(regclass,integer)', 's', true, 's'), ('dvec_recall_curve(regclass)', 'v', true, 'u'), ('dvec_handler(internal)', 'v', false, 'u'),
        ('dvec_index_states()', 'v', true, 'r'), ('dvec_index_counters()', 'v', true, 'r'), ('dvec_stat_reset(regclass)', 'v', false, 'r'),
        ('dvec_last_searches()', 'v', true, 'r'), ('dvec_prewarm(regclass)', 'v', true, 'u'), ('dvec_index_size(regclass)', 'v', true, 'u'), ('dvec_recall(regclass,integer,integer)', 'v', true, 'u'),
        ('dvec_simd()', 'v', true, 's')$$,
    'functions of monitoring');
SELECT ok(dvec_simd() IN ('scalar', 'neon', 'avx2', 'avx512'), 'dvec_simd() names an instruction set');
-- An argument of type internal keeps SQL from calling these.
SELECT function_returns('hnsw_vector_l2_support', ARRAY['internal'], 'internal');
SELECT function_returns('hnswhandler', ARRAY['internal'], 'index_am_handler');
SELECT function_returns('ivfflathandler', ARRAY['internal'], 'index_am_handler');

SELECT has_view('dvec_indexes');
SELECT columns_are('dvec_indexes', ARRAY['index', 'table', 'state', 'nodes', 'deleted', 'tail', 'bytes',
    'log_bytes', 'unsynced_log_bytes', 'checkpoints', 'last_checkpoint', 'scans', 'opened_by',
    'opening_time', 'replayed_records', 'dropped_records', 'damaged_records', 'damage', 'compactions',
    'compact_done', 'compact_total', 'waiting', 'waiting_for', 'waits', 'reconcile_lsn', 'pages_behind', 'read_lsn', 'repair', 'repair_reason', 'repair_done', 'repair_total', 'repaired', 'repair_added', 'repair_removed',
    'row_bytes', 'row_link_bytes', 'row_code_bytes', 'row_vector_bytes', 'row_upper_bytes', 'row_log_bytes']);
SELECT columns_are('dvec_stat_indexes', ARRAY['index', 'table', 'searches', 'rows', 'distances', 'nodes', 'rounds',
    'tail', 'refused', 'exact_searches', 'inserts', 'removals', 'linking_waits', 'linking_wait_time', 'compaction_waits',
    'compaction_wait_time', 'checkpoint_waits', 'checkpoint_wait_time', 'links', 'link_time', 'compactions',
    'compaction_time', 'checkpoints', 'checkpoint_time', 'syncs', 'sync_time', 'failed_syncs', 'stats_reset']);

-- The parts of an index: each once, in this order, without a row too.
CREATE TABLE sized (v vector(4));
CREATE INDEX sized_v ON sized USING hnsw (v vector_l2_ops);
SELECT results_eq(
    $$SELECT part, bytes_per_row IS NULL FROM dvec_index_size('sized_v')$$,
    $$VALUES ('links', true), ('codes', true), ('vectors', true), ('padding', true), ('upper', true), ('columns', true),
        ('link_codes', true), ('free', true), ('log', true), ('compaction', true), ('other', true)$$,
    'the parts of an empty index');
SELECT ok(sum(bytes) FILTER (WHERE part IN ('links', 'codes', 'vectors', 'padding', 'upper', 'columns', 'compaction')) = 0
    AND sum(bytes) > 0, 'an empty index has files') FROM dvec_index_size('sized_v');
CREATE ROLE nobody_in_particular;
SELECT table_privs_are('dvec_stat_indexes', 'nobody_in_particular', ARRAY['SELECT']);
SELECT ok(NOT has_function_privilege('nobody_in_particular', 'dvec_stat_reset(regclass)', 'EXECUTE'),
    'not everybody may reset');
SELECT table_privs_are('dvec_indexes', 'nobody_in_particular', ARRAY['SELECT']);
SELECT ok(has_function_privilege('nobody_in_particular', 'dvec_index_states()', 'EXECUTE'),
    'everybody may look');

-- Settings: default, smallest, largest, who may change them when.
-- Those named as pgvector's are there in a session that has used a type.
DO $$ BEGIN PERFORM '[1]'::vector; END $$;
SELECT set_eq(
    $$SELECT name, boot_val, coalesce(unit, '') AS unit, coalesce(min_val, '') AS least,
             coalesce(max_val, '') AS most, context
      FROM pg_settings WHERE name ~ '^(hnsw|ivfflat|dvec)\.' AND name NOT LIKE 'dvec.log%'$$,
    $$VALUES
    ('hnsw.ef_search', '40', '', '1', '1000', 'user'),
    ('hnsw.iterative_scan', 'complete', '', '', '', 'user'),
    ('hnsw.max_scan_tuples', '20000', '', '1', '2147483647', 'user'),
    ('hnsw.scan_mem_multiplier', '1', '', '1', '1000', 'user'),
    ('hnsw.target_recall', '0', '', '0', '0.999', 'user'),
    ('ivfflat.iterative_scan', 'complete', '', '', '', 'user'),
    ('ivfflat.max_probes', '32768', '', '1', '32768', 'user'),
    ('ivfflat.probes', '1', '', '1', '32768', 'user'),
    ('dvec.autoprewarm', 'on', '', '', '', 'sighup'),
    ('dvec.checkpoint_size', '262144', 'kB', '1024', '2097151', 'sighup'),
    ('dvec.checkpoint_timeout', '300', 's', '1', '86400', 'sighup'),
    ('dvec.compact_threshold', '25', '', '0', '100', 'sighup'),
    ('dvec.ef_search', '0', '', '0', '10000', 'user'),
    ('dvec.target_recall', '0', '', '0', '0.999', 'user'),
    ('dvec.iterative_scan', 'unset', '', '', '', 'user'),
    ('dvec.large_pages', '262144', 'kB', '0', '2147483647', 'sighup'),
    ('dvec.link_threads', '2', '', '1', '64', 'sighup'),
    ('dvec.max_indexes', '1024', '', '8', '1048576', 'postmaster'),
    ('dvec.simd', 'auto', '', '', '', 'superuser'),
    ('dvec.enable_partition_merge', 'on', '', '', '', 'user'),
    ('dvec.filter_memory', '0', 'kB', '0', '2147483647', 'user'),
    ('dvec.sweep_interval', '60', 's', '1', '86400', 'sighup'),
    ('dvec.tail_limit', '16384', 'kB', '64', '2097151', 'sighup'),
    ('dvec.wal_sync', 'buffered', '', '', '', 'user')$$,
    'settings of searches, of the worker and of the registry');
SELECT set_eq(
    $$SELECT name, boot_val, coalesce(unit, '') AS unit, context FROM pg_settings WHERE name LIKE 'dvec.log%'$$,
    $$VALUES
    ('dvec.log_flush_threshold', '256', 'kB', 'sighup'),
    ('dvec.log_buffer_limit', '1024', 'kB', 'sighup'),
    ('dvec.log_flush_interval', '200', 'ms', 'sighup'),
    ('dvec.log_max_size', '1048576', 'kB', 'sighup'),
    ('dvec.log_search_min_duration', '-1', 'ms', 'superuser'),
    ('dvec.log_segment_size', '4096', 'kB', 'superuser')$$,
    'settings of the sidecar log and of the server''s');

-- Progress of a build has names.
SELECT is(
    ARRAY(SELECT pg_indexam_progress_phasename(pg_am.oid, phase) FROM generate_series(0, 5) phase),
    ARRAY[NULL, 'initializing', 'loading tuples', 'linking nodes', 'writing files', NULL],
    'phases of CREATE INDEX')
FROM pg_am WHERE amname = 'hnsw';

SELECT * FROM finish();
ROLLBACK;
