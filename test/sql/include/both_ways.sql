\set ECHO none
-- What a query for an array of distances, with one parameter, gives by an index and by the exact search.
CREATE FUNCTION pg_temp.both_ways(query text, q text, OUT given float8[], OUT wanted float8[]) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_indexscan = on;
    EXECUTE query INTO given USING q;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off;
    EXECUTE query INTO wanted USING q;
END
$$;
\set ECHO all
