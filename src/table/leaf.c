/*
 * leaf.c
 *		Schemas of shards, and the leaves of sharded tables in them.
 *
 * A leaf is made as a table of its own and then attached: that needs only SHARE
 * UPDATE EXCLUSIVE on the parent, so that a shard can join under load, and lets
 * PostgreSQL make the leaf's indexes, foreign keys and triggers from the
 * parent's.  What partitions do not inherit is copied here: access method,
 * storage parameters, replica identity and clustering from a template (the table
 * being distributed, or a sibling), the owner and the columns' statistics
 * settings from the parent.
 *
 * Nobody but the owner has a right on a leaf: it is reached by the parent, where
 * privileges and policies are (the latter hold for leaves, too: row_security.c).  Its schema may be used by everybody, since
 * foreign-key triggers name leaves as the table's owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "table/key.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Options of the template and of its TOAST table, as a WITH clause. */
#define TEMPLATE_OPTIONS \
	"SELECT ' WITH (' || string_agg(o, ', ') || ')' FROM (" \
	"SELECT format('%I=%L', option_name, option_value) AS o FROM pg_class c, pg_options_to_table(c.reloptions) " \
	"WHERE c.oid = $1 UNION ALL " \
	"SELECT format('toast.%I=%L', option_name, option_value) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid, " \
	"pg_options_to_table(t.reloptions) WHERE c.oid = $1) options"

/* What a leaf does not inherit from the parent's columns, and needs before it is attached. */
#define LEAF_ACTIONS \
	"SELECT string_agg(action, ', ') FROM (" \
	"SELECT format('ALTER COLUMN %I SET STATISTICS %s', attname, attstattarget) AS action " \
	"FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0 UNION ALL " \
	"SELECT format('ALTER COLUMN %I SET (%s)', attname, " \
	"(SELECT string_agg(format('%I=%L', option_name, option_value), ', ') FROM pg_options_to_table(attoptions) " ATTRIBUTE_OPTIONS ")) " \
	"FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped " HAS_ATTRIBUTE_OPTIONS "UNION ALL " \
	"SELECT format('ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) " \
	"FROM pg_constraint WHERE conrelid = $1 AND contype = 'c') actions"

/* A table's properties that ALTER TABLE must not find open. */
typedef struct TableFacts
{
	char	   *name;
	Oid			owner;
	Oid			tablespace;
	char		identity;		/* relreplident */
	Oid			identity_index;
	bool		row_security;
	bool		row_security_forced;
} TableFacts;

static TableFacts
ReadFacts(Oid relid, LOCKMODE mode)
{
	Relation	rel = table_open(relid, mode);
	TableFacts	facts;

	facts.name = pstrdup(RelationGetRelationName(rel));
	facts.owner = rel->rd_rel->relowner;
	facts.tablespace = rel->rd_rel->reltablespace;
	facts.identity = rel->rd_rel->relreplident;
	facts.identity_index = RelationGetReplicaIndex(rel);
	facts.row_security = rel->rd_rel->relrowsecurity;
	facts.row_security_forced = rel->rd_rel->relforcerowsecurity;
	table_close(rel, NoLock);
	return facts;
}

static bool
HasPrimaryKey(Oid relid)
{
	return DdlOids("SELECT indexrelid FROM pg_index WHERE indrelid = $1 AND indisprimary", relid) != NIL;
}

/*
 * Must the leaves log whole rows?  In the lake a row is known by its primary
 * key.  Where that does not contain the partition key's columns, two shards may
 * have rows of one primary key, and these columns tell them apart.  (Where there
 * is none, a dump is being restored, and it comes later.)
 */
static bool
NeedsFullIdentity(Oid parent)
{
	Bitmapset  *attnums;
	ShardedTable *table;
	Oid			leaf;

	if (!KeyIsExpression(parent, &attnums))
		return false;
	table = CatalogShardedTable(parent);
	leaf = AnyLeaf(parent);
	return table != NULL && table->lake && OidIsValid(leaf) &&
		(!HasPrimaryKey(leaf) || UniqueWithinShard(leaf, parent, attnums, true) != NIL);
}

/*
 * The facts of a parent, with the replica identity that its leaves have.
 */
static TableFacts
ReadParentFacts(Oid parent, LOCKMODE mode)
{
	TableFacts	facts = ReadFacts(parent, mode);

	if (facts.identity == REPLICA_IDENTITY_DEFAULT && NeedsFullIdentity(parent))
		facts.identity = REPLICA_IDENTITY_FULL;
	return facts;
}

void
LeafSchemaCreate(const char *schema)
{
	if (OidIsValid(get_namespace_oid(schema, true)))
		return;
	DdlRunf("CREATE SCHEMA %s", quote_identifier(schema));
	DdlRunf("GRANT USAGE ON SCHEMA %s TO PUBLIC", quote_identifier(schema));
}

