-- The demo's tables and the two ways its questions are put to them. Loaded once by demo/run.

CREATE EXTENSION dvec;

CREATE TABLE packages (
    name        text PRIMARY KEY,
    description text NOT NULL,
    embedding   vector(384) NOT NULL,
    -- Whose programs a package is for, as its name says.
    family      text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN name LIKE 'python3-%' THEN 'python'
             WHEN name LIKE 'lib%-perl' THEN 'perl'
             WHEN name LIKE 'lib%-java' THEN 'java'
             WHEN name ~ '^(ruby|node|golang|php|fonts)-' THEN split_part(name, '-', 1)
             WHEN name LIKE 'r-%' THEN 'R'
             WHEN name LIKE 'lib%' THEN 'library'
             ELSE 'program' END) STORED
);

CREATE TABLE questions (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    question  text NOT NULL,
    embedding vector(384) NOT NULL
);

-- What was answered, and how long the server took for it. Round 0 only warms up.
CREATE TABLE answers (
    how          text NOT NULL,
    round        int NOT NULL,
    question     int NOT NULL REFERENCES questions,
    names        text[] NOT NULL,
    milliseconds float8 NOT NULL,
    PRIMARY KEY (how, round, question)
);

-- The answers a person reads: the nearest packages to the first so many questions.
CREATE FUNCTION best_answers(first_questions int)
RETURNS TABLE (id int, question text, place bigint, distance float8, name text, description text)
LANGUAGE sql STABLE AS $$
    SELECT q.id, q.question, row_number() OVER (PARTITION BY q.id ORDER BY a.distance),
           a.distance, a.name, a.description
    FROM questions q
    CROSS JOIN LATERAL (SELECT p.name, p.description, p.embedding <=> q.embedding AS distance
                        FROM packages p
                        ORDER BY p.embedding <=> q.embedding
                        LIMIT 5) a
    WHERE q.id <= first_questions
$$;

-- Asks every question for its ten nearest packages, as a prepared query, and notes the time inside
-- the server. Whether the index answers or an exact scan is the caller's enable_indexscan.
CREATE PROCEDURE ask_everything(how text, rounds int)
LANGUAGE plpgsql AS $$
DECLARE
    q       questions;
    began   timestamptz;
    elapsed interval;
    found   text[];
BEGIN
    FOR round IN 0 .. rounds LOOP
        FOR q IN SELECT * FROM questions ORDER BY id LOOP
            began := clock_timestamp();
            found := ARRAY(SELECT name FROM packages ORDER BY embedding <=> q.embedding LIMIT 10);
            elapsed := clock_timestamp() - began;
            INSERT INTO answers
            VALUES (how, round, q.id, found, 1000 * extract(epoch FROM elapsed));
        END LOOP;
    END LOOP;
END
$$;

CREATE VIEW latency AS
    SELECT how, percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS median
    FROM answers
    WHERE round > 0
    GROUP BY how;

-- The share of the exact ten that the index found, over all questions.
CREATE VIEW recall AS
    SELECT avg((SELECT count(*) FROM unnest(i.names) n WHERE n = ANY (e.names)) / 10.0) AS at_10
    FROM answers i
    JOIN answers e USING (round, question)
    WHERE i.how = 'index' AND e.how = 'exact' AND round = 1;
