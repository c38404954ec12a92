\set ECHO none
-- A query is text in which {t} stands for a table; there is an indexed one and `NAME_plain` without an
-- index, of the same rows. Answers are compared row by row, in their order.
CREATE FUNCTION pg_temp.answers(query text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answer record;
    result text[] := '{}';
BEGIN
    FOR answer IN EXECUTE query LOOP
        result := result || answer::text;
    END LOOP;
    RETURN result;
END
$$;
-- The plan's nodes from the top down.
CREATE FUNCTION pg_temp.shape(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text[] := '{}';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line ~ '^( *->  )?[A-Z][A-Za-z ]+( \([A-Za-z]+\))?( (using|on) .*)?$' THEN
            result := result || regexp_replace(line, '^ *(->  )?', '');
        END IF;
    END LOOP;
    RETURN array_to_string(result, ' / ');
END
$$;
CREATE FUNCTION pg_temp.compared(name text, query text, OUT answer text, OUT plan text) LANGUAGE plpgsql AS $$
DECLARE
    wanted text[] := pg_temp.answers(replace(query, '{t}', name || '_plain'));
    given text[] := pg_temp.answers(replace(query, '{t}', name));
BEGIN
    answer := CASE WHEN given = wanted THEN 'same, ' || cardinality(given)
        ELSE format('WRONG: %s instead of %s', given, wanted) END;
    plan := pg_temp.shape(replace(query, '{t}', name));
END
$$;
\set ECHO all
