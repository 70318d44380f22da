-- The 22 queries of TPC-H are shipped whole, and give the rows that PostgreSQL's
-- own tables give.
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA tpch;
SET search_path = tpch, public;
\set scale 0.01
\o /dev/null
\i :abs_srcdir/test/tpch/tables.sql
\i :abs_srcdir/test/tpch/queries.sql
SELECT shard.create_router('tpch', 'hash', 2, '{l_orderkey}');
SELECT shard.distribute_table(t, 'tpch', ARRAY[key]) FROM (VALUES
    ('region'::regclass, 'r_regionkey'), ('nation', 'n_nationkey'), ('supplier', 's_suppkey'), ('part', 'p_partkey'),
    ('partsupp', 'ps_partkey'), ('customer', 'c_custkey'), ('orders', 'o_orderkey'), ('lineitem', 'l_orderkey')) v(t, key);
SELECT shard.flush('2 min');
\o
CREATE SCHEMA tpch_lake;
CREATE VIEW tpch_lake.region AS SELECT * FROM lake.tpch_region;
CREATE VIEW tpch_lake.nation AS SELECT * FROM lake.tpch_nation;
CREATE VIEW tpch_lake.supplier AS SELECT * FROM lake.tpch_supplier;
CREATE VIEW tpch_lake.part AS SELECT * FROM lake.tpch_part;
CREATE VIEW tpch_lake.partsupp AS SELECT * FROM lake.tpch_partsupp;
CREATE VIEW tpch_lake.customer AS SELECT * FROM lake.tpch_customer;
CREATE VIEW tpch_lake.orders AS SELECT * FROM lake.tpch_orders;
CREATE VIEW tpch_lake.lineitem AS SELECT * FROM lake.tpch_lineitem;

-- The rows of a query as one hash; the query runs as it is.
CREATE FUNCTION tpch.answer(query text, tables text, OUT rows bigint, OUT hash text) LANGUAGE plpgsql AS $$
DECLARE row record;
BEGIN
    PERFORM set_config('search_path', tables, true);
    rows := 0;
    hash := '';
    FOR row IN EXECUTE query LOOP
        rows := rows + 1;
        hash := md5(hash || row::text);
    END LOOP;
END $$;
-- The nodes of a query's plan, and whether the engine declined it.
CREATE FUNCTION tpch.nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    line text;
    result text := '';
BEGIN
    PERFORM set_config('search_path', 'tpch_lake', true);
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ '->|^\S|Run By' THEN
            result := result || ' ' || regexp_replace(line, ' \(actual.*', '');
        END IF;
    END LOOP;
    RETURN result;
END $$;
SELECT number, live.rows > 0 AS has_rows, tpch.nodes(text) AS plan, live = lake AS same
FROM tpch_query, tpch.answer(text, 'tpch') live, tpch.answer(text, 'tpch_lake') lake
ORDER BY number;

SET search_path = public;
DROP SCHEMA tpch_lake CASCADE;
DROP SCHEMA tpch CASCADE;
SELECT shard.drop_router('tpch');
