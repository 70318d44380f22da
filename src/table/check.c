/*
 * check.c
 *		What cannot be kept is refused, before anything changes.
 *
 * The refusals that need only a look at the catalogs are rows of one list: a
 * query that finds the offending object, and the error with its hint.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

typedef struct Refusal
{
	const char *query;			/* $1: the table, $2: the key's column; gives names */
	const char *message;		/* %s: the name */
	const char *hint;
} Refusal;

/* Where the key is a column. */
static const Refusal column_refusals[] = {
	{
		"SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 "
		"AND i.indisunique AND NOT i.indisexclusion "
		"AND NOT $2 = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) ORDER BY 1",
		"unique constraint or index \"%s\" does not contain the partition key",
		"A sharded table can keep values unique within a shard only: add the partition key to it, "
		"or choose a partition key that it contains."
	}
};

/* Where it is an expression. */
static const Refusal expression_refusals[] = {
	{
		"SELECT c.conname || '" "\" of table \"" "' || c.conrelid::regclass FROM pg_constraint c "
		"WHERE c.contype = 'f' AND c.confrelid = $1 AND c.conparentid = 0 AND $2 = 0 ORDER BY 1",
		"foreign key \"%s\" refers to it",
		"A table whose partition key is an expression has unique constraints in its shards only, to which "
		"no foreign key can refer: drop the foreign key, or choose a single column as partition key."
	},
	{
		"SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
		"WHERE i.indrelid = $1 AND i.indisreplident ORDER BY 1",
		"its replica identity is index \"%s\"",
		"Set REPLICA IDENTITY DEFAULT or FULL: with an expression as partition key the index is in the shards only."
	}
};

static const Refusal refusals[] = {
	{
		"SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'x' ORDER BY 1",
		"exclusion constraint \"%s\" cannot be kept on a sharded table",
		"Drop the constraint, or use a unique constraint that contains the partition key."
	},
	{
		"SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
		"WHERE i.indrelid = $1 AND NOT i.indisvalid ORDER BY 1",
		"index \"%s\" is not valid",
		"Rebuild the index with REINDEX, or drop it."
	},
	{
		"SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'c' AND connoinherit ORDER BY 1",
		"check constraint \"%s\" is marked NO INHERIT",
		"Create the constraint again without NO INHERIT."
	},
	{
		"SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' AND NOT convalidated ORDER BY 1",
		"foreign key \"%s\" is not validated",
		"Validate it with ALTER TABLE ... VALIDATE CONSTRAINT."
	},
	{
		"SELECT tgname FROM pg_trigger WHERE tgrelid = $1 AND tgisinternal AND tgenabled <> 'O' ORDER BY 1",
		"the foreign-key trigger \"%s\" is not enabled",
		"Enable it with ALTER TABLE ... ENABLE TRIGGER ALL."
	},
	{
		"SELECT tgname FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgtype & 1 = 1 "
		"AND (tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL) ORDER BY 1",
		"row trigger \"%s\" uses transition tables",
		"Make it a trigger FOR EACH STATEMENT: row triggers of a sharded table cannot have transition tables."
	},
	{
		"SELECT pubname FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid "
		"WHERE r.prrelid = $1 AND NOT p.pubviaroot AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL) ORDER BY 1",
		"publication \"%s\" filters rows or columns of the table",
		"Set publish_via_partition_root of the publication to true."
	},
	{
		"SELECT subname FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid "
		"WHERE r.srrelid = $1 ORDER BY 1",
		"the table is a target of subscription \"%s\"",
		"Drop the subscription, distribute the table, and create the subscription again."
	},
	{
		"SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE deptype = 'x' AND "
		"((classid = 'pg_class'::regclass AND objid IN (SELECT $1 UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = $1)) "
		"OR (classid = 'pg_trigger'::regclass AND objid IN (SELECT oid FROM pg_trigger WHERE tgrelid = $1))) ORDER BY 1",
		"%s depends on an extension",
		"Take the dependency away with ALTER ... NO DEPENDS ON EXTENSION."
	}
};

/*
 * Relations that the distributed or put-together table consists of: $1, its
 * partitions, and their TOAST tables.
 */
#define RELATIONS \
	"tables AS (SELECT $1 AS oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = $1), " \
	"rels AS (SELECT oid FROM tables UNION ALL " \
	"SELECT c.reltoastrelid FROM pg_class c JOIN tables t ON t.oid = c.oid WHERE c.reltoastrelid <> 0)"

