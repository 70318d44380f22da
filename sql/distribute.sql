-- A table with everything on it is distributed and put together again: nothing
-- of it may be lost on either way.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE ROLE dt_owner;
CREATE ROLE dt_reader;
CREATE ROLE dt_writer;
CREATE SCHEMA dt AUTHORIZATION dt_owner;
CREATE SCHEMA "Dt Sales" AUTHORIZATION dt_owner;
SELECT shard.create_router('dt', 'consistent-hash', 4, '{customer}');

-- All that the catalogs say about a table, but what must differ between a plain
-- and a partitioned one.
CREATE FUNCTION dt.fingerprint(t regclass) RETURNS TABLE(line text) LANGUAGE sql AS $$
    SELECT format('table owner=%s acl=%s rls=%s/%s replica=%s comment=%s', relowner::regrole, relacl,
        relrowsecurity, relforcerowsecurity, relreplident, obj_description(oid, 'pg_class'))
    FROM pg_class WHERE oid = t
    UNION ALL
    SELECT format('column %s %s %s notnull=%s default=%s identity=%s generated=%s storage=%s compression=%s collation=%s statistics=%s options=%s acl=%s comment=%s',
        row_number() OVER (ORDER BY attnum), attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid), attidentity, attgenerated, attstorage, attcompression, attcollation::regcollation,
        attstattarget, array(SELECT o FROM unnest(attoptions) o WHERE o LIKE 'n_distinct%'), attacl, col_description(attrelid, attnum))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = t AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('constraint %s on %s %s comment=%s', conname, conrelid::regclass, pg_get_constraintdef(oid),
        obj_description(oid, 'pg_constraint'))
    FROM pg_constraint WHERE (conrelid = t OR confrelid = t) AND conparentid = 0
    UNION ALL
    SELECT format('index %s replica=%s statistics=%s comment=%s', replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON '),
        indisreplident, (SELECT string_agg(attnum || ':' || attstattarget, ' ') FROM pg_attribute
        WHERE attrelid = indexrelid AND attstattarget >= 0), obj_description(indexrelid, 'pg_class'))
    FROM pg_index WHERE indrelid = t
    UNION ALL
    SELECT format('trigger %s enabled=%s comment=%s', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger'))
    FROM pg_trigger WHERE tgrelid = t AND NOT tgisinternal
    UNION ALL
    SELECT format('rule %s enabled=%s comment=%s', pg_get_ruledef(oid), ev_enabled, obj_description(oid, 'pg_rewrite'))
    FROM pg_rewrite WHERE ev_class = t
    UNION ALL
    SELECT format('policy %s %s %s %s using=%s check=%s comment=%s', polname, polcmd, polpermissive,
        (SELECT string_agg(r::regrole::text, ',') FROM unnest(polroles) r),
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy'))
    FROM pg_policy WHERE polrelid = t
    UNION ALL
    SELECT format('statistics %s owner=%s target=%s comment=%s', pg_get_statisticsobjdef(oid), stxowner::regrole,
        stxstattarget, obj_description(oid, 'pg_statistic_ext'))
    FROM pg_statistic_ext WHERE stxrelid = t
    UNION ALL
    SELECT format('sequence %s of %s %s owner=%s acl=%s %s start=%s by=%s max=%s cycle=%s cache=%s last=%s comment=%s', s.seqrelid::regclass, a.attname,
        d.deptype, c.relowner::regrole, c.relacl, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqcycle, s.seqcache,
        pg_sequence_last_value(s.seqrelid), obj_description(s.seqrelid, 'pg_class'))
    FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid JOIN pg_class c ON c.oid = s.seqrelid
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION ALL
    SELECT format('publication %s columns=%s where=%s', p.pubname, (SELECT string_agg(attname, ',') FROM pg_attribute
        WHERE attrelid = t AND attnum = ANY (r.prattrs)), pg_get_expr(r.prqual, r.prrelid))
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = t
$$;
-- What a plain table has and a partitioned one cannot have.
CREATE FUNCTION dt.storage(t regclass) RETURNS text LANGUAGE sql AS $$
    SELECT format('am=%s options=%s toast=%s cluster=%s', am.amname, c.reloptions, toast.reloptions,
        (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = t AND indisclustered))
    FROM pg_class c JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
    WHERE c.oid = t
$$;

CREATE TABLE dt.customers (customer text PRIMARY KEY, name text);
CREATE FUNCTION dt.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dt.notes VALUES (TG_NAME, TG_OP, NEW.id);
    RETURN NEW;
END $$;
CREATE FUNCTION dt.note_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE TABLE dt.notes (trigger_name text, operation text, id bigint);
GRANT INSERT ON dt.notes TO PUBLIC;

CREATE TABLE "Dt Sales"."Orders" (
    gone int,
    id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5 MAXVALUE 100000 CYCLE),
    customer text COLLATE "C" NOT NULL,
    number serial,
    parent bigint,
    gone_too int,
    amount numeric(12, 2) DEFAULT 1.5 CHECK (amount >= 0),
    "Net %" numeric GENERATED ALWAYS AS (round(amount / 1.19, 2)) STORED,
    ordered timestamptz NOT NULL DEFAULT '2020-02-03 04:05:06+00',
    note text,
    tags text[] DEFAULT '{a,"b c"}',
    doc text COMPRESSION pglz,
    CONSTRAINT "orders %d pk" PRIMARY KEY (customer, id) INCLUDE (ordered) WITH (fillfactor = 80),
    CONSTRAINT orders_number_key UNIQUE (number, customer) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT orders_parent_fkey FOREIGN KEY (customer, parent) REFERENCES "Dt Sales"."Orders" (customer, id),
    CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES dt.customers ON UPDATE CASCADE ON DELETE CASCADE
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE "Dt Sales"."Orders" DROP COLUMN gone, DROP COLUMN gone_too, ALTER COLUMN note SET STORAGE EXTERNAL;
CREATE TABLE dt.items (customer text, id bigint, item int, PRIMARY KEY (customer, id, item),
    CONSTRAINT items_order_fkey FOREIGN KEY (customer, id) REFERENCES "Dt Sales"."Orders" ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE);
COMMENT ON CONSTRAINT items_order_fkey ON dt.items IS 'from elsewhere';

INSERT INTO dt.customers SELECT 'c' || i, 'name ' || i FROM generate_series(1, 20) i;
INSERT INTO "Dt Sales"."Orders" (customer, amount, note) SELECT 'c' || 1 + i % 20, i, repeat('x', i * 20) FROM generate_series(1, 200) i;
UPDATE "Dt Sales"."Orders" SET parent = 10 WHERE customer = 'c2';
INSERT INTO dt.items SELECT customer, id, 1 FROM "Dt Sales"."Orders";
ALTER TABLE "Dt Sales"."Orders" ADD COLUMN later int NOT NULL DEFAULT 42;
ALTER TABLE "Dt Sales"."Orders" ADD CONSTRAINT "net positive" CHECK ("Net %" > 5) NOT VALID;

CREATE INDEX "Orders by note" ON "Dt Sales"."Orders" (lower(note) text_pattern_ops DESC NULLS LAST) INCLUDE (amount) WITH (fillfactor = 60) WHERE amount > 3;
CREATE UNIQUE INDEX orders_unique ON "Dt Sales"."Orders" (ordered, customer, id);
CREATE INDEX orders_tags ON "Dt Sales"."Orders" USING gin (tags);
ALTER INDEX "Dt Sales"."Orders by note" ALTER COLUMN 1 SET STATISTICS 77;
CREATE STATISTICS "Dt Sales".orders_stats (ndistinct, dependencies) ON customer, parent FROM "Dt Sales"."Orders";
ALTER STATISTICS "Dt Sales".orders_stats SET STATISTICS 55;
ALTER TABLE "Dt Sales"."Orders" ALTER COLUMN amount SET STATISTICS 200, ALTER COLUMN customer SET (n_distinct = 20);
ALTER TABLE "Dt Sales"."Orders" CLUSTER ON orders_unique;
CREATE TRIGGER note_row AFTER INSERT OR UPDATE OF amount ON "Dt Sales"."Orders" FOR EACH ROW WHEN (NEW.amount > 1) EXECUTE FUNCTION dt.note();
CREATE TRIGGER note_always BEFORE INSERT ON "Dt Sales"."Orders" FOR EACH ROW EXECUTE FUNCTION dt.note('x''y');
CREATE TRIGGER note_disabled AFTER INSERT ON "Dt Sales"."Orders" FOR EACH ROW EXECUTE FUNCTION dt.note();
CREATE TRIGGER note_replica AFTER INSERT ON "Dt Sales"."Orders" FOR EACH ROW EXECUTE FUNCTION dt.note();
CREATE TRIGGER note_statement AFTER DELETE ON "Dt Sales"."Orders" REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION dt.note_statement();
CREATE CONSTRAINT TRIGGER note_constraint AFTER UPDATE ON "Dt Sales"."Orders" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dt.note();
ALTER TABLE "Dt Sales"."Orders" ENABLE ALWAYS TRIGGER note_always, DISABLE TRIGGER note_disabled, ENABLE REPLICA TRIGGER note_replica;
CREATE RULE keep_c3 AS ON DELETE TO "Dt Sales"."Orders" WHERE OLD.customer = 'c3' DO INSTEAD NOTHING;
CREATE RULE unused AS ON UPDATE TO "Dt Sales"."Orders" WHERE OLD.customer = 'c4' DO ALSO INSERT INTO dt.notes VALUES ('rule', 'UPDATE', OLD.id);
ALTER TABLE "Dt Sales"."Orders" DISABLE RULE unused;
ALTER TABLE "Dt Sales"."Orders" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "see own" ON "Dt Sales"."Orders" FOR SELECT TO dt_reader, dt_writer USING (customer = 'c5' OR EXISTS (SELECT FROM dt.customers c WHERE c.name = "Orders".note));
CREATE POLICY restrict_all ON "Dt Sales"."Orders" AS RESTRICTIVE USING (amount < 1000) WITH CHECK (amount < 500);
ALTER TABLE dt.customers OWNER TO dt_owner;
ALTER TABLE dt.items OWNER TO dt_owner;
ALTER TABLE "Dt Sales"."Orders" OWNER TO dt_owner;
SET ROLE dt_owner;
GRANT USAGE ON SCHEMA "Dt Sales", dt TO PUBLIC;
GRANT SELECT ON "Dt Sales"."Orders" TO dt_reader WITH GRANT OPTION;
GRANT INSERT (customer, amount), UPDATE (note) ON "Dt Sales"."Orders" TO dt_writer;
GRANT SELECT ON dt.customers TO dt_writer;
GRANT USAGE ON SEQUENCE "Dt Sales"."Orders_number_seq" TO dt_writer;
GRANT USAGE ON SEQUENCE "Dt Sales"."Orders_id_seq" TO dt_writer;
SET ROLE dt_reader;
GRANT SELECT ON "Dt Sales"."Orders" TO dt_writer;
RESET ROLE;
COMMENT ON TABLE "Dt Sales"."Orders" IS 'it''s orders';
COMMENT ON COLUMN "Dt Sales"."Orders"."Net %" IS 'net \ of tax';
COMMENT ON CONSTRAINT "orders %d pk" ON "Dt Sales"."Orders" IS 'the key';
COMMENT ON CONSTRAINT "net positive" ON "Dt Sales"."Orders" IS 'a check';
COMMENT ON INDEX "Dt Sales"."Orders by note" IS 'an index';
COMMENT ON TRIGGER note_row ON "Dt Sales"."Orders" IS 'a trigger';
COMMENT ON RULE keep_c3 ON "Dt Sales"."Orders" IS 'a rule';
COMMENT ON POLICY "see own" ON "Dt Sales"."Orders" IS 'a policy';
COMMENT ON STATISTICS "Dt Sales".orders_stats IS 'a statistic';
COMMENT ON SEQUENCE "Dt Sales"."Orders_id_seq" IS 'a sequence';
CREATE PUBLICATION dt_pub FOR TABLE "Dt Sales"."Orders" (customer, id, ordered) WHERE (customer <> 'c9') WITH (publish_via_partition_root);

TRUNCATE dt.notes;
CREATE TABLE dt.before AS SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"');
CREATE TABLE dt.storage_before AS SELECT dt.storage('"Dt Sales"."Orders"');
CREATE TABLE dt.rows_before AS SELECT * FROM "Dt Sales"."Orders";
SELECT count(*) FROM dt.before;

SELECT shard.distribute_table('"Dt Sales"."Orders"', 'dt', lake => false);

SELECT 'lost' AS what, line FROM (SELECT * FROM dt.before EXCEPT ALL SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"')) l
UNION ALL
SELECT 'new', line FROM (SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"') EXCEPT ALL SELECT * FROM dt.before) n;
SELECT count(*) FROM ((TABLE dt.rows_before EXCEPT ALL TABLE "Dt Sales"."Orders") UNION ALL (TABLE "Dt Sales"."Orders" EXCEPT ALL TABLE dt.rows_before)) d;
SELECT count(*) AS fired FROM dt.notes;
SELECT relation, router, partition_key, lake, shards FROM shard.tables;
SELECT * FROM shard.verify_placement('dt');
-- Leaves have what the table had, and no privileges of their own.
SELECT DISTINCT c.relowner::regrole, c.relacl, c.relreplident, replace(dt.storage(c.oid), n.nspname, 'leaf') AS storage
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = '"Dt Sales"."Orders"'::regclass;
SELECT DISTINCT attname, attstattarget, attoptions::text LIKE '%n_distinct=20%' AS n_distinct FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhrelid
WHERE i.inhparent = '"Dt Sales"."Orders"'::regclass AND (attstattarget > 0 OR attoptions::text LIKE '%n_distinct=20%') ORDER BY 1;
SELECT tgname, tgenabled, count(*) FROM pg_inherits i JOIN pg_trigger t ON t.tgrelid = i.inhrelid
WHERE i.inhparent = '"Dt Sales"."Orders"'::regclass AND NOT tgisinternal GROUP BY 1, 2 ORDER BY 1;
-- Its behaviour is kept, too.
INSERT INTO "Dt Sales"."Orders" (customer, amount) VALUES ('c1', 12.34), ('c2', 0.5) RETURNING id, customer, number, amount, "Net %";
INSERT INTO "Dt Sales"."Orders" (customer, amount) VALUES ('c1', 20) RETURNING id, customer, number, amount, "Net %";
INSERT INTO "Dt Sales"."Orders" (customer, amount) VALUES ('nobody', 20);
SELECT * FROM dt.notes ORDER BY 1, 2, 3;
DELETE FROM "Dt Sales"."Orders" WHERE customer IN ('c3', 'c4');
SELECT customer, count(*) FROM "Dt Sales"."Orders" WHERE customer IN ('c3', 'c4') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM dt.items;
UPDATE dt.customers SET customer = 'c21' WHERE customer = 'c8';
SELECT customer, count(*) FROM "Dt Sales"."Orders" WHERE customer IN ('c8', 'c21') GROUP BY 1 ORDER BY 1;
SET ROLE dt_writer;
SELECT DISTINCT customer FROM "Dt Sales"."Orders";
INSERT INTO "Dt Sales"."Orders" (customer, amount) VALUES ('c1', 700);
SELECT * FROM dt_shard_0."Orders";
RESET ROLE;

TRUNCATE dt.notes;
CREATE TABLE dt.after AS SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"');
CREATE TABLE dt.rows_after AS SELECT * FROM "Dt Sales"."Orders";
SELECT shard.undistribute_table('"Dt Sales"."Orders"');
SELECT 'lost' AS what, line FROM (SELECT * FROM dt.after EXCEPT ALL SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"')) l
UNION ALL
SELECT 'new', line FROM (SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"') EXCEPT ALL SELECT * FROM dt.after) n;
SELECT (SELECT storage FROM dt.storage_before) = dt.storage('"Dt Sales"."Orders"') AS same_storage;
SELECT count(*) FROM ((TABLE dt.rows_after EXCEPT ALL TABLE "Dt Sales"."Orders") UNION ALL (TABLE "Dt Sales"."Orders" EXCEPT ALL TABLE dt.rows_after)) d;
SELECT count(*) AS fired FROM dt.notes;
SELECT relkind FROM pg_class WHERE oid = '"Dt Sales"."Orders"'::regclass;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dt_shard%' OR nspname LIKE '\_shard\_%';
SELECT relation FROM shard.tables;

-- Twice there and back, now as its owner, who may not create schemas.
GRANT shard_admin TO dt_owner;
SET ROLE dt_owner;
SELECT shard.distribute_table('"Dt Sales"."Orders"', 'dt', '{customer}', false);
SELECT shard.undistribute_table('"Dt Sales"."Orders"');
RESET ROLE;
SELECT 'lost' AS what, line FROM (SELECT * FROM dt.after EXCEPT ALL SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"')) l
UNION ALL
SELECT 'new', line FROM (SELECT * FROM dt.fingerprint('"Dt Sales"."Orders"') EXCEPT ALL SELECT * FROM dt.after) n;
SELECT (SELECT storage FROM dt.storage_before) = dt.storage('"Dt Sales"."Orders"') AS same_storage;

DROP PUBLICATION dt_pub;
DROP SCHEMA "Dt Sales" CASCADE;
DROP SCHEMA dt CASCADE;
SELECT shard.drop_router('dt');
DROP ROLE dt_owner;
DROP ROLE dt_reader;
DROP ROLE dt_writer;
