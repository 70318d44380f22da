-- Queries over the lake give the same answers as over the live table, whether
-- the engine computes them or PostgreSQL does.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA lakeq;
SET search_path = lakeq, public;

SELECT shard.create_router('lakeq', 'hash', 2, '{id}');
CREATE TABLE src (
    id bigint PRIMARY KEY, i2 smallint, i4 int, i8 bigint, f4 real, f8 float8,
    n numeric(12,2), nb numeric(30,10), un numeric, t text, v varchar(40), c char(5),
    d date, ts timestamp, tz timestamptz, tm time, b bool, u uuid, "By" bytea,
    j jsonb, iv interval, a int[], fd date);
SELECT shard.distribute_table('src', 'lakeq');

-- Rows with NULLs, extremes, NaN, infinities, empty and multi-byte text.
CREATE FUNCTION make_rows(first int, last int) RETURNS SETOF src LANGUAGE sql AS $$
    SELECT i,
        CASE WHEN i % 13 = 0 THEN NULL WHEN i % 101 = 0 THEN 32767 WHEN i % 103 = 0 THEN -32768 ELSE i * 7 % 21 - 10 END::smallint,
        CASE WHEN i % 11 = 0 THEN NULL WHEN i % 397 = 0 THEN 2147483647 WHEN i % 389 = 0 THEN -2147483648 ELSE i * 7919 % 201 - 100 END,
        CASE WHEN i % 7 = 0 THEN NULL WHEN i % 383 = 0 THEN 9223372036854775807 WHEN i % 379 = 0 THEN -9223372036854775808 ELSE i::bigint * 104729 % 2000001 - 1000000 END,
        CASE WHEN i % 17 = 0 THEN NULL WHEN i % 71 = 0 THEN 'NaN' WHEN i % 73 = 0 THEN '-Infinity' ELSE i % 40 / 8.0 END::real,
        CASE WHEN i % 19 = 0 THEN NULL WHEN i % 61 = 0 THEN 'NaN' WHEN i % 59 = 0 THEN 'Infinity' ELSE i * 31 % 1000 / 8.0 - 60 END::float8,
        CASE WHEN i % 23 = 0 THEN NULL WHEN i % 137 = 0 THEN 9999999999.99 WHEN i % 139 = 0 THEN -9999999999.99 ELSE (i * 37 % 10000) / 100.0 - 50 END,
        CASE WHEN i % 29 = 0 THEN NULL WHEN i % 143 = 0 THEN 12345678901234567890.1234567891 ELSE i * 1.0000000003 END,
        CASE WHEN i % 5 = 0 THEN NULL WHEN i % 31 = 0 THEN 'NaN' ELSE i / 3.0 END,
        CASE WHEN i % 9 = 0 THEN NULL WHEN i % 31 = 0 THEN '' WHEN i % 5 = 0 THEN chr(97 + i % 26) || 'é' || chr(65 + i % 26)
             WHEN i % 6 = 0 THEN '  pad ' || i % 7 || ' ' WHEN i % 77 = 0 THEN 'Ünï\%_cödé' WHEN i % 79 = 0 THEN '日本語テキスト'
             ELSE 'key-' || i % 50 END,
        'v' || i % 8, 'c' || i % 3,
        CASE WHEN i % 10 = 0 THEN NULL WHEN i % 211 = 0 THEN 'infinity' WHEN i % 223 = 0 THEN '-infinity' WHEN i % 227 = 0 THEN '0044-03-15 BC'
             ELSE '2001-01-01'::date + i % 700 END,
        CASE WHEN i % 12 = 0 THEN NULL WHEN i % 211 = 0 THEN 'infinity' WHEN i % 223 = 0 THEN '-infinity' WHEN i % 227 = 0 THEN '0044-03-15 10:00 BC'
             ELSE '2001-01-01'::timestamp + i::bigint * 7777777 % 50000000 * '1.000001 s'::interval END,
        CASE WHEN i % 14 = 0 THEN NULL ELSE '2001-01-01 UTC'::timestamptz + i % 365 * '1 day 00:00:00.000001'::interval END,
        CASE WHEN i % 20 = 0 THEN NULL ELSE '00:00'::time + i % 1440 * '1 min 0.5 s'::interval END,
        CASE WHEN i % 15 = 0 THEN NULL ELSE i % 4 < 2 END,
        CASE WHEN i % 16 = 0 THEN NULL ELSE ('00000000-0000-4000-8000-0000000000' || lpad((i % 90)::text, 2, '0'))::uuid END,
        CASE WHEN i % 18 = 0 THEN NULL WHEN i % 31 = 0 THEN '' ELSE decode('00ff' || lpad((i % 90)::text, 2, '0'), 'hex') END,
        jsonb_build_object('k', i % 5), (i % 50) * '1 hour'::interval, ARRAY[i % 3, NULL, i % 5],
        CASE WHEN i % 33 = 0 THEN NULL WHEN i % 97 = 0 THEN '0044-03-15 BC' WHEN i % 89 = 0 THEN '0001-12-31 BC' ELSE '1999-01-01'::date + i * 7 END
    FROM generate_series(first, last) i;