/* Objects that belong to those relations and are made again with them. */
#define PARTS RELATIONS ", parts (classid, objid) AS (" \
	"SELECT 'pg_class'::regclass::oid, oid FROM rels UNION ALL " \
	"SELECT 'pg_type'::regclass, t.oid FROM pg_type t JOIN rels ON t.typrelid = rels.oid UNION ALL " \
	"SELECT 'pg_type'::regclass, t.typarray FROM pg_type t JOIN rels ON t.typrelid = rels.oid UNION ALL " \
	"SELECT 'pg_class'::regclass, indexrelid FROM pg_index JOIN rels ON indrelid = rels.oid UNION ALL " \
	"SELECT 'pg_class'::regclass, objid FROM pg_depend JOIN rels ON refobjid = rels.oid " \
	"WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype = 'i' AND refobjsubid > 0 UNION ALL " \
	"SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c " \
	"WHERE c.conrelid IN (SELECT oid FROM rels) OR c.confrelid IN (SELECT oid FROM rels))"

/* Objects that may depend on them, since they are made again or re-pointed, too. */
#define KNOWN "known (classid, objid) AS (SELECT * FROM parts UNION ALL " \
	"SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN rels ON d.adrelid = rels.oid UNION ALL " \
	"SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t WHERE t.tgrelid IN (SELECT oid FROM rels) " \
	"OR t.tgconstraint IN (SELECT objid FROM parts WHERE classid = 'pg_constraint'::regclass) UNION ALL " \
	"SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN rels ON r.ev_class = rels.oid UNION ALL " \
	"SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN rels ON p.polrelid = rels.oid UNION ALL " \
	"SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s JOIN rels ON s.stxrelid = rels.oid UNION ALL " \
	"SELECT 'pg_publication_rel'::regclass, p.oid FROM pg_publication_rel p JOIN rels ON p.prrelid = rels.oid UNION ALL " \
	"SELECT 'pg_class'::regclass, objid FROM pg_depend JOIN rels ON refobjid = rels.oid " \
	"WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype = 'a' AND refobjsubid > 0)"

#define DEPENDENTS "WITH " PARTS ", " KNOWN \
	" SELECT DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass " \
	"THEN (SELECT pg_describe_object('pg_class'::regclass, ev_class, 0) FROM pg_rewrite WHERE oid = d.objid) " \
	"ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END FROM pg_depend d " \
	"WHERE (d.refclassid, d.refobjid) IN (SELECT classid, objid FROM parts) " \
	"AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM known) ORDER BY 1"

/* An index's definition without its name and its table's. */
#define INDEX_SHAPE(index) \
	"regexp_replace(pg_get_indexdef(" index "), '^CREATE UNIQUE INDEX .*? ON .*? USING ', '')"

/* What somebody made on a leaf alone. */
#define LEAF_EXTRAS "WITH leaves AS (SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = $1) " \
	"SELECT pg_describe_object('pg_class'::regclass, indexrelid, 0) FROM pg_index JOIN leaves ON indrelid = leaves.oid " \
	"WHERE NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid) " \
	"AND NOT ($2 = 1 AND indisunique AND (SELECT count(*) FROM leaves l JOIN pg_index i ON i.indrelid = l.oid AND i.indisunique " \
	"WHERE " INDEX_SHAPE("i.indexrelid") " = " INDEX_SHAPE("pg_index.indexrelid") ") " \
	">= (SELECT count(*) FROM leaves)) UNION ALL " \
	"SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0) FROM pg_trigger t JOIN leaves ON t.tgrelid = leaves.oid " \
	"WHERE NOT t.tgisinternal AND t.tgparentid = 0 UNION ALL " \
	"SELECT pg_describe_object('pg_constraint'::regclass, c.oid, 0) FROM pg_constraint c JOIN leaves ON c.conrelid = leaves.oid " \
	"WHERE c.contype IN ('c', 'f', 'x') AND c.conislocal AND c.conparentid = 0 UNION ALL " \
	"SELECT pg_describe_object('pg_rewrite'::regclass, r.oid, 0) FROM pg_rewrite r JOIN leaves ON r.ev_class = leaves.oid UNION ALL " \
	"SELECT pg_describe_object('pg_policy'::regclass, p.oid, 0) FROM pg_policy p JOIN leaves ON p.polrelid = leaves.oid ORDER BY 1"

pg_noreturn static void
RefuseTable(Relation rel, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot distribute \"%s\": %s", RelationGetRelationName(rel), why),
			 hint ? errhint("%s", hint) : 0));
}

static void
CheckRelkind(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
			return;
		case RELKIND_PARTITIONED_TABLE:
			RefuseTable(rel, "it is partitioned already",
						"Put its rows into a plain table and distribute that one.");
		case RELKIND_FOREIGN_TABLE:
			RefuseTable(rel, "it is a foreign table",
						"Put its rows into a plain table and distribute that one.");
		default:
			RefuseTable(rel, "it is not a table", NULL);
	}
}

/*
 * Refuse relations that are not plain tables of their own.
 */
