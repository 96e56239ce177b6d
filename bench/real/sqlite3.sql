-- A shop's orders in memory: bulk inserts, indexes, joins, a window, deletes that leave holes, text in JSON.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city INTEGER);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER, price REAL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || i, i * 7919 % 200 FROM n;
WITH RECURSIVE n(i, x) AS (SELECT 1, 1 UNION ALL SELECT i + 1, x * 16807 % 2147483647 FROM n WHERE i < 250000)
INSERT INTO purchase SELECT i, x % 20000 + 1, x % 100000 / 100.0, hex(zeroblob(x % 50)) FROM n;
CREATE INDEX purchase_customer ON purchase(customer, price);
CREATE INDEX customer_city ON customer(city, name);
SELECT c.city, count(*), round(sum(p.price), 2) FROM customer c JOIN purchase p ON p.customer = c.id
    GROUP BY c.city ORDER BY 3 DESC LIMIT 5;
SELECT count(*) FROM purchase a JOIN purchase b ON a.customer = b.customer AND b.price > a.price;
SELECT count(*), round(sum(price), 2) FROM (
    SELECT price, rank() OVER (PARTITION BY customer ORDER BY price DESC) AS place FROM purchase) WHERE place <= 2;
SELECT length(group_concat(name, ',')) FROM (SELECT name FROM customer ORDER BY name);
DELETE FROM purchase WHERE id % 3 = 0;
UPDATE purchase SET note = note || note WHERE customer % 5 = 0;
CREATE TABLE document(body TEXT);
INSERT INTO document SELECT json_group_array(json_object('id', id, 'name', name)) FROM customer;
SELECT count(*), sum(json_extract(value, '$.id')) FROM document, json_each(body);
SELECT count(*), sum(length(note)) FROM purchase;
