-- SPDX-License-Identifier: MIT
-- A fixed workload for SQLite, in memory: bulk insert, index, joins, grouping, updates, text.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city INTEGER);
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || i, i * 7 % 50 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO orders SELECT i, i * 7919 % 20000 + 1, i * 31 % 1000, 'order ' || (i * 13 % 977) FROM n;
CREATE INDEX orders_customer ON orders(customer);
CREATE INDEX orders_note ON orders(note);
COMMIT;
SELECT city, count(*), sum(amount) FROM customer JOIN orders ON customer = customer.id
  GROUP BY city ORDER BY 3 DESC LIMIT 5;
SELECT count(*) FROM orders WHERE note LIKE '%97%';
UPDATE orders SET amount = amount + 1 WHERE note IN (SELECT 'order ' || city FROM customer);
SELECT name, (SELECT max(amount) FROM orders WHERE customer = customer.id) AS m FROM customer
  ORDER BY m DESC, name LIMIT 3;
DELETE FROM orders WHERE id % 3 = 0;
SELECT count(*), sum(length(note)), avg(amount) FROM orders;
PRAGMA integrity_check;
