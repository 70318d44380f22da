-- The eight tables of TPC-H with made-up, deterministic rows of the specification's
-- distributions.  psql variable: scale (1 = 6 million line items).  They are made
-- in the first schema of the search path.

CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152));
CREATE TABLE supplier (
    s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey int NOT NULL,
    s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE part (
    p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
    p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL,
    p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (
    ps_partkey int, ps_suppkey int, ps_availqty int NOT NULL, ps_supplycost decimal(15,2) NOT NULL,
    ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (
    c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey int NOT NULL,
    c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE orders (
    o_orderkey bigint PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL,
    o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL,
    o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (
    l_orderkey bigint, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int, l_quantity decimal(15,2) NOT NULL,
    l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
    l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
    l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL,
    PRIMARY KEY (l_orderkey, l_linenumber));

-- A number from first to last that depends on i and what it is for.
CREATE FUNCTION draw(i bigint, purpose int, first int, last int) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT first + ((hashint8extended(i, purpose) & 1073741823) % (last - first + 1))::int $$;
CREATE FUNCTION draw(i bigint, purpose int, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT choices[1 + ((hashint8extended(i, purpose) & 1073741823) % cardinality(choices))::int] $$;
CREATE FUNCTION draw_phone(i bigint, nation int) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT (nation + 10) || '-' || draw(i, 901, 100, 999) || '-' || draw(i, 902, 100, 999) || '-' || draw(i, 903, 1000, 9999) $$;
CREATE FUNCTION draw_words(i bigint, purpose int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT draw(i, purpose, '{furiously,carefully,quickly,slyly,blithely,fluffily}') || ' ' ||
        draw(i, purpose + 1, '{special,pending,regular,express,final,ironic,bold,even,silent}') || ' ' ||
        draw(i, purpose + 2, '{requests,deposits,packages,accounts,theodolites,foxes,ideas,pinto beans}') || ' ' ||
        draw(i, purpose + 3, '{sleep,nag,haggle,wake,detect,cajole,boost,integrate}') $$;

INSERT INTO region SELECT i, (ARRAY['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'])[i + 1], draw_words(i, 10) FROM generate_series(0, 4) i;
INSERT INTO nation
    SELECT n - 1, name, region, draw_words(n, 20)
    FROM unnest(ARRAY['ALGERIA', 'ARGENTINA', 'BRAZIL', 'CANADA', 'EGYPT', 'ETHIOPIA', 'FRANCE', 'GERMANY', 'INDIA', 'INDONESIA',
            'IRAN', 'IRAQ', 'JAPAN', 'JORDAN', 'KENYA', 'MOROCCO', 'MOZAMBIQUE', 'PERU', 'CHINA', 'ROMANIA', 'SAUDI ARABIA',
            'VIETNAM', 'RUSSIA', 'UNITED KINGDOM', 'UNITED STATES'],
        ARRAY[0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1]) WITH ORDINALITY t(name, region, n);

SELECT (10000 * :scale)::int AS suppliers, (200000 * :scale)::int AS parts, (150000 * :scale)::int AS customers, (1500000 * :scale)::int AS orders \gset

INSERT INTO supplier
    SELECT i, 'Supplier#' || lpad(i::text, 9, '0'), 'address ' || draw(i, 31, 1, 100000), nation, draw_phone(i, nation),
        draw(i, 33, -99999, 999999) / 100.0,
        draw_words(i, 34) || CASE WHEN i % 97 = 5 THEN ' Customer slow Complaints' WHEN i % 97 = 6 THEN ' Customer Recommends' ELSE '' END
    FROM generate_series(1, :suppliers) i, LATERAL (SELECT draw(i, 32, 0, 24) AS nation) n;
INSERT INTO part
    SELECT i,
        draw(i, 41, '{almond,antique,aquamarine,azure,beige,bisque,black,blanched,blue,forest,green,khaki,lace,lavender}') || ' ' ||
            draw(i, 42, '{lawn,lemon,lime,linen,magenta,maroon,green,medium,metallic,midnight,mint,misty,moccasin}') || ' ' ||
            draw(i, 43, '{navajo,navy,olive,orange,orchid,pale,papaya,peach,peru,pink,plum,powder,puff}'),
        'Manufacturer#' || maker, 'Brand#' || maker || draw(i, 45, 1, 5),
        draw(i, 46, '{STANDARD,SMALL,MEDIUM,LARGE,ECONOMY,PROMO}') || ' ' || draw(i, 47, '{ANODIZED,BURNISHED,PLATED,POLISHED,BRUSHED}')
            || ' ' || draw(i, 48, '{TIN,NICKEL,BRASS,STEEL,COPPER}'),
        draw(i, 49, 1, 50),
        draw(i, 50, '{SM,LG,MED,JUMBO,WRAP}') || ' ' || draw(i, 51, '{CASE,BOX,BAG,JAR,PKG,PACK,CAN,DRUM}'),
        (90000 + (i / 10) % 20001 + 100 * (i % 1000)) / 100.0, draw(i, 52, '{deposits,foxes,packages}')
    FROM generate_series(1, :parts) i, LATERAL (SELECT draw(i, 44, 1, 5) AS maker) m;
INSERT INTO partsupp
    SELECT part, (part + n * (:suppliers / 4 + (part - 1) / :suppliers)) % :suppliers + 1, draw(part * 4 + n, 61, 1, 9999),
        draw(part * 4 + n, 62, 100, 100000) / 100.0, draw_words(part * 4 + n, 63)
    FROM generate_series(1, :parts) part, generate_series(0, 3) n;
INSERT INTO customer
    SELECT i, 'Customer#' || lpad(i::text, 9, '0'), 'address ' || draw(i, 71, 1, 100000), nation, draw_phone(i, nation),
        draw(i, 73, -99999, 999999) / 100.0, draw(i, 74, '{AUTOMOBILE,BUILDING,FURNITURE,MACHINERY,HOUSEHOLD}'), draw_words(i, 75)
    FROM generate_series(1, :customers) i, LATERAL (SELECT draw(i, 72, 0, 24) AS nation) n;
INSERT INTO lineitem
    SELECT i, part, (part + draw(line, 83, 0, 3) * (:suppliers / 4 + (part - 1) / :suppliers)) % :suppliers + 1, n, quantity,
        quantity * ((90000 + (part / 10) % 20001 + 100 * (part % 1000)) / 100.0), draw(line, 85, 0, 10) / 100.0, draw(line, 86, 0, 8) / 100.0,
        CASE WHEN received > '1995-06-17' THEN 'N' ELSE draw(line, 87, '{R,A}') END, CASE WHEN shipped > '1995-06-17' THEN 'O' ELSE 'F' END,
        shipped, ordered + draw(line, 89, 30, 90), received,
        draw(line, 90, '{DELIVER IN PERSON,COLLECT COD,NONE,TAKE BACK RETURN}'), draw(line, 91, '{REG AIR,AIR,RAIL,SHIP,TRUCK,MAIL,FOB}'),
        draw_words(line, 92)
    FROM generate_series(1, :orders) i, LATERAL generate_series(1, draw(i, 81, 1, 7)) n,
        LATERAL (SELECT i::bigint * 8 + n AS line, '1992-01-01'::date + draw(i, 80, 0, 2405) AS ordered) o,
        LATERAL (SELECT draw(line, 82, 1, :parts) AS part, draw(line, 84, 1, 50) AS quantity, ordered + draw(line, 88, 1, 121) AS shipped) l,
        LATERAL (SELECT shipped + draw(line, 93, 1, 30) AS received) r;
INSERT INTO orders
    SELECT i, customer - (customer % 3 = 0 AND customer > 1)::int,
        CASE count(*) FILTER (WHERE l_linestatus = 'O') WHEN 0 THEN 'F' WHEN count(*) THEN 'O' ELSE 'P' END,
        sum(round(l_extendedprice * (1 + l_tax) * (1 - l_discount), 2)), '1992-01-01'::date + draw(i, 80, 0, 2405),
        draw(i, 101, '{1-URGENT,2-HIGH,3-MEDIUM,4-NOT SPECIFIED,5-LOW}'), 'Clerk#' || lpad(draw(i, 102, 1, 1000)::text, 9, '0'), 0, draw_words(i, 103)
    FROM generate_series(1, :orders) i JOIN lineitem ON l_orderkey = i, LATERAL (SELECT draw(i, 100, 1, :customers) AS customer) c
    GROUP BY i, customer;
ANALYZE region, nation, supplier, part, partsupp, customer, orders, lineitem;
