-- While a database is restored, a router's operator classes may be there before
-- its rows.  Then rows can be loaded into leaves by name, and nothing else works.
SELECT shard.create_router('rs', shard_count => 2, partition_key => '{k}');
CREATE TABLE rs_t (k text PRIMARY KEY, v int);
CREATE TABLE rs_other (k text PRIMARY KEY, v int);
SELECT shard.distribute_table('rs_t', 'rs', lake => false);
SELECT shard.distribute_table('rs_other', 'rs', lake => false);
CREATE TABLE rs_plain (k text, v int);
INSERT INTO rs_plain VALUES ('c', 3), ('e', 5);
SELECT k, shard.route('rs', k) FROM unnest('{a,b,c,d,e}'::text[]) AS k;
PREPARE rs_by_key AS SELECT v FROM rs_t WHERE k = 'a';
EXECUTE rs_by_key;

-- what pg_restore brings last
CREATE TEMP TABLE rs_router AS SELECT * FROM _shard.router WHERE name = 'rs';
CREATE TEMP TABLE rs_shard AS SELECT * FROM _shard.shard WHERE router = 'rs';
CREATE TEMP TABLE rs_sharded AS SELECT * FROM _shard.sharded_table WHERE router = 'rs';
DELETE FROM _shard.sharded_table WHERE router = 'rs';
DELETE FROM _shard.router WHERE name = 'rs';

-- into leaves by name
COPY rs_shard_0.rs_t FROM stdin;
a	1
\.
COPY rs_shard_1.rs_t (v, k) FROM stdin;
2	b
\.
INSERT INTO rs_shard_0.rs_t VALUES ('c', 0) ON CONFLICT (k) DO UPDATE SET v = excluded.v;
INSERT INTO rs_shard_0.rs_t (k, v) SELECT k, v FROM rs_plain WHERE k = 'e' RETURNING k, v;
PREPARE rs_insert(text) AS INSERT INTO rs_shard_1.rs_t VALUES ($1, 4);
EXECUTE rs_insert('d');
SELECT * FROM rs_shard_0.rs_t ORDER BY k;
SELECT * FROM rs_t ORDER BY k;

-- nothing that needs the map
INSERT INTO rs_t VALUES ('f', 1);
COPY rs_t FROM stdin;
f	1
\.
SELECT * FROM rs_t WHERE k = 'a';
EXECUTE rs_by_key;
UPDATE rs_t SET k = 'z' WHERE v = 1;
UPDATE rs_shard_0.rs_t SET v = 7 WHERE k = 'a';
SELECT _shard.rs_hash('a'::text, 0);

-- nor what hides within a load: a trigger that writes through the parent, reads
-- by a pruned query, or a subquery that does
CREATE FUNCTION rs_write() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO rs_other VALUES (new.k, new.v); RETURN new; END$$;
CREATE FUNCTION rs_read() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN new.v := (SELECT count(*) FROM rs_other WHERE k = new.k); RETURN new; END$$;
CREATE FUNCTION rs_const() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN new.v := (SELECT count(*) FROM rs_other WHERE k = 'constant'); RETURN new; END$$;
CREATE TRIGGER rs BEFORE INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_write();
INSERT INTO rs_shard_0.rs_t VALUES ('x', 1);
COPY rs_shard_0.rs_t FROM stdin;
x	1
\.
DROP TRIGGER rs ON rs_shard_0.rs_t;
CREATE TRIGGER rs AFTER INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_write();
INSERT INTO rs_shard_0.rs_t VALUES ('x', 1);
COPY rs_shard_0.rs_t FROM stdin;
x	1
\.
DROP TRIGGER rs ON rs_shard_0.rs_t;
CREATE TRIGGER rs BEFORE INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_read();
INSERT INTO rs_shard_0.rs_t VALUES ('x', 1);
COPY rs_shard_0.rs_t FROM stdin;
x	1
\.
DROP TRIGGER rs ON rs_shard_0.rs_t;
CREATE TRIGGER rs BEFORE INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_const();
COPY rs_shard_0.rs_t FROM stdin;
x	1
\.
DROP TRIGGER rs ON rs_shard_0.rs_t;
INSERT INTO rs_shard_0.rs_t SELECT p.k || 'x', o.v FROM rs_plain AS p LEFT JOIN rs_other AS o ON o.k = p.k;
-- a nested load of a leaf is trusted, and the outer one afterwards, too
CREATE FUNCTION rs_leaf() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO rs_shard_1.rs_other VALUES (new.k, new.v); RETURN new; END$$;
CREATE TRIGGER rs BEFORE INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_leaf();
INSERT INTO rs_shard_0.rs_t VALUES ('nested', 1);
DROP TRIGGER rs ON rs_shard_0.rs_t;
-- an error within is no lasting trust
CREATE FUNCTION rs_caught() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN
        BEGIN INSERT INTO rs_other VALUES (new.k, new.v);
        EXCEPTION WHEN object_not_in_prerequisite_state THEN new.v := -1; END;
        RETURN new;
    END$$;
CREATE TRIGGER rs BEFORE INSERT ON rs_shard_0.rs_t FOR EACH ROW EXECUTE FUNCTION rs_caught();
INSERT INTO rs_shard_0.rs_t VALUES ('caught', 1) RETURNING v;
INSERT INTO rs_other VALUES ('f', 1);
DROP TRIGGER rs ON rs_shard_0.rs_t;
DELETE FROM rs_shard_0.rs_t WHERE k IN ('nested', 'caught');
DELETE FROM rs_shard_1.rs_other;

-- The rows come; with the last one, which says that all are there, everything
-- works again.
INSERT INTO _shard.router SELECT * FROM rs_router;
INSERT INTO _shard.shard SELECT * FROM rs_shard;
INSERT INTO _shard.sharded_table SELECT * FROM rs_sharded;
INSERT INTO rs_t VALUES ('f', 6);
INSERT INTO _shard.router_ready VALUES ('rs');
EXECUTE rs_by_key;
INSERT INTO rs_t VALUES ('f', 6);
INSERT INTO rs_shard_0.rs_t VALUES ('b', 1);
SELECT tableoid::regclass, * FROM rs_t ORDER BY k;
SELECT * FROM shard.verify_placement('rs');

DROP TABLE rs_t, rs_other, rs_plain, rs_router, rs_shard, rs_sharded;
DROP FUNCTION rs_write, rs_read, rs_const, rs_leaf, rs_caught;
SELECT shard.drop_router('rs');
