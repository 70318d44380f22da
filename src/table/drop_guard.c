/*
 * drop_guard.c
 *		What else must not, or must, be dropped with a router's objects.
 *
 * DROP FUNCTION ... CASCADE on a router's hash function would not take the
 * router's tables along (events.c sees to that) but the function out of its
 * operator class, and leave tables that nobody can write to: it is an error
 * while there are tables.
 *
 * DROP EXTENSION shard takes along the operator families that no table uses;
 * what a restore brought back without its dependency on the extension gets it
 * again first.  It is an error while there are tables; those partitioned by range
 * are looked for here.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "nodes/parsenodes.h"
#include "table/drop_guard.h"
#include "table/opclass.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Does a DROP FUNCTION run now? */
static bool DroppingFunction = false;

static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

static void
DropGuardAccess(ObjectAccessType access, Oid class, Oid object, int sub_id, void *arg)
{
	char	   *router;
	List	   *parents;

	if (previous_access)
		previous_access(access, class, object, sub_id, arg);
	if (likely(!DroppingFunction) || access != OAT_DROP || class != ProcedureRelationId)
		return;
	router = CatalogRouterNameOfFunction(object, true);
	parents = router != NULL ? CatalogRouterParents(router) : NIL;
	if (parents != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop the hash function of router \"%s\" because sharded table %s depends on it",
						router, get_rel_name(linitial_oid(parents))),
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
 * Tables partitioned by range depend on nothing of the extension: they would
 * stay, with leaves that nobody knows as shards any more.
 */
static void
RefuseRangeTables(void)
{
	ListCell   *lc;

	foreach(lc, CatalogExtensionExists() ? CatalogRouterParents(NULL) : NIL)
	{
		char	   *router = CatalogRouterOfParent(lfirst_oid(lc));
		const Router *entry = router != NULL ? CatalogRouter(router, true) : NULL;

		if (entry != NULL && entry->strategy == STRATEGY_RANGE)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop extension shard because table %s is distributed by router \"%s\"",
							quote_qualified_identifier(get_namespace_name(get_rel_namespace(lfirst_oid(lc))),
													   get_rel_name(lfirst_oid(lc))), router),
					 errhint("Put the table together first with shard.undistribute_table(), or drop it.")));
	}
}

static bool
DropsFunction(DropStmt *statement)
{
	return statement->removeType == OBJECT_FUNCTION || statement->removeType == OBJECT_ROUTINE;
}

static void
DropGuardUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	DropStmt   *drop = (DropStmt *) statement->utilityStmt;
	bool		saved = DroppingFunction;

	if (IsA(drop, DropStmt) && DropsExtension(drop, "shard"))
	{
		RefuseRangeTables();
		OpclassFollowExtension();
	}
	if (likely(!IsA(drop, DropStmt) || !DropsFunction(drop)))
	{
		previous_utility(statement, query_string, read_only_tree, context, params, environment,
						 dest, completion);
		return;
	}
	DroppingFunction = true;
	PG_TRY();
	{
		previous_utility(statement, query_string, read_only_tree, context, params, environment,
						 dest, completion);
	}
	PG_FINALLY();
	{
		DroppingFunction = saved;
	}
	PG_END_TRY();
}

void
DropGuardInit(void)
{
	previous_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = DropGuardUtility;
	previous_access = object_access_hook;
	object_access_hook = DropGuardAccess;
}