void
CheckKind(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	CheckRelkind(rel);
	if (relid < FirstNormalObjectId)
		RefuseTable(rel, "it is a system table", NULL);
	if (OidIsValid(getExtensionOfObject(RelationRelationId, relid)))
		RefuseTable(rel, "it belongs to an extension", NULL);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		RefuseTable(rel, "it is temporary", "Distribute a permanent table.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		RefuseTable(rel, "it is unlogged", "Make it permanent with ALTER TABLE ... SET LOGGED.");
	if (rel->rd_rel->relispartition)
		RefuseTable(rel, "it is a partition of another table",
					"Detach it with ALTER TABLE ... DETACH PARTITION.");
	if (has_superclass(relid))
		RefuseTable(rel, "it inherits from another table",
					"Separate it with ALTER TABLE ... NO INHERIT.");
	if (find_inheritance_children(relid, AccessShareLock) != NIL)
		RefuseTable(rel, "other tables inherit from it",
					"Separate them with ALTER TABLE ... NO INHERIT.");
	if (OidIsValid(rel->rd_rel->reloftype))
		RefuseTable(rel, "it is a typed table", "Make it independent with ALTER TABLE ... NOT OF.");
}

/*
 * Refuse a table whose updated and deleted rows the lake could not find.
 */
void
CheckIdentity(Relation rel)
{
	Oid			primary_key;
	Oid			identity;

	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
		return;
	identity = RelationGetReplicaIndex(rel);
	primary_key = PrimaryKeyIndex(rel);
	if (OidIsValid(primary_key) && identity == primary_key)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot distribute \"%s\" with a lake table: %s", RelationGetRelationName(rel),
					OidIsValid(primary_key) ? "its replica identity is not the primary key" :
					"it has no primary key"),
			 errhint("%sset REPLICA IDENTITY FULL, or pass lake => false.",
					 OidIsValid(primary_key) ? "Set REPLICA IDENTITY DEFAULT, " : "Add a primary key, ")));
}

/*
 * A message of the list above with its %s filled in.
 */
static char *
Fill(const char *message, const char *name)
{
	const char *gap = strstr(message, "%s");

	return psprintf("%.*s%s%s", (int) (gap - message), message, name, gap + 2);
}

static void
CheckRefusals(Oid relid, AttrNumber key, const Refusal *list, int n)
{
	for (int i = 0; i < n; i++)
	{
		List	   *names = DdlTexts(list[i].query, relid, key);

		if (names != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot distribute \"%s\": %s", get_rel_name(relid),
							Fill(list[i].message, linitial(names))),
					 errhint("%s", list[i].hint)));
	}
}

/*
 * Refuse objects on the table that would be lost; key = 0 for an expression.
 */
void
CheckKept(Oid relid, AttrNumber key)
{
	if (key != 0)
		CheckRefusals(relid, key, column_refusals, lengthof(column_refusals));
	else
		CheckRefusals(relid, key, expression_refusals, lengthof(expression_refusals));
	CheckRefusals(relid, key, refusals, lengthof(refusals));
}

static char *
JoinLines(List *lines)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, lines)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", (char *) lfirst(lc));
	return text.data;
}

/*
 * Refuse while something would be left pointing to the table that goes away;
 * action is "distribute" or "undistribute".
 */
void
CheckDependents(Oid relid, const char *action)
{
	List	   *dependents = DdlTexts(DEPENDENTS, relid, 0);

	if (dependents != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot %s \"%s\" because other objects depend on it", action,
						get_rel_name(relid)),
				 errdetail("These objects depend on the table: %s.", JoinLines(dependents)),
				 errhint("Drop them, %s the table, and create them again.", action)));
}

/*
 * Refuse to put a table together while a leaf has something of its own; unique:
 * all leaves have unique indexes of the same names.
 */
void
CheckLeavesPlain(Oid parent, bool unique)
{
	List	   *extras = DdlTexts(LEAF_EXTRAS, parent, unique ? 1 : 0);

	if (extras != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot undistribute \"%s\" because its leaves have objects of their own",
						get_rel_name(parent)),
				 errdetail("These belong to one leaf only: %s.", JoinLines(extras)),
				 errhint("Drop them, or create them on the table itself.")));
}

/*
 * A publication that does not publish by the root would send subscribers the
 * changes of tables that they do not have: the leaves.
 */
void
WarnOfPublications(Oid relid)
{
	List	   *names = DdlTexts("SELECT pubname FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid "
								 "WHERE r.prrelid = $1 AND NOT p.pubviaroot ORDER BY 1", relid, 0);

	if (names != NIL)
		ereport(WARNING,
				(errmsg("publication \"%s\" will publish the changes of \"%s\" under the names of its shards",
						(char *) linitial(names), get_rel_name(relid)),
				 errhint("Set publish_via_partition_root of the publication to true.")));
}
