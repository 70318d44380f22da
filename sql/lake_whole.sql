-- Queries over lake tables alone are one statement of the engine; with PostgreSQL's
-- permissions, parameters and errors.
SET client_min_messages = warning;
CREATE SCHEMA lakew;
SET search_path = lakew, public;
SELECT shard.create_router('lakew', 'hash', 2, '{id}');
CREATE TABLE item (id bigint PRIMARY KEY, kind text, n int, price numeric(10,2), free numeric, tag char(4), day date);
CREATE TABLE kind (id bigint PRIMARY KEY, kind text, label text);
SELECT shard.distribute_table('item', 'lakew');
SELECT shard.distribute_table('kind', 'lakew');
INSERT INTO item SELECT i, 'k' || i % 7, i % 10 - 3, i / 4.0, CASE WHEN i % 50 = 0 THEN 'NaN' ELSE i / 3.0 END, 't' || i % 3, '2020-01-01'::date + i
    FROM generate_series(1, 200) i;
INSERT INTO kind SELECT i, 'k' || i, 'label ' || i % 2 FROM generate_series(0, 6) i;
SELECT shard.flush() IS NOT NULL AS flushed;
CREATE VIEW items AS SELECT i.id, i.n, i.price, k.label FROM lake.lakew_item i JOIN lake.lakew_kind k USING (kind);

-- What is shipped, and why not.
CREATE FUNCTION explain(query text, options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF' || options || ') ' || query LOOP
        IF line !~ 'Snapshot|Files|Bytes' THEN
            RETURN NEXT line;
        END IF;
    END LOOP;
END $$;
SELECT explain('SELECT label, sum(price), avg(n) FROM items GROUP BY label ORDER BY 2 DESC LIMIT 3', ', VERBOSE');
SELECT explain('SELECT count(*) FROM lake.lakew_item i, lake.lakew_kind k WHERE i.kind = k.kind AND quote_ident(k.label) = ''X''');
SELECT explain('SELECT i.id FROM lake.lakew_item i JOIN lake.lakew_kind k USING (kind) FOR UPDATE');
SELECT label, sum(price), avg(n), sum(price) / sum(n) AS q, round(avg(price), 1) AS r FROM items GROUP BY label ORDER BY label;
SELECT tag, tag = 't1' AS t1, length(tag), tag || '|' AS padded, count(*), max(tag) || '|' AS last FROM lake.lakew_item GROUP BY tag ORDER BY tag;
SELECT day FROM lake.lakew_item WHERE day < date '2020-01-02' + interval '2 days' UNION SELECT '2019-01-01' ORDER BY day;

-- Columns of subqueries that nobody reads are left out, rows never are.
CREATE VIEW days AS SELECT id, day, price * 3 AS triple, 10 / (id - 1) AS broken FROM lake.lakew_item;
SELECT count(*) FROM (SELECT count(*), sum(price) FROM lake.lakew_item WHERE id < 0) s;
SELECT count(*) FROM (SELECT DISTINCT tag, n FROM lake.lakew_item) s;
SELECT count(*) FROM (SELECT kind FROM lake.lakew_item UNION SELECT kind FROM lake.lakew_kind) s;
SELECT count(*) FROM lake.lakew_kind k WHERE EXISTS (SELECT max(id) FROM lake.lakew_item i WHERE i.kind = k.kind AND i.id < 0);
SELECT count(*) FROM lake.lakew_kind k WHERE EXISTS (SELECT id FROM lake.lakew_item i WHERE i.kind = k.kind AND i.id < 5 OFFSET 0);
SELECT count(*) FROM lake.lakew_kind k WHERE EXISTS (SELECT kind FROM lake.lakew_item i GROUP BY kind HAVING i.kind = k.kind AND count(*) > 28);
SELECT kind, a.id + b.id AS ids, x.t FROM (SELECT * FROM lake.lakew_item) a JOIN (SELECT *, id AS other FROM lake.lakew_kind) b USING (kind),
    LATERAL (SELECT max(c.triple) AS t FROM days c WHERE c.id <= a.id + b.other - b.id) x WHERE a.id IN (2, 3) ORDER BY 2;
