-- Values at the ends of their types in partitions, columns that become narrower
-- or another kind of text, names with dots, and functions that look at the lake
-- right after a change of it.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT shard.create_router('edge', shard_count => 2);

-- in one statement: flush, then read what the flush brought
CREATE FUNCTION edge_differ(source text, target text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    n bigint;
BEGIN
    PERFORM shard.flush();
    SELECT string_agg(quote_ident(attname) || '::text', ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = source::regclass AND attnum > 0 AND NOT attisdropped;
    EXECUTE format('SELECT count(*) FROM ((SELECT %1$s FROM %2$s EXCEPT ALL SELECT %1$s FROM %3$s)'
        ' UNION ALL (SELECT %1$s FROM %3$s EXCEPT ALL SELECT %1$s FROM %2$s)) AS d', columns, source, target) INTO n;
    RETURN n;
END $$;

CREATE TABLE edge_ends (id int PRIMARY KEY, t time, n numeric(5,2), n38 numeric(38,38), n0 numeric(38,0),
    d date, ts timestamp, i int, l bigint);
SELECT shard.distribute_table('edge_ends', 'edge', lake_options => '{"partition": ["t", "truncate(1000, n)",
    "truncate(10, n38)", "truncate(7, n0)", "day(d)", "ts", "truncate(100, i)", "truncate(1000000, l)"]}');
INSERT INTO edge_ends VALUES
    (1, '24:00', '-999.99', '-0.00000000000000000000000000000000000007', '-99999999999999999999999999999999999993',
     'infinity', '-infinity', -2147483648, -9223372036854775808),
    (2, '00:00', '999.99', 0.5, '99999999999999999999999999999999999993', '-infinity', 'infinity', 2147483647, 9223372036854775807),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '12:13:14.5', 0, -0.3, 0, '5874897-12-31', '0001-01-01 BC', 0, 0),
    (5, '23:59:59.999999', -0.01, 0, -1, '1969-12-31', '1969-12-31 23:59:59.999999', -1, -1);
SELECT edge_differ('edge_ends', 'lake.edge_ends');
SELECT id, t, ts FROM lake.edge_ends ORDER BY id;
SELECT array_agg(id ORDER BY id) FROM lake.edge_ends WHERE i < 5;
SELECT array_agg(id ORDER BY id) FROM lake.edge_ends WHERE i > -2147483647;
SELECT array_agg(id ORDER BY id) FROM lake.edge_ends WHERE i = -2147483648;
SELECT array_agg(id ORDER BY id) FROM lake.edge_ends WHERE l >= -9223372036854775807;
SELECT array_agg(id ORDER BY id) FROM lake.edge_ends WHERE n <= -999.99;
UPDATE edge_ends SET n = n / 2;
SELECT edge_differ('edge_ends', 'lake.edge_ends');
SELECT count(*) FROM shard.compact('lake.edge_ends', true);
SELECT edge_differ('edge_ends', 'lake.edge_ends');

-- types that do not fit the values of before
CREATE TABLE edge_types (id int PRIMARY KEY, a bigint, b int, t text, l text[], n numeric(12,2));
SELECT shard.distribute_table('edge_types', 'edge');
INSERT INTO edge_types VALUES (1, 9000000000, 100000, 'words', '{x}', 1234567890.12);
SELECT edge_differ('edge_types', 'lake.edge_types');
ALTER TABLE edge_types ALTER a TYPE int USING 1, ALTER b TYPE smallint USING 2, ALTER t TYPE inet USING '::1',
    ALTER l TYPE inet[] USING '{::2}', ALTER n TYPE numeric(5,2) USING 3, ADD more int;
INSERT INTO edge_types VALUES (2, 2, 2, '::3', '{::4}', 5, 6);
SELECT edge_differ('edge_types', 'lake.edge_types');
SELECT * FROM lake.edge_types ORDER BY id;
SELECT _verb, id, a, b, t, l, n, more FROM lake.edge_types_events ORDER BY _lsn, id;

-- a name that a dropped column's would be mistaken for, and one that is as long as can be
CREATE TABLE edge_names (id int PRIMARY KEY, c int, c_102 int, n23456789_123456789_123456789_123456789_123456789_123456789_123 int);
SELECT shard.distribute_table('edge_names', 'edge');
INSERT INTO edge_names VALUES (1, 2, 3, 4);
SELECT edge_differ('edge_names', 'lake.edge_names');
ALTER TABLE edge_names ALTER c TYPE text, ALTER n23456789_123456789_123456789_123456789_123456789_123456789_123 TYPE text;
INSERT INTO edge_names VALUES (2, 'c', 3, 'n');
SELECT edge_differ('edge_names', 'lake.edge_names');
SELECT attname FROM pg_attribute WHERE attrelid = 'lake.edge_names_events'::regclass AND attnum > 8 ORDER BY attnum;
SELECT count(c), count(n23456789_123456789_123456789_123456789_123456789_123456789_123) FROM lake.edge_names_events;

-- names with dots and quotes
CREATE TABLE "edge.do""t" (id int PRIMARY KEY);
SELECT shard.distribute_table('"edge.do""t"', 'edge');
INSERT INTO "edge.do""t" VALUES (1);
SELECT edge_differ('"edge.do""t"', 'lake."edge.do""t"');
SELECT count(*) FROM shard.lake_files('lake."edge.do""t"');
SELECT count(*) > 0 FROM shard.lake_snapshots('lake."edge.do""t_events"');
SELECT lake_table FROM shard.compact('lake."edge.do""t"', true);

-- maintenance is writing, and needs a relation
BEGIN READ ONLY;
SELECT shard.compact('"edge.do""t"');
ROLLBACK;
SELECT shard.compact(0::oid::regclass);

SELECT count(*) FROM shard.dead_letters;
SELECT shard.undistribute_table(r::regclass) FROM unnest(ARRAY['edge_ends', 'edge_types', 'edge_names', '"edge.do""t"']) AS r;
DROP TABLE edge_ends, edge_types, edge_names, "edge.do""t";
DROP FUNCTION edge_differ;
SELECT shard.drop_router('edge');
