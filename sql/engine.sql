-- The engine: values on their way there and back, deletes, and what is refused.
CREATE TABLE engine_types (
    id int, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8,
    n numeric(10,2), n38 numeric(38,10), n0 numeric(38,38), nu numeric, nn numeric(5,-2),
    t text, v varchar(5), c char(4), by bytea, d date, ti time, ti0 time(0),
    ts timestamp, tz timestamptz, ts0 timestamp(0), u uuid, j jsonb, a int[], iv interval, tt timetz);
INSERT INTO engine_types VALUES
(1, true, -32768, 2147483647, -9223372036854775808, 4294967295, 'NaN', '-Infinity',
    -12345678.91, 1234567890123456789012345678.0123456789, 0.99999999999999999999999999999999999999, 1e40, 12345,
    'grüße', 'abcde', 'x', '\x00ff', '2001-02-03', '12:34:56.789', '12:34:57',
    '1999-12-31 23:59:59.999999', '2020-06-01 12:00+02', '2020-01-01 00:00:01',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1,2]}', '{1,NULL,3}', '1 day 2 hours', '01:02:03+04'),
(2, false, 0, 0, 0, 0, 0.1, 0.1, 0, 0.0000000001, -0.00000000000000000000000000000000000001, 0, 0,
    '', '', '', '', 'infinity', '24:00', '00:00',
    'infinity', '-infinity', '-infinity',
    '00000000-0000-0000-0000-000000000000', 'null', '{}', '0', '00:00+00'),
(3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    null, null, null, null, null, null, null, null, null, null),
(4, false, 1, 1, 1, 1, 'Infinity', 1e-300, 99999999.99, -9999999999999999999999999999.9999999999, 0.1, 'NaN', -100,
    E'a''b\n\\', 'é', 'ab', '\xdeadbeef', '-infinity', '00:00:00.000001', '23:59:59',
    '0001-01-01 BC', '4713-01-01 BC', '9999-12-31',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]', '{1,2,3,4}', '-1 mon', '23:59:59.999999-15:59'),
(5, false, 1, 1, 1, 1, '-0', '-0', 0.01, 10000, 0.5, -1e-20, 100,
    repeat('long ', 1000), 'a', 'abcd', '\x', '5874897-12-31', '00:00', '00:00',
    '294246-12-31', '1970-01-01 00:00:00+00', '0001-01-01',
    '80000000-0000-0000-8000-000000000000', '{}', null, '1 year', '12:00+00');
SELECT _shard.engine_export('SELECT * FROM engine_types', 'shard/warehouse/engine_types.parquet');
CREATE TABLE engine_back AS SELECT * FROM _shard.engine_read(
    'SELECT * FROM ''shard/warehouse/engine_types.parquet''') AS t(
    id int, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8,
    n numeric(10,2), n38 numeric(38,10), n0 numeric(38,38), nu numeric, nn numeric(5,-2),
    t text, v varchar(5), c char(4), by bytea, d date, ti time, ti0 time(0),
    ts timestamp, tz timestamptz, ts0 timestamp(0), u uuid, j jsonb, a int[], iv interval, tt timetz);
-- Compared by their text, since 0 = -0.
SELECT count(*) AS differences FROM (
    (SELECT t::text FROM engine_types t EXCEPT ALL SELECT t::text FROM engine_back t)
    UNION ALL
    (SELECT t::text FROM engine_back t EXCEPT ALL SELECT t::text FROM engine_types t)) d;
-- How the lake sees them.
SELECT * FROM _shard.engine_query($$
    SELECT id, n, nn, d, ts, tz, isinf(ts), c, u FROM 'shard/warehouse/engine_types.parquet' ORDER BY id$$);
SELECT * FROM _shard.engine_query($$
    SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM 'shard/warehouse/engine_types.parquet')$$);

-- As literals.
CREATE FUNCTION engine_there_and_back(value anyelement) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    literal text;
    back text;
BEGIN
    literal := _shard.engine_literal(value);
    EXECUTE format('SELECT x::text FROM _shard.engine_read(%L) AS t(x %s)', 'SELECT ' || literal, pg_typeof(value))
        INTO back;
    RETURN literal || CASE WHEN back IS DISTINCT FROM value::text THEN ' came back as ' || back ELSE '' END;
