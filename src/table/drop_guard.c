/*
 * drop_guard.c
 *		Keeps CASCADE from taking sharded tables along.
 *
 * A sharded table depends on its router's operator class, and that on the
 * extension's schema.  DROP EXTENSION shard CASCADE, meant to get rid of an
 * extension, would drop every sharded table with its rows; so would dropping an
 * operator family.  While such a statement runs, dropping a sharded table is an
 * error, and so is dropping a hash function that one needs, which PostgreSQL
 * would merely take out of the operator class.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/parsenodes.h"
#include "table/drop_guard.h"
#include "table/opclass.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

/* What the statement that runs now drops; NULL: nothing to guard against. */
static const char *Dropping = NULL;

static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

/*
 * The sharded table that falls with an object, or cannot do without it.
 */
static Oid
EndangeredTable(Oid class, Oid object)
{
	char	   *router;
	List	   *parents;

	if (class == RelationRelationId)
		return get_rel_relkind(object) == RELKIND_PARTITIONED_TABLE &&
			CatalogRouterOfParent(object) != NULL ? object : InvalidOid;
	if (class != ProcedureRelationId)
		return InvalidOid;
	router = CatalogRouterNameOfFunction(object, true);
	if (router == NULL)
		return InvalidOid;
	parents = CatalogRouterParents(router);
	return parents != NIL ? linitial_oid(parents) : InvalidOid;
}

static void
DropGuardAccess(ObjectAccessType access, Oid class, Oid object, int sub_id, void *arg)
{
	Oid			table;

	if (previous_access)
		previous_access(access, class, object, sub_id, arg);
	if (likely(Dropping == NULL) || access != OAT_DROP || sub_id != 0)
		return;
	table = EndangeredTable(class, object);
	if (OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop %s because sharded table %s depends on it", Dropping,
						get_rel_name(table)),
				 errhint("Turn the table into an ordinary one with shard.undistribute_table(), or drop it, first.")));
}

static bool
DropsExtension(DropStmt *statement, const char *name)
{
	ListCell   *lc;

	if (statement->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, statement->objects)
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	return false;
}

/*
 * Name of what a statement drops, if a sharded table should not fall with it;
 * dropping a table, its schema or its owner's things is meant.
 */
static const char *
Guarded(Node *statement)
{
	if (!IsA(statement, DropStmt))
		return NULL;
	switch (((DropStmt *) statement)->removeType)
	{
		case OBJECT_EXTENSION:
			return "the extension";
		case OBJECT_OPCLASS:
			return "the operator class";
		case OBJECT_OPFAMILY:
			return "the operator family";
		case OBJECT_FUNCTION:
		case OBJECT_ROUTINE:
			return "the function";
		default:
			return NULL;
	}
}

static void
DropGuardUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	ProcessUtility_hook_type next = previous_utility ? previous_utility : standard_ProcessUtility;
	const char *dropping = Guarded(statement->utilityStmt);
	const char *saved = Dropping;

	if (likely(dropping == NULL))
	{
		next(statement, query_string, read_only_tree, context, params, environment, dest,
			 completion);
		return;
	}
	if (DropsExtension((DropStmt *) statement->utilityStmt, "shard"))
		OpclassFollowExtension();
	Dropping = dropping;
	PG_TRY();
	{
		next(statement, query_string, read_only_tree, context, params, environment, dest,
			 completion);
	}
	PG_FINALLY();
	{
		Dropping = saved;
	}
	PG_END_TRY();
}

void
DropGuardInit(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = DropGuardUtility;
	previous_access = object_access_hook;
	object_access_hook = DropGuardAccess;
}
