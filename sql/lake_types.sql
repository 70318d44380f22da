-- Every type with its extremes: live table, state table and event log hold the
-- same rows, and what the lake cannot hold is told of.
CREATE SCHEMA lt;
SELECT shard.create_router('lt', 'hash', 3, partition_key => '{k}');
CREATE TYPE lt.mood AS ENUM ('sad', 'it''s ok', 'Zürich');
CREATE DOMAIN lt.positive AS int CHECK (value > 0);
CREATE TYPE lt.address AS (street text, "No" int, tags text[], since timestamptz);
CREATE TYPE lt.person AS (name varchar(20), home lt.address, others lt.address[]);
CREATE TABLE lt.t (
    k text, id int, gone int, b boolean, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision,
    n numeric(10,2), n38 numeric(38,10), n0 numeric(38,38), nu numeric, nn numeric(5,-2),
    txt text, v varchar(5), c char(4), by bytea, d date, t time, ts timestamp, tz timestamptz, iv interval,
    j json, jb jsonb, u uuid, m lt.mood, p lt.positive,
    double_id int GENERATED ALWAYS AS (id * 2) STORED,
    ai int[], at text[], an numeric(10,2)[], atz timestamptz[], ad date[], ab bytea[], au uuid[], aj jsonb[],
    af float8[], am lt.mood[], ap lt.positive[], addr lt.address, addrs lt.address[], who lt.person,
    big text, PRIMARY KEY (k, id));
ALTER TABLE lt.t ALTER COLUMN big SET STORAGE EXTERNAL;
ALTER TABLE lt.t DROP COLUMN gone;
INSERT INTO lt.t (k, id) VALUES ('before', 0);
SELECT shard.distribute_table('lt.t', 'lt');
INSERT INTO lt.t VALUES
    ('least', 1, false, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', -99999999.99,
     -9999999999999999999999999999.9999999999, -0.99999999999999999999999999999999999999, '-Infinity', -9999900,
     '', '', '', '', '-infinity', '00:00', '-infinity', '-infinity', '-178000000 years', '{}', '{}',
     '00000000-0000-0000-0000-000000000000', 'sad', 1, DEFAULT, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
     '{}', '{}', row(null, null, null, null), '{}', row(null, null, null), ''),
    ('most', 2, true, 32767, 2147483647, 9223372036854775807, 'Infinity', 'Infinity', 99999999.99,
     9999999999999999999999999999.9999999999, 0.99999999999999999999999999999999999999, 1e200, 9999900,
     E'tab\t newline\n quote'' "\\', 'Züric', 'abcd', '\x00ff5c27', 'infinity', '24:00', 'infinity', 'infinity',
     '178000000 years 11 mons 23:59:59.999999', '[1, null, "x"]', '{"a": {"b": [1.50]}}',
     'ffffffff-ffff-ffff-ffff-ffffffffffff', 'Zürich', 2147483647, DEFAULT,
     '{1,NULL,-2147483648}', E'{"","a b","q\\"uote","back\\\\slash",NULL,"null",Zürich}', '{1.50,NULL,-99999999.99}',
     '{infinity,-infinity,"2024-02-29 12:34:56.789012+02"}', '{"0044-03-15 BC",infinity,5874897-12-31}',
     ARRAY['\x00ff', '\x', NULL]::bytea[], ARRAY['123e4567-e89b-12d3-a456-426614174000'::uuid],
     ARRAY['{"a": [1, null]}', 'null', '"x"']::jsonb[], '{NaN,Infinity,-Infinity,0.1,1e-300}', '{sad,NULL,Zürich}',
     '{1,2}', row('Main, "street"', 5, '{x,NULL}', '2024-01-01 00:00+00'),
     ARRAY[row('s', 1, '{}', 'infinity')::lt.address, NULL, row(NULL, NULL, NULL, NULL)::lt.address],
     row('me', row('h', 1, '{a,b}', NULL), ARRAY[row('o', 2, NULL, NULL)::lt.address]), repeat('big ', 10000)),
    ('bc', 3, NULL, 0, 0, 0, 'NaN', 'NaN', 0, 0, 0, 'NaN', 0, ' ', ' ', ' ', ' ', '4713-01-01 BC', '23:59:59.999999',
     '4713-01-01 00:00:00 BC', '4713-01-02 00:00:00+00 BC', '-1 mon 2 days -00:00:01', 'null', 'null',
     '80000000-0000-0000-8000-000000000000', 'it''s ok', 7, DEFAULT, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, repeat('x', 3000)),
    ('far', 4, NULL, 0, 0, 0, '1e-45', '5e-324', 0.01, 0.0000000001, 1e-38, 1e-20, 100, 'x', 'x', 'x', '\x01',
     '5874897-12-31', '12:00', '294246-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '0', '1', '1', NULL,
     NULL, NULL, DEFAULT, (SELECT array_agg(CASE WHEN x % 7 = 0 THEN NULL ELSE x END) FROM generate_series(1, 5000) x),
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO lt.t (k, id) VALUES ('nulls', 5);
SELECT shard.flush() IS NOT NULL AS flushed;

-- by their text, since 0 = -0 and NaN = NaN
CREATE VIEW lt.columns AS SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS list
    FROM pg_attribute WHERE attrelid = 'lt.t'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT list AS columns FROM lt.columns \gset
CREATE VIEW lt.live AS SELECT row(:columns)::text AS r FROM lt.t;
CREATE VIEW lt.state AS SELECT row(:columns)::text AS r FROM lake.lt_t;
CREATE VIEW lt.events AS SELECT row(:columns)::text AS r
    FROM (SELECT DISTINCT ON (id) * FROM lake.lt_t_events ORDER BY id, _lsn DESC, _seq DESC) e
    WHERE _verb <> 'deleted';
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.state) d;
SELECT * FROM (TABLE lt.state EXCEPT ALL TABLE lt.live) d;
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.events) d;
SELECT count(*) FROM lt.events;

