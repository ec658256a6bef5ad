-- A fixed piece of work for the SQLite shell.
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL, note BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
	INSERT INTO t SELECT i, printf('name-%05d', i * 7919 % 10007), i * 1.25, hex(i) FROM n;
CREATE INDEX by_name ON t(name);
CREATE TRIGGER touch AFTER UPDATE ON t BEGIN UPDATE t SET note = 'touched' WHERE id = new.id; END;
UPDATE t SET value = value * 2 WHERE id % 7 = 0;
SELECT count(*), sum(value), min(name), max(note) FROM t;
SELECT name, value, rank() OVER (ORDER BY value DESC) FROM t WHERE id % 500 = 0 ORDER BY name;
SELECT json_extract(json_group_array(json_object('id', id, 'name', name)), '$[3].name') FROM t;
WITH RECURSIVE fib(a, b, n) AS (SELECT 0, 1, 1 UNION ALL SELECT b, a + b, n + 1 FROM fib WHERE n < 60)
	SELECT max(a) FROM fib;
WITH RECURSIVE x(i) AS (VALUES(-2.0) UNION ALL SELECT i + 0.1 FROM x WHERE i < 1.2),
	y(j) AS (VALUES(-1.0) UNION ALL SELECT j + 0.2 FROM y WHERE j < 1.0),
	m(iter, cx, cy, u, v) AS (SELECT 0, i, j, 0.0, 0.0 FROM x, y UNION ALL
		SELECT iter + 1, cx, cy, u * u - v * v + cx, 2.0 * u * v + cy FROM m
		WHERE u * u + v * v < 4.0 AND iter < 28)
	SELECT sum(iter) FROM (SELECT max(iter) AS iter FROM m GROUP BY cx, cy);
BEGIN;
DELETE FROM t WHERE id > 1500;
ROLLBACK;
SELECT count(*) FROM t a JOIN t b ON a.name = b.name WHERE b.value > 100;
SELECT * FROM no_such_table;
EXPLAIN QUERY PLAN SELECT * FROM t WHERE name = 'name-00001';
PRAGMA integrity_check;
VACUUM;
SELECT group_concat(name, ';') FROM (SELECT name FROM t ORDER BY value LIMIT 5);