$$;
INSERT INTO src SELECT * FROM make_rows(1, 1000);
SELECT shard.flush() IS NOT NULL AS flushed;
INSERT INTO src SELECT * FROM make_rows(1001, 2000);
SELECT shard.flush() IS NOT NULL AS flushed;
INSERT INTO src SELECT * FROM make_rows(2001, 3000);
UPDATE src SET i4 = 7, t = 'changed' WHERE id % 50 = 0;
DELETE FROM src WHERE id % 70 = 0;
SELECT shard.flush() IS NOT NULL AS flushed;
ANALYZE src;

-- The answer to a query as one text; with its rows' order or without.
CREATE FUNCTION answer(query text, ordered boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE format('SELECT count(*) || '':'' || coalesce(md5(string_agg(x::text, E''\n''%s)), '''') FROM (%s) x',
        CASE WHEN NOT ordered THEN ' ORDER BY x::text COLLATE "C"' END, query) INTO result;
    RETURN result;
EXCEPTION WHEN others THEN
    RETURN sqlstate;
END $$;

-- The same of a query that runs as it is, not inside of another.
CREATE FUNCTION direct_answer(query text, ordered boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    row record;
    rows text[] := '{}';
BEGIN
    FOR row IN EXECUTE query LOOP
        rows := rows || row::text;
    END LOOP;
    IF NOT ordered THEN
        SELECT array_agg(r ORDER BY r COLLATE "C") INTO rows FROM unnest(rows) r;
    END IF;
    RETURN coalesce(cardinality(rows), 0) || ':' || coalesce(md5(array_to_string(rows, E'\n')), '');
EXCEPTION WHEN others THEN
    RETURN sqlstate;
END $$;

-- Who computes it: the engine all, or PostgreSQL some or all of it.
CREATE FUNCTION computed_by(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    local boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        local := local OR line ~ '^\s*(->\s+)?(Filter|Limit|Sort|Unique|WindowAgg|\w*Aggregate|Group|MixedAggregate|.*Join|Nested Loop|.*Scan on lakeq|Append)';
    END LOOP;
    RETURN CASE WHEN local THEN 'postgres' ELSE 'engine' END;
END $$;

CREATE FUNCTION compare(query text, ordered boolean DEFAULT false, OUT computed_by text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE lake_query text := replace(query, '{t}', 'lake.lakeq_src');
BEGIN
    computed_by := computed_by(lake_query);
    same := direct_answer(replace(query, '{t}', 'src'), ordered) = direct_answer(lake_query, ordered) AND
        answer(replace(query, '{t}', 'src'), ordered) = answer(lake_query, ordered);
END $$;

-- Every column.
SELECT * FROM compare('SELECT * FROM {t}');
SELECT * FROM compare('SELECT (r).a[1], r FROM {t} r');

-- Filters.
SELECT f AS filter, c.* FROM unnest(ARRAY[
    'i4 > 5', 'i4 <> 5', 'i4 BETWEEN -5 AND 5', 'i2 = i4', 'i4 < i8', 'i8 > i2', 'i4 > 5000000000', 'i8 = 9223372036854775807', 'i8 = (-9223372036854775807 - 1)',
    'f8 > 1.5', 'f8 = ''NaN''', 'f8 < ''NaN''', 'f8 >= ''Infinity''', 'f8 = 0', 'f8 = ''-0''', 'f4 > 1.1', 'f4 = 1.125::real', 'f4 = f8', 'f4 < f8', 'f8 IN (1.5, ''NaN'')',
    'n > 5', 'n > 5.555', 'n = -9999999999.99', 'n < nb', 'n IN (1.5, 2, NULL)', 'n + 1 > 5', 'n * 2.5 > nb', '-n > 3', 'abs(n) < 5', 'n > i4', 'nb = 12345678901234567890.1234567891',
    'n / 2 > 3', 'round(n) = 3', 'n = ''NaN''', 'un > 3', 'un = ''NaN''', 'un IS NULL', 'n > 1e40',
    't = ''key-5''', 't <> ''key-5''', 't < ''key-3''', 't >= ''key-3'' COLLATE "C"', 't < ''key-3'' COLLATE "und-x-icu"', 't = ''key-3'' COLLATE "und-x-icu"', 'v = ''v3''', 'v < ''v3''', 'c = ''c1''', 'c = ''c1  ''',
    't LIKE ''key%''', 't LIKE ''%é_''', 't LIKE ''%\%\_%''', 't LIKE ''___''', 't NOT LIKE ''k%''', 't ILIKE ''KEY%''', 't ~ ''^key''', 't IN (''key-1'', ''key-2'', NULL)', 't NOT IN (''key-1'')', 't NOT IN (''key-1'', NULL)',
    'length(t) > 5', 'substr(t, 2) = ''ey-5''', 'substr(t, 2, 3) = ''ey-''', 'substr(t, 0, 3) = ''ke''', 't || ''x'' = ''key-5x''', 'strpos(t, ''é'') = 2', 'starts_with(t, ''key'')', 'replace(t, ''key'', ''K'') LIKE ''K-1%''', 'btrim(t) = ''pad 3''', 'ltrim(t) = ''pad 3 ''', 'lower(t) = ''key-5''', 'left(t, 2) = ''ke''',
    'd > ''2001-06-01''', 'd = ''infinity''', 'd < ''0001-01-01''', 'd <= ''0044-03-15 BC''', 'ts > ''2001-06-01''', 'ts = ''-infinity''', 'ts < ''0001-01-01 BC''', 'tz > ''2001-06-01 UTC''', 'tz < now()', 'ts > ''294276-01-01''', 'd > ts', 'tz::date = ''2001-03-01''', 'tm > ''12:00''', 'tm < ''24:00''', 'd > current_date - 36500',
    'extract(month FROM d) = 5', 'extract(dow FROM ts) = 0', 'extract(hour FROM ts) > 12', 'extract(year FROM d) = 2001', 'extract(year FROM fd) = 2001', 'extract(year FROM fd) < 0', 'extract(year FROM fd) + 1 = 0', 'date_part(''year'', fd::timestamp) = 2001', 'date_part(''day'', ts) = 3', 'date_trunc(''month'', ts) = ''2001-02-01''', 'extract(week FROM d) = 52', 'extract(month FROM tz) = 3',
    'b', 'NOT b', 'b IS TRUE', 'b IS NOT TRUE', 'b IS UNKNOWN', 'b::int = 1', 'u = ''00000000-0000-4000-8000-000000000005''', 'u > ''00000000-0000-4000-8000-000000000050''', '"By" = ''\x00ff05''', '"By" IN (''\x00ff05'', '''')', '"By" > ''\x00ff50''',
    'i4 IS NULL', 'j IS NOT NULL', 'j @> ''{"k": 1}''', 'iv > ''3 hours''', 'a[1] = 1', 'i4 = 5 OR t IS NULL', 'NOT (i4 > 5 AND f8 > 0)', 'i4 IS DISTINCT FROM 5', 'i4 IS NOT DISTINCT FROM i2', 'nullif(i4, 5) IS NULL', 'coalesce(i4, 0) = 0', 'coalesce(n, 0.00) > 0', 'coalesce(n, 0) > 0', 'greatest(i4, i2) = 3', 'least(f8, 0) < -5', 'greatest(t, ''key-2'') = ''key-2''', 'CASE WHEN i4 > 0 THEN t ELSE ''neg'' END = ''neg''', 'CASE i4 WHEN 1 THEN ''one'' WHEN 2 THEN ''two'' END = ''one''',
    'i4 - 1 > 5 AND i4 < 1000 AND i4 > -1000', 'i2 * i2 > 3', 'i2 * 3::bigint > 3', 'i4 / 3 = 1', 'i4 % 3 = -1', 'i8 / 1000 = 5', 'i8 % 7 = -2', 'abs(i2) > 5', 'i4 / i2 > 1', 'i8::numeric > 5.5', 'i4::float8 > 1.5', 'i4::text = ''5''', 'f8 * 2 > 3', 'i4 # 5 = 0',
    'i4 = ANY (ARRAY[1, 2, 3])', 'i4 = ANY (ARRAY[1, NULL])', 'i4 <> ALL (ARRAY[1, 2])', 'i4 = ANY (''{}''::int[])', 'i4 <> ALL (''{}''::int[])', 'i4 = ANY (NULL::int[])', 'i4 > ANY (ARRAY[1, 2])', 'i2 = ANY (ARRAY[1, 2])', 'd IN (''2001-01-01'', ''2001-01-02'')', '(i4, i2) = (7, 2)',
    'i4 = (SELECT max(i2) FROM src)', 'i4 IN (SELECT i2 FROM src)', 'i4 = ANY (ARRAY(SELECT i4 FROM src WHERE i4 > 95))', 'EXISTS (SELECT FROM src s WHERE s.i4 = {t}.i4 AND s.id < 5)', 'n > (SELECT avg(n) FROM src)'
    ]) f, compare('SELECT id, t FROM {t} WHERE ' || f) c;