static void
RefuseTakenName(const char *schema, const char *name, Oid parent)
{
	if (!OidIsValid(get_relname_relid(name, get_namespace_oid(schema, false))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("relation %s already exists", quote_qualified_identifier(schema, name)),
			 errdetail("The rows of table %s that belong to this shard would be kept under that name.",
					   QualifiedName(parent)),
			 errhint("Rename one of the two tables: a shard has one schema for the tables of all schemas.")));
}

char *
StorageOptions(Oid template)
{
	List	   *options = DdlTexts(TEMPLATE_OPTIONS, template, 0);

	return options != NIL ? linitial(options) : "";
}

/*
 * CREATE TABLE's clause for a table's access method.
 */
char *
AccessMethodClause(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			am;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return OidIsValid(am) ? psprintf(" USING %s", quote_identifier(get_am_name(am))) : "";
}

static void
SetOwner(Oid relid, Oid current, Oid owner)
{
	if (current != owner)
		DdlRunf("ALTER TABLE %s OWNER TO %s", QualifiedName(relid),
				quote_identifier(GetUserNameFromId(owner, false)));
}

/*
 * The index of a leaf that belongs to an index of the parent.
 */
static Oid
LeafIndex(Oid leaf, Oid parent_index)
{
	Relation	rel = table_open(leaf, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *lc;

	table_close(rel, NoLock);
	foreach(lc, indexes)
	{
		if (get_rel_relispartition(lfirst_oid(lc)) &&
			get_partition_parent(lfirst_oid(lc), true) == parent_index)
			found = lfirst_oid(lc);
	}
	return found;
}

/*
 * Give a leaf the parent's replica identity.
 */
static void
SyncReplicaIdentity(const TableFacts *parent, Oid leaf, const TableFacts *current)
{
	Oid			index;

	if (parent->identity != REPLICA_IDENTITY_INDEX)
	{
		if (current->identity != parent->identity)
			DdlRunf("ALTER TABLE %s REPLICA IDENTITY %s", QualifiedName(leaf),
					parent->identity == REPLICA_IDENTITY_FULL ? "FULL" :
					parent->identity == REPLICA_IDENTITY_NOTHING ? "NOTHING" : "DEFAULT");
		return;
	}
	index = OidIsValid(parent->identity_index) ? LeafIndex(leaf, parent->identity_index) : InvalidOid;
	if (OidIsValid(index) &&
		(current->identity != parent->identity || current->identity_index != index))
		DdlRunf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", QualifiedName(leaf),
				quote_identifier(get_rel_name(index)));
}

static void
SyncLeaf(const TableFacts *parent, Oid leaf)
{
	TableFacts	current = ReadFacts(leaf, AccessShareLock);

	SetOwner(leaf, current.owner, parent->owner);
	SyncReplicaIdentity(parent, leaf, &current);
	if (current.row_security != parent->row_security ||
		current.row_security_forced != parent->row_security_forced)
		RowSecuritySync(leaf, parent->row_security, parent->row_security_forced);
}

/*
 * Is a leaf like its parent as far as its catalog row tells?  Asked first, since
 * it takes no lock.
 */
static bool
LooksInSync(const TableFacts *parent, Oid leaf)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(leaf));
	Form_pg_class form;
	bool		same;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_class) GETSTRUCT(tuple);
	same = form->relowner == parent->owner && form->relreplident == parent->identity &&
		form->relreplident != REPLICA_IDENTITY_INDEX &&
		form->relrowsecurity == parent->row_security &&
		form->relforcerowsecurity == parent->row_security_forced;
	ReleaseSysCache(tuple);
	return same;
}

/*
 * Bring the leaves' owners, replica identities and row security in line with the
 * parent's.
 */
void
LeafSync(Oid parent)
{
	TableFacts	facts = ReadParentFacts(parent, AccessShareLock);
	ListCell   *lc;

	foreach(lc, find_inheritance_children(parent, NoLock))
	{
		if (!LooksInSync(&facts, lfirst_oid(lc)))
			SyncLeaf(&facts, lfirst_oid(lc));
	}
}

/*
 * The parent's index by which a table (or the parent's leaf) is clustered.
 */
char *
ClusterIndex(Oid relid)
{
	List	   *names = DdlTexts("SELECT coalesce(p.relname, c.relname) FROM pg_index i "
								 "JOIN pg_class c ON c.oid = i.indexrelid "
								 "LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid "
								 "LEFT JOIN pg_class p ON p.oid = h.inhparent "
								 "WHERE i.indrelid = $1 AND i.indisclustered", relid, 0);

	return names != NIL ? linitial(names) : NULL;
}

/*
 * Mark the leaf's index that belongs to the parent's index of this name, or
 * that has this name.
 */