END $$;
SELECT l FROM (VALUES
    (1, engine_there_and_back(true)), (2, engine_there_and_back((-32768)::int2)), (3, engine_there_and_back(NULL::int)),
    (4, engine_there_and_back((-9223372036854775808)::int8)), (5, engine_there_and_back(0.1::float4)),
    (6, engine_there_and_back('-Infinity'::float8)), (7, engine_there_and_back('NaN'::float8)),
    (8, engine_there_and_back(1e-300::float8)), (9, engine_there_and_back(0.1::float8 + 0.2::float8)),
    (10, engine_there_and_back(-12.50)), (11, engine_there_and_back(0.0)), (12, engine_there_and_back(1e30)),
    (13, engine_there_and_back(99999999999999999999999999999999999999)),
    (14, engine_there_and_back('it''s "\x41" ü'::text)), (15, engine_there_and_back('\x00ff27'::bytea)),
    (16, engine_there_and_back('2001-02-03'::date)), (17, engine_there_and_back('infinity'::date)),
    (18, engine_there_and_back('0044-03-15 BC'::date)), (19, engine_there_and_back('12345-01-01'::date)),
    (20, engine_there_and_back('12:34:56.000001'::time)), (21, engine_there_and_back('2001-02-03 04:05:06.7'::timestamp)),
    (22, engine_there_and_back('-infinity'::timestamptz)), (23, engine_there_and_back('0044-03-15 BC'::timestamptz)),
    (24, engine_there_and_back('200000-01-01'::timestamp)), (25, engine_there_and_back('2020-06-01 12:00+02'::timestamptz)),
    (26, engine_there_and_back('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid)), (27, engine_there_and_back('{1,NULL}'::int[])),
    (28, engine_there_and_back('a b'::varchar))) AS v(i, l) ORDER BY i;
SELECT _shard.engine_literal('NaN'::numeric), _shard.engine_literal(1e38), _shard.engine_literal(1e-39);
DROP FUNCTION engine_there_and_back;

-- Values that have no place in the lake.
SELECT _shard.engine_export($$SELECT 'NaN'::numeric(5,2) AS n$$, 'shard/warehouse/engine_bad.parquet');
SELECT _shard.engine_export($$SELECT '294276-12-31'::timestamp AS ts$$, 'shard/warehouse/engine_bad.parquet');

-- Reading into narrower and other types.
SELECT * FROM _shard.engine_read($$SELECT 70000$$) AS t(i int2);
SELECT * FROM _shard.engine_read($$SELECT -1::BIGINT$$) AS t(o oid);
SELECT * FROM _shard.engine_read($$SELECT 'abcdef'$$) AS t(v varchar(5));
SELECT * FROM _shard.engine_read($$SELECT chr(0)$$) AS t(t text);
SELECT * FROM _shard.engine_read($$SELECT 1.25::DECIMAL(10,2), '2020-01-01 00:00:00.5'::TIMESTAMP, 5,
    1.5::DOUBLE, '2020-01-01'::DATE, 'ab', '17'$$)
    AS t(n numeric(10,1), ts timestamp(0), f float8, n2 numeric, ts2 timestamp, c char(4), i int);
CREATE DOMAIN engine_positive AS int CHECK (VALUE > 0);
SELECT * FROM _shard.engine_read($$SELECT 5$$) AS t(i engine_positive);
SELECT * FROM _shard.engine_read($$SELECT -5$$) AS t(i engine_positive);
SELECT * FROM _shard.engine_read($$SELECT 1, 2$$) AS t(i int);

-- Types that only the engine has.
SELECT * FROM _shard.engine_read($$SELECT sum(x), -(2::HUGEINT ** 100), 18446744073709551615::UBIGINT,
    INTERVAL '1 month 2 days 3.5 seconds', 'a'::ENUM('b', 'a'), '10110'::BIT, '12:00:00+02'::TIMETZ, NULL,
    200::UTINYINT, TIMESTAMP_S '2001-01-01 00:00:00', TIMESTAMP_MS '1969-01-01 00:00:00.001',
    TIMESTAMP_NS '1969-01-01 00:00:00.123456789', 4000000000::UINTEGER
    FROM range(5) t(x)$$)
    AS t(a numeric, b numeric, c numeric, d interval, e text, f text, g timetz, h text, i int,
    j timestamp, k timestamp, l timestamp, m int8);
SELECT * FROM _shard.engine_query($$SELECT [1.5, 2, NULL], {'a': {'b': DATE '2020-01-01'}}, MAP {'x': 'y"z\'},
    MAP {1: [true]}, [TIMESTAMPTZ '2020-01-01 00:00:00+01'], union_value(k := 5), ['a', NULL]::VARCHAR[2],
    ['NaN'::DOUBLE, 0.1], ['\xAA'::BLOB], [uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], [INTERVAL 1 DAY], []$$);
SELECT * FROM _shard.engine_query('SELECT 99999999999999999999999999999999999999::HUGEINT + 1');

-- Exactly one SELECT, on files that it may read.
\set VERBOSITY sqlstate
SELECT * FROM _shard.engine_query('COPY (SELECT 1) TO ''shard/warehouse/engine_bad.parquet''');
SELECT * FROM _shard.engine_query('ATTACH ''shard/warehouse/engine_bad.db''');
SELECT * FROM _shard.engine_query('CREATE TABLE t (i INT)');
SELECT * FROM _shard.engine_query('SET threads = 1');
SELECT * FROM _shard.engine_query('EXPLAIN SELECT 1');
SELECT * FROM _shard.engine_query('SELECT 1; SELECT 2');
SELECT * FROM _shard.engine_query('');
SELECT * FROM _shard.engine_query('SELEC 1');
SELECT * FROM _shard.engine_query('SELECT * FROM read_csv(''/etc/passwd'')');
SELECT * FROM _shard.engine_query('SELECT * FROM read_text(''shard/../postgresql.conf'')');
SELECT * FROM _shard.engine_query('SELECT * FROM glob(''/etc/*'')');
SELECT * FROM _shard.engine_query('SELECT error(''22012:division by zero'')');
SELECT _shard.engine_execute('SET lock_configuration = false');
SELECT _shard.engine_execute('SET memory_limit = ''100 GB''');
SELECT _shard.engine_execute('COPY (SELECT 1) TO ''/tmp/engine_bad.parquet''');
SELECT _shard.engine_execute('INSTALL httpfs');
\set VERBOSITY default

-- Deletes: two files for one data file, one of them shared with another.
SELECT _shard.engine_export('SELECT g AS id FROM generate_series(0, 199999) g', 'shard/warehouse/engine_data.parquet');
SELECT _shard.engine_export($$SELECT text 'file:///data' AS file_path, g AS pos FROM generate_series(0::bigint, 199999, 2) g
    UNION ALL SELECT 'file:///other', g FROM generate_series(0::bigint, 199999) g ORDER BY 1, 2$$,
    'shard/warehouse/engine_deletes_1.parquet');
SELECT _shard.engine_export($$SELECT text 'file:///data' AS file_path, bigint '65537' AS pos$$,
    'shard/warehouse/engine_deletes_2.parquet');
SELECT * FROM _shard.engine_query($$SELECT count(*), min(id), bool_or(id = 65537) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$);
SELECT * FROM _shard.engine_query($$SELECT count(*), min(id), bool_or(id = 65537) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_deletes_1.parquet}', 'file:///data');
SELECT * FROM _shard.engine_query($$SELECT count(*), min(id), bool_or(id = 65537) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_deletes_2.parquet,shard/warehouse/engine_deletes_1.parquet}', 'file:///data');
-- The same once more, from the cache; and an older state after the newer one.
SELECT * FROM _shard.engine_query($$SELECT count(*), min(id), bool_or(id = 65537) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_deletes_2.parquet,shard/warehouse/engine_deletes_1.parquet}', 'file:///data');
SELECT * FROM _shard.engine_query($$SELECT count(*), min(id), bool_or(id = 65537) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_deletes_2.parquet}', 'file:///data');
-- A delete file that is none, and one that is missing.
\set VERBOSITY sqlstate
SELECT * FROM _shard.engine_query($$SELECT count(*) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_data.parquet}', 'file:///data');
SELECT * FROM _shard.engine_query($$SELECT count(*) FROM 'shard/warehouse/engine_data.parquet'
    WHERE shard_live(filename, file_row_number)$$, 'shard/warehouse/engine_data.parquet',
    '{shard/warehouse/engine_none.parquet}', 'file:///data');
\set VERBOSITY default

-- Hashes are those of the router.
SELECT * FROM _shard.engine_query($$SELECT shard_key_hash('fnv1a', 'customer-123'), shard_key_hash('xxh3', 'a'),
    shard_key_hash('fnv1a', NULL), shard_key_position('xxh3', 'a') = shard_key_hash('xxh3', 'a')$$);
SELECT * FROM _shard.engine_query($$SELECT shard_key_hash('md5', 'a')$$);

-- Only superusers run statements, only readers see the status.
CREATE ROLE engine_nobody;
SET ROLE engine_nobody;
SELECT * FROM _shard.engine_query('SELECT 1');
SELECT _shard.engine_execute('SELECT 1');
SELECT * FROM shard.engine_status;
RESET ROLE;
GRANT shard_reader TO engine_nobody;
SET ROLE engine_nobody;
SELECT pid IS NOT NULL AS runs, max_queries, memory_limit FROM shard.engine_status;
RESET ROLE;
DROP ROLE engine_nobody;

-- A subtransaction gives its connection back; the next one works.
DO $$
BEGIN
    FOR i IN 1 .. 20 LOOP
        BEGIN
            PERFORM _shard.engine_query('SELECT error(''22012:oops'') FROM range(100000)');
        EXCEPTION WHEN division_by_zero THEN
            PERFORM _shard.engine_query('SELECT 1');
        END;
    END LOOP;
END
$$;
SELECT connections < 20 AS few FROM shard.engine_status;
DROP TABLE engine_types, engine_back;
DROP DOMAIN engine_positive;