-- Aggregates: alone, over nothing, and by groups.
SELECT e AS aggregate, c.computed_by, c.same, n.same AS same_of_none, g.computed_by, g.same AS same_by_group
FROM unnest(ARRAY[
    'count(*)', 'count(i4)', 'count(DISTINCT i4)', 'count(DISTINCT t)', 'sum(i2)', 'sum(i4)', 'sum(i8)', 'sum(n)', 'sum(nb)', 'sum(un)', 'avg(i2)', 'avg(i4)', 'avg(i8)', 'avg(n)', 'avg(nb)', 'avg(un)', 'avg(DISTINCT i2)',
    'min(i2), max(i2)', 'min(i8), max(i8)', 'min(f4), max(f4)', 'min(f8), max(f8)', 'min(n), max(nb)', 'min(t), max(t)', 'min(t COLLATE "und-x-icu")', 'min(v), max(c)', 'min(d), max(d)', 'min(ts), max(ts)', 'min(tz), max(tm)', 'min(j::text)', 'max(iv)',
    'sum(f8) FILTER (WHERE f8 < 1000)', 'avg(f8) FILTER (WHERE f8 < 1000)', 'avg(f4) FILTER (WHERE f4 BETWEEN 0 AND 100)', 'sum(f8)', 'avg(f4)', 'sum(f4)',
    'bool_and(b), bool_or(b), every(b)', 'sum(i4) FILTER (WHERE b)', 'avg(i4) FILTER (WHERE i2 > 3)', 'count(*) FILTER (WHERE t LIKE ''k%'')', 'sum(DISTINCT i2)', 'sum(n * i2)', 'sum(CASE WHEN b THEN n END)', 'sum(coalesce(n, 0))', 'min(length(t))',
    'count(*) + 1', 'sum(i4) / count(i4)', 'avg(i2) * 2 + sum(i4)', 'stddev(i4)', 'string_agg(t, '','' ORDER BY id)', 'array_agg(i2 ORDER BY id)', 'max(n) - min(n)', 'coalesce(sum(i4), 0)', 'sum(1)', 'percentile_disc(0.5) WITHIN GROUP (ORDER BY i4)'
    ]) e,
    compare('SELECT ' || e || ' FROM {t}') c, compare('SELECT ' || e || ' FROM {t} WHERE id < 0') n,
    compare('SELECT i2, ' || e || ' FROM {t} GROUP BY i2') g;

