#!/bin/sh
# sqlite3: tables in memory, indexes, joins, windows and recursive queries, a rollback, a vacuum and a dump.
. "${0%/*}/lib.sh"
need sqlite3

cat >"$directory/queries.sql" <<'END'
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, city INTEGER, score REAL);
CREATE TABLE city(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO city SELECT i, 'city ' || i FROM n;
WITH RECURSIVE n(i, x) AS (SELECT 1, 1 UNION ALL SELECT i + 1, x * 16807 % 2147483647 FROM n WHERE i < 60000)
INSERT INTO person SELECT i, printf('%08x %s', x, hex(zeroblob(x % 60))), x % 500 + 1, x / 7.0 FROM n;
CREATE INDEX person_city ON person(city, score);
CREATE INDEX person_name ON person(name);
ANALYZE;
SELECT count(*), sum(length(name)), round(avg(score), 3) FROM person;
SELECT c.name, count(*), round(max(p.score), 2) FROM person p JOIN city c ON c.id = p.city
    GROUP BY c.id ORDER BY count(*) DESC, c.name LIMIT 5;
SELECT count(*) FROM person a JOIN person b ON a.city = b.city AND b.score > a.score AND b.score < a.score + 100000;
SELECT city, name, rank FROM (SELECT city, substr(name, 1, 8) AS name, rank() OVER (PARTITION BY city ORDER BY score) AS rank
    FROM person) WHERE rank = 3 ORDER BY city LIMIT 5;
SELECT length(group_concat(name, ',')) FROM (SELECT name FROM person ORDER BY name);
BEGIN;
DELETE FROM person WHERE city % 2 = 0;
UPDATE person SET name = name || name WHERE city % 3 = 0;
SELECT count(*), sum(length(name)) FROM person;
ROLLBACK;
SELECT count(*), sum(length(name)) FROM person;
CREATE TABLE document(body TEXT);
INSERT INTO document SELECT json_group_array(json_object('id', id, 'name', name)) FROM person WHERE id <= 20000;
SELECT count(*), sum(json_extract(value, '$.id')) FROM document, json_each(body);
SELECT length(zeroblob(50000000));
DELETE FROM person WHERE id % 3 <> 0;
VACUUM;
PRAGMA integrity_check;
.dump city
END

compare "sqlite3" 1 sqlite3 -batch -bail -init "$directory/queries.sql" :memory: "SELECT 'done';"
