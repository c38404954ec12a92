-- For the database of the container, and for those that are made later.
CREATE EXTENSION dvec;
\connect template1
CREATE EXTENSION dvec;