-- Groups.
SELECT g AS grouped_by, c.* FROM unnest(ARRAY[
    'i2', 'i8', 't', 'v', 'c', 'b', 'f4', 'f8', 'n', 'un', 'd', 'ts', 'tz', 'tm', 'u', '"By"', 'j', 'iv', 'a', 'b, i2', 'i4 % 5', 'length(t)', 'lower(t)', 'substr(t, 1, 4)', 'date_trunc(''month'', ts)', 'extract(month FROM d)', 'extract(year FROM fd)', 'extract(year FROM ts)', 'i4 IS NULL', 'CASE WHEN i4 > 0 THEN 1 ELSE 0 END', 't COLLATE "und-x-icu"'
    ]) g, compare('SELECT ' || g || ', count(*), sum(n), avg(i4) FROM {t} GROUP BY ' || g) c;

-- Whole queries.
SELECT q AS query, c.* FROM unnest(ARRAY[
    'SELECT t, count(*) FROM {t} GROUP BY t HAVING count(*) > 3', 'SELECT t, count(*) FROM {t} GROUP BY t HAVING avg(i4) > 3', 'SELECT t FROM {t} GROUP BY t HAVING sum(i4) > 3 AND min(n) < 0', 'SELECT i2 FROM {t} GROUP BY i2 HAVING i2 > 3', 'SELECT 1 FROM {t} HAVING count(*) > 1',
    'SELECT DISTINCT i2 FROM {t}', 'SELECT DISTINCT b, t FROM {t} WHERE i4 > 0', 'SELECT DISTINCT i2 + 1::bigint, 5 FROM {t}', 'SELECT DISTINCT ON (i2) i2 FROM {t} ORDER BY i2', 'SELECT count(*) FROM (SELECT DISTINCT i2 FROM {t}) s', 'SELECT DISTINCT count(*) FROM {t} GROUP BY i2',
    'SELECT i2 + 1::bigint, i2, count(*) FROM {t} GROUP BY i2', 'SELECT i2 AS x, i2 AS y, count(*) FROM {t} GROUP BY x, y', 'SELECT b, count(*) FROM {t} GROUP BY ROLLUP (b)', 'SELECT b, i2, count(*) FROM {t} GROUP BY GROUPING SETS ((b), (i2))',
    'SELECT count(*) FROM {t} x JOIN {t} y ON x.id = y.i4', 'SELECT x.id, y.t FROM {t} x JOIN src y USING (id) WHERE y.i4 = 5', 'SELECT id, (SELECT count(*) FROM {t} x WHERE x.i2 = src.i2) FROM src WHERE id < 5', 'SELECT s.id, l.id FROM src s, LATERAL (SELECT id FROM {t} x WHERE x.i4 = s.i4 ORDER BY id LIMIT 2) l WHERE s.id < 20',
    'WITH w AS MATERIALIZED (SELECT * FROM {t} WHERE i4 = 5) SELECT count(*) FROM w', 'SELECT count(*) FROM (SELECT id FROM {t} WHERE i4 > 0 UNION ALL SELECT id FROM {t} WHERE i4 < 0) s', 'SELECT id FROM {t} WHERE i4 = 3 EXCEPT SELECT id FROM {t} WHERE i2 = 4', 'SELECT id, max(i4) OVER (PARTITION BY b) FROM {t}', 'SELECT i2, count(*), rank() OVER (ORDER BY count(*) DESC, i2) FROM {t} GROUP BY i2', 'SELECT i2, unnest(ARRAY[1, 2]), count(*) FROM {t} GROUP BY 1, 2'
    ]) q, compare(q) c;

