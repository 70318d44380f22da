-- The catalog tables can be filled in any order.  pg_dump puts the rows of a
-- table before those that refer to it, but a parallel pg_restore keeps to no
-- order between them.  So the foreign keys within the catalog are followed when
-- rows are deleted, and not checked when they are inserted.

DO $$
DECLARE
    checking record;
BEGIN
    FOR checking IN
        SELECT t.tgrelid::pg_catalog.regclass AS relation, t.tgname
        FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint AND c.conrelid = t.tgrelid
        JOIN pg_catalog.pg_class r ON r.oid = t.tgrelid
        JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
        WHERE c.contype = 'f' AND r.relnamespace = '_shard'::pg_catalog.regnamespace
          AND p.proname IN ('RI_FKey_check_ins', 'RI_FKey_check_upd')
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', checking.relation, checking.tgname);
    END LOOP;
END
$$;