void
LeafCluster(Oid parent, Oid leaf, const char *index)
{
	Oid			parent_index;
	Oid			leaf_index;

	if (index == NULL)
		return;
	parent_index = get_relname_relid(index, get_rel_namespace(parent));
	leaf_index = OidIsValid(parent_index) ? LeafIndex(leaf, parent_index) :
		get_relname_relid(index, get_rel_namespace(leaf));
	if (OidIsValid(leaf_index))
		DdlRunf("ALTER TABLE %s CLUSTER ON %s", QualifiedName(leaf),
				quote_identifier(get_rel_name(leaf_index)));
}

static char *
TablespaceClause(Oid tablespace)
{
	if (!OidIsValid(tablespace))
		return "";
	return psprintf(" TABLESPACE %s", quote_identifier(get_tablespace_name(tablespace)));
}

/*
 * Make the table of a leaf, not attached yet; returns its OID.
 */
static Oid
CreateLeafTable(Oid parent, const TableFacts *facts, const char *schema, const char *name,
				Oid template)
{
	char	   *qualified = quote_qualified_identifier(schema, name);
	Oid			leaf;
	ListCell   *lc;

	DdlRunf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE "
			"INCLUDING COMPRESSION)%s%s%s", qualified, QualifiedName(parent),
			AccessMethodClause(template), StorageOptions(template),
			TablespaceClause(facts->tablespace));
	leaf = get_relname_relid(name, get_namespace_oid(schema, false));
	AclReset(leaf);
	foreach(lc, DdlTexts(LEAF_ACTIONS, parent, 0))
		DdlRunf("ALTER TABLE %s %s", qualified, (char *) lfirst(lc));
	return leaf;
}

static void
Attach(Oid parent, const char *leaf, const char *bound)
{
	DdlRunf("ALTER TABLE %s ATTACH PARTITION %s %s", QualifiedName(parent), leaf, bound);
}

/*
 * Make and attach the leaf of a shard; returns its OID.
 */
Oid
LeafCreate(Oid parent, const RouterShard *shard, Oid template)
{
	TableFacts	facts = ReadParentFacts(parent, ShareUpdateExclusiveLock);
	Bitmapset  *key;
	char	   *qualified = quote_qualified_identifier(shard->schema, facts.name);
	Oid			leaf;

	LeafSchemaCreate(shard->schema);
	RefuseTakenName(shard->schema, facts.name, parent);
	leaf = CreateLeafTable(parent, &facts, shard->schema, facts.name, template);
	if (KeyIsExpression(parent, &key))
	{
		UniqueCheckNames(template, shard->schema);
		DdlRunAll(UniquePrimaryKey(template, qualified, shard->schema));
	}
	Attach(parent, qualified, psprintf("FOR VALUES WITH (MODULUS %d, REMAINDER %d)",
									   MAX_SHARDS, shard->index));
	SyncLeaf(&facts, leaf);
	return leaf;
}

/*
 * A name for one more leaf of a table in a shard's schema: the table's, or with
 * a suffix, or with a number.
 */
char *
LeafFreeName(const char *schema, const char *table, const char *suffix)
{
	Oid			namespace = get_namespace_oid(schema, true);
	char	   *name = makeObjectName(table, suffix, NULL);

	for (int i = 2; OidIsValid(namespace) && OidIsValid(get_relname_relid(name, namespace)); i++)
	{
		char		number[16];

		snprintf(number, sizeof(number), "%d", i);
		name = makeObjectName(table, suffix, number);
	}
	return name;
}

/*
 * Make one leaf of several that a shard has, not attached yet.
 */
Oid
LeafMake(Oid parent, const RouterShard *shard, Oid template, const char *suffix)
{
	TableFacts	facts = ReadParentFacts(parent, ShareUpdateExclusiveLock);
	Bitmapset  *key;
	char	   *name;
	Oid			leaf;

	LeafSchemaCreate(shard->schema);
	name = LeafFreeName(shard->schema, facts.name, NULL);
	if (suffix != NULL && strcmp(name, facts.name) != 0)
		name = LeafFreeName(shard->schema, facts.name, suffix);
	leaf = CreateLeafTable(parent, &facts, shard->schema, name, template);
	if (KeyIsExpression(parent, &key))
		DdlRunAll(UniquePrimaryKey(template, QualifiedName(leaf), shard->schema));
	return leaf;
}

/*
 * Attach it; bound is a clause such as DEFAULT.
 */
void
LeafAttach(Oid parent, Oid leaf, const char *bound)
{
	TableFacts	facts = ReadParentFacts(parent, ShareUpdateExclusiveLock);

	Attach(parent, QualifiedName(leaf), bound);
	SyncLeaf(&facts, leaf);
}