-- Order and limits.
SELECT q AS query, c.* FROM unnest(ARRAY[
    'SELECT id FROM {t} ORDER BY id', 'SELECT id, t FROM {t} ORDER BY t, id LIMIT 20', 'SELECT id FROM {t} ORDER BY t COLLATE "C" DESC, id', 'SELECT id FROM {t} ORDER BY t COLLATE "und-x-icu", id LIMIT 50', 'SELECT id FROM {t} ORDER BY f8 DESC NULLS LAST, id', 'SELECT id FROM {t} ORDER BY f8, id LIMIT 10', 'SELECT id FROM {t} ORDER BY n NULLS FIRST, id DESC OFFSET 10 LIMIT 20', 'SELECT id FROM {t} WHERE i4 > 0 ORDER BY d, id OFFSET 5', 'SELECT id FROM {t} ORDER BY i2 * 2::bigint, id',
    'SELECT id FROM {t} ORDER BY u, "By", id LIMIT 50', 'SELECT id FROM {t} ORDER BY b DESC, tm, tz, id', 'SELECT id FROM {t} ORDER BY length(t), id LIMIT 30', 'SELECT id FROM {t} ORDER BY lower(t), id LIMIT 5', 'SELECT id FROM {t} ORDER BY c, id LIMIT 5', 'SELECT id FROM {t} ORDER BY iv, id LIMIT 5', 'SELECT id FROM {t} ORDER BY id USING >',
    'SELECT t, count(*) FROM {t} GROUP BY t ORDER BY count(*) DESC, t LIMIT 5', 'SELECT t, avg(i4) FROM {t} GROUP BY t ORDER BY avg(i4), t LIMIT 5', 'SELECT i2, sum(n) FROM {t} GROUP BY i2 ORDER BY 2 DESC NULLS LAST, 1', 'SELECT t, count(*) FROM {t} GROUP BY t ORDER BY count(*) + 1, t LIMIT 5', 'SELECT DISTINCT i2 FROM {t} ORDER BY i2 DESC NULLS LAST LIMIT 3', 'SELECT i2 FROM {t} GROUP BY i2 ORDER BY i2 LIMIT 5',
    'SELECT id FROM {t} ORDER BY id LIMIT 0', 'SELECT id FROM {t} ORDER BY id LIMIT NULL OFFSET 2900', 'SELECT id FROM {t} ORDER BY id LIMIT (SELECT 5) OFFSET (SELECT 2)', 'SELECT id FROM {t} ORDER BY i2 FETCH FIRST 3 ROWS WITH TIES', 'SELECT id, row_number() OVER (ORDER BY id) FROM {t} ORDER BY id LIMIT 10', 'SELECT id FROM {t} WHERE quote_ident(t) = ''key-1'' ORDER BY id LIMIT 3', 'SELECT count(*) FROM {t} ORDER BY 1 LIMIT 1', 'SELECT id FROM {t} ORDER BY id LIMIT -1', 'SELECT id, unnest(ARRAY[1, 2]) FROM {t} ORDER BY 1, 2 LIMIT 3'
    ]) q, compare(CASE WHEN q LIKE '%WITH TIES' THEN 'SELECT count(*) FROM (' || q || ') w' ELSE q END, true) c;