SELECT j.kind, max(j.label) FROM (lake.lakew_item i FULL JOIN (SELECT * FROM lake.lakew_kind OFFSET 0) k USING (kind)) j(kind, a, b, c, d, e, f, g, label)
    GROUP BY 1 ORDER BY 1 LIMIT 2;
SELECT extract(year FROM day) AS year, sum(triple), count(*) FROM days GROUP BY 1 ORDER BY 1;
SELECT explain('SELECT extract(year FROM day) AS year, sum(triple) FROM days GROUP BY 1', ', VERBOSE');
SELECT explain('SELECT extract(year FROM day) FROM (SELECT day FROM lake.lakew_item UNION ALL SELECT date ''infinity'' FROM lake.lakew_kind) s', ', VERBOSE');
SELECT extract(year FROM day) AS year, count(*) FROM (SELECT day FROM lake.lakew_item UNION ALL SELECT date 'infinity' FROM lake.lakew_kind) s GROUP BY 1 ORDER BY 1;

-- Estimates: rows of the snapshot, conditions and groups by statistics.
CREATE FUNCTION rows(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
ANALYZE lake.lakew_item;
SELECT rows('SELECT i.id FROM lake.lakew_item i JOIN lake.lakew_kind k USING (kind)') AS joined,
    rows('SELECT i.id FROM lake.lakew_item i, lake.lakew_kind k') AS pairs,
    rows('SELECT i.id FROM lake.lakew_item i JOIN lake.lakew_kind k ON i.kind = k.kind WHERE i.n = 3') AS some,
    rows('SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind') AS groups,
    rows('SELECT max(n) FROM lake.lakew_item') AS one,
    rows('SELECT DISTINCT n FROM lake.lakew_item LIMIT 4') AS "limit",
    rows('SELECT id FROM lake.lakew_item UNION ALL SELECT id FROM lake.lakew_kind OFFSET 7') AS "union",
    rows('WITH w AS (SELECT kind FROM lake.lakew_item WHERE id < 0) SELECT count(*) FROM w GROUP BY kind') AS none;

-- A condition without columns holds for groups, too.
SELECT n, (count(*))::text FROM lake.lakew_item WHERE extract(dow FROM '2001-03-25'::timestamp) = extract(dow FROM '2001-03-28 12:00+00'::timestamptz) GROUP BY n;

-- PostgreSQL runs what the engine declines, and says what is wrong in its words.
SELECT sum(free) IS NULL AS none, max(free + 1) AS largest FROM (SELECT free FROM lake.lakew_item OFFSET 0) s;
SELECT explain('SELECT id, free * 2 FROM (SELECT * FROM lake.lakew_item OFFSET 0) s', ', ANALYZE, TIMING OFF, SUMMARY OFF');
SELECT n, count(*) FROM lake.lakew_item GROUP BY n HAVING 10 / n > 2;
SELECT DISTINCT n FROM lake.lakew_item WHERE 10 / n <> ALL ('{}'::int[]);
SELECT count(*) FROM lake.lakew_item WHERE n + 2147483645 > 0 HAVING count(*) > 0;
SELECT (SELECT id FROM lake.lakew_kind WHERE label = k.label) FROM lake.lakew_kind k;
SELECT sum(price) FROM lake.lakew_item LIMIT -1;

-- Parameters, also of plans that are kept; tables that change under them.
PREPARE q(int, text, numeric) AS
    SELECT k.label, count(*), max(price + $3) FROM lake.lakew_item i JOIN lake.lakew_kind k USING (kind)
    WHERE i.n > $1 AND k.label <> $2 AND price > $3 GROUP BY k.label ORDER BY 1;
EXECUTE q(1, 'label 1', 10.5);
SET plan_cache_mode = force_generic_plan;
EXECUTE q(1, 'label 1', 10.5);
EXECUTE q(1, 'label 1', 'NaN');
EXECUTE q(NULL, 'label 1', 1);
DELETE FROM item WHERE id > 100;
ALTER TABLE item ADD COLUMN extra int;
INSERT INTO item VALUES (1000, 'k0', 5, 1000, 1, 't', '2020-01-01', 1);
SELECT shard.flush() IS NOT NULL AS flushed;
EXECUTE q(1, 'label 1', 10.5);
RESET plan_cache_mode;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, label FROM items WHERE id < 6 ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;
SELECT (SELECT count(*) FROM lake.lakew_item x WHERE x.n = v.n), n FROM (VALUES (1), (2)) v(n) ORDER BY n;

-- Permissions are those of PostgreSQL: the tables', and the view owner's.
CREATE ROLE lakew_user;
GRANT USAGE ON SCHEMA lakew, lake TO lakew_user;
GRANT SELECT ON items TO lakew_user;
GRANT SELECT ON lake.lakew_kind TO lakew_user;
SET ROLE lakew_user;
SELECT count(*) FROM items;
SELECT count(*) FROM lake.lakew_kind;
SELECT count(*) FROM lake.lakew_item;
SELECT count(*) FROM lake.lakew_kind k WHERE EXISTS (SELECT FROM lake.lakew_item i WHERE i.kind = k.kind);
WITH w AS (SELECT max(id) AS id FROM lake.lakew_item) SELECT * FROM w;
RESET ROLE;

-- Subqueries over the lake alone run whole inside of other statements; what the engine cannot sort, PostgreSQL sorts.
CREATE TABLE target (kind text, n bigint);
CREATE TABLE labels (kind text, label text);
INSERT INTO labels SELECT 'k' || i, 'label ' || i FROM generate_series(0, 3) i;
SELECT explain('INSERT INTO target SELECT kind, sum(n) FROM lake.lakew_item GROUP BY kind');
INSERT INTO target SELECT kind, sum(n) FROM lake.lakew_item GROUP BY kind;
SELECT count(*) FROM (TABLE target EXCEPT ALL SELECT kind, sum(n) FROM item GROUP BY kind) d;
INSERT INTO target SELECT k.label, i.n FROM lake.lakew_item i JOIN lake.lakew_kind k USING (kind) ORDER BY i.id LIMIT 7;
SELECT count(*) FROM target;
CREATE TABLE made AS SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind;
SELECT count(*) FROM (TABLE made EXCEPT ALL SELECT kind, count(*) FROM item GROUP BY kind) d;
SELECT explain('SELECT l.label, q.c FROM labels l JOIN (SELECT kind, count(*) AS c FROM lake.lakew_item GROUP BY kind) q USING (kind)');
SELECT l.label, q.c FROM labels l JOIN (SELECT kind, count(*) AS c FROM lake.lakew_item GROUP BY kind) q USING (kind) ORDER BY 1;
SELECT l.label, q.c FROM labels l JOIN (SELECT kind, count(*) AS c FROM item GROUP BY kind) q USING (kind) ORDER BY 1;
SELECT explain('SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind ORDER BY kind COLLATE "und-x-icu" DESC LIMIT 3');
SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind ORDER BY kind COLLATE "und-x-icu" DESC LIMIT 3;
SELECT kind, count(*) FROM item GROUP BY kind ORDER BY kind COLLATE "und-x-icu" DESC LIMIT 3;
SELECT explain('SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind ORDER BY count(*) FETCH FIRST 1 ROW WITH TIES');
PREPARE p(int) AS INSERT INTO target SELECT kind, $1 FROM lake.lakew_item WHERE n > $1 GROUP BY kind RETURNING n;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(1000000);
RESET plan_cache_mode;
DEALLOCATE p;
GRANT INSERT ON target TO lakew_user;
GRANT SELECT ON labels TO lakew_user;
SET ROLE lakew_user;
INSERT INTO target SELECT kind, sum(n) FROM lake.lakew_item GROUP BY kind;
SELECT l.label FROM labels l JOIN (SELECT kind, count(*) AS c FROM lake.lakew_item GROUP BY kind) q USING (kind);
SELECT kind, count(*) FROM lake.lakew_item GROUP BY kind ORDER BY kind COLLATE "und-x-icu";
RESET ROLE;

-- A local table of few rows tells the scan which keys its join looks for.
CREATE TABLE local (kind text, label text);
INSERT INTO local SELECT 'k' || i, 'local ' || i FROM generate_series(0, 9) i;
ANALYZE local;
SELECT explain('SELECT l.label, i.id FROM lake.lakew_item i JOIN local l USING (kind) WHERE l.label = ''local 3''', ', VERBOSE');
SELECT l.label, count(*), sum(i.n) FROM lake.lakew_item i JOIN local l USING (kind) WHERE l.label > 'local 4' GROUP BY 1 ORDER BY 1;
SELECT l.label, count(*), sum(i.n) FROM item i JOIN local l USING (kind) WHERE l.label > 'local 4' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM lake.lakew_item i JOIN local l USING (kind) WHERE l.label = 'none';
SELECT l.label, count(i.id) FROM local l LEFT JOIN lake.lakew_item i USING (kind) WHERE l.label > 'local 5' GROUP BY 1 ORDER BY 1;

-- Results of more than 18 digits, where DuckDB would compute with 64 bits; casts that
-- overflow beside a constant; ordered-set aggregates without and with other arguments.
CREATE TABLE big (id bigint PRIMARY KEY, n numeric(10,2), w numeric(18,2), k bigint);
SELECT shard.distribute_table('big', 'lakew');
INSERT INTO big VALUES (1, 99999999.99, 9999999999999999.99, 9223372036854775807), (2, -99999999.99, 1, 2), (3, 1, NULL, 3);
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT sum(n * n) AS sum, max(n * n * n) AS cube, sum(w + w) AS twice, avg(w * n) AS avg FROM lake.lakew_big;
SELECT sum(n * n) AS sum, max(n * n * n) AS cube, sum(w + w) AS twice, avg(w * n) AS avg FROM big;
SELECT id FROM lake.lakew_big WHERE n * n > 5 AND w - n + w > 5 ORDER BY id;
SELECT a.id, a.n * b.n AS product FROM lake.lakew_big a JOIN lake.lakew_big b ON a.id = b.id + 1 WHERE a.n * b.n < 0 ORDER BY 1;
\set VERBOSITY sqlstate
SELECT id FROM lake.lakew_big WHERE k::int = 2;
SELECT count(*) FROM lake.lakew_big WHERE k::int = 2;
\set VERBOSITY default
SELECT mode() WITHIN GROUP (ORDER BY n) AS mode, rank(0) WITHIN GROUP (ORDER BY n) AS rank FROM lake.lakew_big WHERE id = 3;

-- Names that the engine gives a meaning of its own, or cannot tell apart; columns that come later.
CREATE TABLE names (id bigint PRIMARY KEY, filename text, "ID2" int, id2 text, "a "" b" float8);
CREATE TABLE cases (id bigint PRIMARY KEY, "ID2" int, id2 text, "a "" b" float8);
SELECT shard.distribute_table('names', 'lakew');
SELECT shard.distribute_table('cases', 'lakew');
INSERT INTO names VALUES (1, 'one', 10, 'x', 'NaN'), (2, NULL, 20, 'y', 0.5);
INSERT INTO cases VALUES (1, 10, 'x', 'NaN'), (2, 20, 'y', 0.5), (3, 30, 'z', '-0');
SELECT shard.flush() IS NOT NULL AS flushed;
DELETE FROM names WHERE id = 1;
DELETE FROM cases WHERE id = 2;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM lake.lakew_names ORDER BY id;
SELECT * FROM lake.lakew_cases ORDER BY id;
SELECT max("ID2"), max(id2), count(*) FILTER (WHERE "a "" b" > 5) AS nan FROM lake.lakew_cases;
ALTER TABLE cases RENAME COLUMN id2 TO other;
ALTER TABLE cases ADD COLUMN id2 int;
INSERT INTO cases VALUES (4, 40, 'w', 1, 7);
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM lake.lakew_cases ORDER BY id;
SELECT id, "a "" b" FROM lake.lakew_cases ORDER BY "a "" b", id;

SET search_path = public;
DROP SCHEMA lakew CASCADE;
DROP OWNED BY lakew_user;
DROP ROLE lakew_user;
SELECT shard.drop_router('lakew');