-- updates that leave large values alone: rows stay whole
UPDATE lt.t SET i4 = 1;
UPDATE lt.t SET k = 'moved' WHERE id = 2;
UPDATE lt.t SET ai = ai || 1, who.name = 'you' WHERE id = 2;
BEGIN;
UPDATE lt.t SET id = 6 WHERE id = 3;
UPDATE lt.t SET txt = 'twice' WHERE id = 6;
DELETE FROM lt.t WHERE id = 5;
COMMIT;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.state) d;
SELECT * FROM (TABLE lt.state EXCEPT ALL TABLE lt.live) d;
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.events) d;

-- conditions on them
SELECT id FROM lake.lt_t WHERE ai = '{1,NULL,-2147483648,1}';
SELECT id FROM lake.lt_t WHERE 'Zürich' = ANY (at);
SELECT id, (addr)."No" FROM lake.lt_t WHERE (addr).street LIKE 'Main%';
SELECT id FROM lake.lt_t WHERE d < '0001-01-01' AND isfinite(d);
SELECT id FROM lake.lt_t WHERE tz = 'infinity' OR ts = '-infinity' ORDER BY id;
SELECT sum(cardinality(ai)), max(ai[2]) FROM lake.lt_t;

-- a composite type is altered
ALTER TYPE lt.address ADD ATTRIBUTE zip int;
ALTER TYPE lt.address RENAME ATTRIBUTE street TO road;
UPDATE lt.t SET addr.zip = 12345 WHERE id = 2;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.state) d;
SELECT addr, addrs[1], (who).home FROM lake.lt_t WHERE id = 2;

-- what the lake cannot hold is NULL there, and said so
INSERT INTO lt.t (k, id, n, ai, ts, an, addr) VALUES
    ('odd', 10, 'NaN', '{1}', NULL, NULL, NULL), ('odd', 11, 1, '{{1,2},{3,4}}', NULL, NULL, NULL),
    ('odd', 12, 2, '[0:1]={1,2}', '294276-12-31 23:59:59', NULL, NULL), ('odd', 13, 3, NULL, NULL, '{1,NaN}', NULL);
UPDATE lt.t SET txt = 'after' WHERE id = 10;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT id, n, ai, ts, an, txt FROM lake.lt_t WHERE k = 'odd' ORDER BY id;
SELECT relation, kind, reason, payload->>'id' AS id, payload->>'n' AS n, payload->>'ai' AS ai,
       event_id IN (SELECT _event_id FROM lake.lt_t_events) AS known
FROM shard.dead_letters ORDER BY dead_letters.id;
SELECT state, last_error FROM shard.pipeline_status;
UPDATE lt.t SET n = 4, ai = '{}', ts = NULL, an = NULL WHERE k = 'odd';
DELETE FROM lt.t WHERE id = 13;
SELECT shard.replay_dead_letters('lt.t') AS letters;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM (TABLE lt.live EXCEPT ALL TABLE lt.state) d;
SELECT * FROM (TABLE lt.state EXCEPT ALL TABLE lt.live) d;
SELECT count(*) FROM shard.dead_letters;

-- a key that the lake cannot hold
CREATE TABLE lt.keys (k numeric(5,2), a text, id int, PRIMARY KEY (a, k));
SELECT shard.create_router('lt2', 'hash', 3, partition_key => '{a}');
SELECT shard.distribute_table('lt.keys', 'lt2');
INSERT INTO lt.keys VALUES (1, 'a', 1), ('NaN', 'a', 2);
SELECT shard.flush() IS NOT NULL AS flushed;
UPDATE lt.keys SET k = 2 WHERE id = 2;
UPDATE lt.keys SET k = 'NaN' WHERE id = 1;
SELECT shard.flush() IS NOT NULL AS flushed;
TABLE lake.lt_keys;

DROP VIEW lt.columns, lt.live;
SELECT shard.undistribute_table('lt.t');
SELECT shard.undistribute_table('lt.keys');
SELECT shard.drop_router('lt'), shard.drop_router('lt2');
SELECT count(*) FROM shard.dead_letters;
\set VERBOSITY terse
DROP SCHEMA lt CASCADE;