-- A count of rows alone needs no order.
SELECT * FROM compare('SELECT count(*) FROM (SELECT id FROM {t} LIMIT 7) s');
SELECT * FROM compare('SELECT count(*) FROM (SELECT id FROM {t} WHERE i4 > 0 OFFSET 7) s');

-- Parameters are sent as values when a statement runs.
SET plan_cache_mode = force_generic_plan;
PREPARE lake(int, text, int[], float8, timestamp, numeric) AS SELECT count(*), sum(i4) FROM lake.lakeq_src
    WHERE i4 > $1 AND t IS DISTINCT FROM $2 AND i2 = ANY ($3) AND f8 <> $4 AND ts < $5 AND n < $6;
PREPARE live(int, text, int[], float8, timestamp, numeric) AS SELECT count(*), sum(i4) FROM src
    WHERE i4 > $1 AND t IS DISTINCT FROM $2 AND i2 = ANY ($3) AND f8 <> $4 AND ts < $5 AND n < $6;
EXECUTE lake(-50, 'it''s', '{4,-3,NULL}', 'NaN', 'infinity', 'NaN');
EXECUTE live(-50, 'it''s', '{4,-3,NULL}', 'NaN', 'infinity', 'NaN');
EXECUTE lake(-50, NULL, '{-10,4}', '-0', '2002-01-01', 10.5);
EXECUTE live(-50, NULL, '{-10,4}', '-0', '2002-01-01', 10.5);
EXECUTE lake(NULL, NULL, NULL, NULL, NULL, NULL);
EXECUTE live(NULL, NULL, NULL, NULL, NULL, NULL);
PREPARE page(bigint, bigint) AS SELECT id FROM lake.lakeq_src WHERE i4 > 0 ORDER BY id LIMIT $1 OFFSET $2;
EXECUTE page(2, 3);
EXECUTE page(NULL, 1368);
EXECUTE page(-1, 0);
EXECUTE page(1, -1);
-- A prepared statement sees what has been flushed since.
PREPARE newest AS SELECT max(id) FROM lake.lakeq_src;
EXECUTE newest;
INSERT INTO src SELECT * FROM make_rows(3001, 3001);
SELECT shard.flush() IS NOT NULL AS flushed;
EXECUTE newest;
-- A plan that took a column to be finite is not used when it is not.
PREPARE years AS SELECT count(*) FROM lake.lakeq_src WHERE extract(year FROM fd) > 3000;
EXECUTE years;
UPDATE src SET fd = 'infinity' WHERE id = 1;
SELECT shard.flush() IS NOT NULL AS flushed;
EXECUTE years;
EXECUTE years;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- What is sent.
CREATE FUNCTION explain(query text, options text DEFAULT 'ANALYZE OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, ' || options || ') ' || query LOOP
        IF options <> 'ANALYZE OFF' OR line !~ '^\s*(Snapshot|Files|Files Pruned):' THEN
            RETURN NEXT line;
        END IF;
    END LOOP;
END $$;
SELECT explain('SELECT id, t FROM lake.lakeq_src WHERE n > 5 AND t LIKE ''key%'' AND quote_ident(t) = ''key-5''');
SELECT explain('SELECT t, count(*), avg(i4), sum(n) + 1 FROM lake.lakeq_src WHERE d >= ''2001-02-03'' GROUP BY t HAVING count(*) > 3 ORDER BY count(*) DESC, t LIMIT 5');
SELECT explain('SELECT DISTINCT i2 FROM lake.lakeq_src ORDER BY i2 DESC NULLS LAST OFFSET 1');
SELECT explain('SELECT count(*) FROM lake.lakeq_src WHERE tz > now() AND i4 = (SELECT 5)');
SELECT explain('SELECT i2, bit_xor(i4) FROM lake.lakeq_src GROUP BY i2');

-- Files are pruned by their bounds, by parameters too.
CREATE FUNCTION pruned(condition text, OUT rows bigint, OUT pruned boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT count(*) FROM lake.lakeq_src WHERE ' || condition INTO rows;
    SELECT files_pruned > 0 INTO pruned FROM shard.last_query_stats();
END $$;
SELECT f AS filter, p.* FROM unnest(ARRAY[
    'id = 5', 'id < 500', 'id > 2500', 'id >= 2500::numeric', '5 > id', 'id BETWEEN 1100 AND 1200', 'id IN (1, 2)', 'id = ANY (ARRAY[1, NULL])', 'id = (SELECT 5)', 'id = 99999999999', 'id = 5::int2', 'id = 1 AND quote_ident(t) = ''x''',
    'nb < 500', 'nb > 2500.5', 'nb < 500.00000000001', 'id + 0 = 5', 'id = 5 OR id = 6', 'j IS NULL', 'i4 IS NULL', 't < ''a''', 't LIKE ''zzz%''', 't = ''zzz''', 'f8 > 1e9', 'f8 < -1e9', 'f8 = 1e9', 'tz > ''2003-01-01 UTC''', 'd > ''2005-01-01''', 'u = ''ffffffff-0000-4000-8000-000000000005''', '"By" = ''\xffff''', 'tm < ''00:00'''
    ]) f, pruned(f) p;
SELECT count(*) = (SELECT count(*) FROM src) AS same FROM lake.lakeq_src;
SELECT files_scanned > 0 AS files, bytes_scanned > 0 AS bytes, rows_scanned > 0 AS rows, total_rows, cache_hit, snapshot_id IS NOT NULL AS snapshot, duration_ms > 0 AS duration
FROM shard.last_query_stats();
SELECT regexp_replace(e, '\d+', 'N', 'g') AS explain_analyze
FROM explain('SELECT t FROM lake.lakeq_src WHERE id < 500 LIMIT 3', 'ANALYZE, TIMING OFF, SUMMARY OFF') e;

-- Statistics come from a sample of the lake's rows.
ANALYZE lake.lakeq_src;
SELECT reltuples FROM pg_class WHERE oid = 'lake.lakeq_src'::regclass;
SELECT attname, null_frac > 0 AS nulls, n_distinct FROM pg_stats
WHERE schemaname = 'lake' AND tablename = 'lakeq_src' AND attname IN ('id', 'b', 'v', 'c', 'j') ORDER BY 1;
ANALYZE lake.lakeq_src (id, i4);

-- Cursors, loops and errors between their rows.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM lake.lakeq_src ORDER BY id;
FETCH 2 FROM c;
SAVEPOINT s;
SELECT 1 / 0;
ROLLBACK TO s;
FETCH 2 FROM c;
MOVE 2500 FROM c;
FETCH 1 FROM c;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM lake.lakeq_src ORDER BY id DESC LIMIT 3;
COMMIT;
FETCH ALL FROM h;
CLOSE h;
DO $$
DECLARE
    r record;
    done int := 0;
BEGIN
    FOR r IN SELECT id FROM lake.lakeq_src ORDER BY id LOOP
        BEGIN
            done := done + 1;
            IF done % 700 = 0 THEN
                PERFORM count(*) FROM lake.lakeq_src WHERE id = done;
                PERFORM 1 / 0;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
    ASSERT done = (SELECT count(*) FROM src);
END $$;

-- What is not to be.
INSERT INTO lake.lakeq_src (id) VALUES (1);
UPDATE lake.lakeq_src SET i4 = 1;
DELETE FROM lake.lakeq_src;
SELECT sum(i2 / (i2 - i2)) FROM lake.lakeq_src;
SELECT sum(f) FROM (SELECT f8 * 1e308 AS f FROM lake.lakeq_src WHERE f8 BETWEEN 1 AND 10) s;
SET shard.query_timeout = '1ms';
SELECT count(DISTINCT id), count(DISTINCT t), count(DISTINCT ts), count(DISTINCT nb), count(DISTINCT u), count(DISTINCT i8), count(DISTINCT f8),
    count(DISTINCT tz), count(DISTINCT tm), count(DISTINCT "By"), count(DISTINCT v), count(DISTINCT n), count(DISTINCT i2), count(DISTINCT f4) FROM lake.lakeq_src;
RESET shard.query_timeout;

-- A role needs the right to the foreign table, and no other.
CREATE ROLE lakeq_user;
GRANT USAGE ON SCHEMA lakeq TO lakeq_user;
SET ROLE lakeq_user;
SELECT count(*) FROM lake.lakeq_src;
CREATE FOREIGN TABLE lakeq.mine (id bigint) SERVER lake OPTIONS ("table" 'lakeq.src');
RESET ROLE;
GRANT SELECT (id) ON lake.lakeq_src TO lakeq_user;
SET ROLE lakeq_user;
SELECT count(id) FROM lake.lakeq_src WHERE id < 10;
SELECT count(i4) FROM lake.lakeq_src;
SELECT count(id) FROM lake.lakeq_src WHERE i4 = 1;
RESET ROLE;
-- Nor may a condition see what a security barrier hides.
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, i4, t FROM lake.lakeq_src WHERE id < 10;
SELECT explain('SELECT id FROM barrier WHERE i4 = 2');
SELECT explain('SELECT id FROM barrier WHERE i4 % 5 = 2');

DROP VIEW barrier;
REVOKE ALL ON lake.lakeq_src FROM lakeq_user;
REVOKE ALL ON SCHEMA lakeq FROM lakeq_user;
DROP ROLE lakeq_user;
DROP SCHEMA lakeq CASCADE;
SELECT shard.drop_router('lakeq');
