/*
 * row_security.c
 *		Row-level security on the leaves of a sharded table.
 *
 * Policies are the parent's.  Whoever names a leaf would get around them, were
 * he granted the leaf, or all tables by pg_read_all_data.  So leaves have row
 * security enabled and forced as their parent has (LeafSync() follows it), and
 * when PostgreSQL asks which policies a leaf has, a hook answers with those of
 * the parent.  Nothing is copied that could differ or that a dump would have
 * twice, and without this library no row of a leaf is seen: it has no policy
 * of its own.
 *
 * A cached plan that names a leaf has the parent's policies in it and must be
 * made anew when these change, of which PostgreSQL tells only as a change of
 * the parent: see PolicyParentChanged().
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "rewrite/rewriteManip.h"
#include "rewrite/rowsecurity.h"
#include "storage/lmgr.h"
#include "table/parts.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static row_security_policy_hook_type previous_permissive = NULL;
static row_security_policy_hook_type previous_restrictive = NULL;

/* Parents whose policies were given to leaves in this session. */
static List *PolicyParents = NIL;

/*
 * Give a leaf row security as its parent has it.  The weak lock keeps other DDL
 * away from the leaf's catalog row; a stronger one, taken while the parent is
 * locked, could deadlock with the jobs of a parallel pg_restore.
 */
void
RowSecuritySync(Oid leaf, bool enabled, bool forced)
{
	Relation	catalog;
	HeapTuple	tuple;
	Form_pg_class form;

	LockRelationOid(leaf, ShareUpdateExclusiveLock);
	catalog = table_open(RelationRelationId, RowExclusiveLock);
	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(leaf));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", leaf);
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relrowsecurity != enabled || form->relforcerowsecurity != forced)
	{
		form->relrowsecurity = enabled;
		form->relforcerowsecurity = forced;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		CommandCounterIncrement();
	}
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
}

static bool
PolicyIsFor(const RowSecurityPolicy *policy, CmdType command)
{
	switch (command)
	{
		case CMD_SELECT:
			return policy->polcmd == '*' || policy->polcmd == ACL_SELECT_CHR;
		case CMD_INSERT:
			return policy->polcmd == '*' || policy->polcmd == ACL_INSERT_CHR;
		case CMD_UPDATE:
			return policy->polcmd == '*' || policy->polcmd == ACL_UPDATE_CHR;
		case CMD_DELETE:
			return policy->polcmd == '*' || policy->polcmd == ACL_DELETE_CHR;
		default:
			return false;
	}
}

/*
 * A condition on the parent's row as one on the leaf's, whose columns may have
 * other numbers.
 */
static Expr *
OnLeaf(Expr *condition, AttrMap *map, Relation leaf)
{
	bool		whole_row;

	if (condition == NULL)
		return NULL;
	return (Expr *) map_variable_attnos((Node *) copyObject(condition), 1, 0, map,
										leaf->rd_rel->reltype, &whole_row);
}

static List *
PoliciesOf(Relation parent, Relation leaf, CmdType command, bool permissive)
{
	AttrMap    *map = AttributesByName(RelationGetDescr(leaf), RelationGetDescr(parent));
	List	   *policies = NIL;
	ListCell   *lc;

	foreach(lc, parent->rd_rsdesc->policies)
	{
		const RowSecurityPolicy *policy = lfirst(lc);
		RowSecurityPolicy *copy;

		if (policy->permissive != permissive || !PolicyIsFor(policy, command))
			continue;
		copy = palloc(sizeof(RowSecurityPolicy));
		*copy = *policy;
		copy->policy_name = pstrdup(policy->policy_name);
		copy->roles = DatumGetArrayTypePCopy(PointerGetDatum(policy->roles));
		copy->qual = OnLeaf(policy->qual, map, leaf);
		copy->with_check_qual = OnLeaf(policy->with_check_qual, map, leaf);
		policies = lappend(policies, copy);
	}
	return policies;
}

static void
RememberParent(Oid parent)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	PolicyParents = list_append_unique_oid(PolicyParents, parent);
	MemoryContextSwitchTo(old);
}

static List *
LeafPolicies(CmdType command, Relation leaf, bool permissive)
{
	Oid			parent_oid;
	Relation	parent;
	List	   *policies = NIL;

	if (!leaf->rd_rel->relispartition || !CatalogExtensionExists())
		return NIL;
	parent_oid = get_partition_parent(RelationGetRelid(leaf), true);
	if (!OidIsValid(parent_oid) || CatalogShardedTable(parent_oid) == NULL)
		return NIL;
	RememberParent(parent_oid);
	parent = table_open(parent_oid, AccessShareLock);
	if (parent->rd_rsdesc != NULL)
		policies = PoliciesOf(parent, leaf, command, permissive);
	table_close(parent, AccessShareLock);
	return policies;
}

static List *
PermissivePolicies(CmdType command, Relation relation)
{
	List	   *others = previous_permissive ? previous_permissive(command, relation) : NIL;

	return list_concat(others, LeafPolicies(command, relation, true));
}

static List *
RestrictivePolicies(CmdType command, Relation relation)
{
	List	   *others = previous_restrictive ? previous_restrictive(command, relation) : NIL;

	return list_concat(others, LeafPolicies(command, relation, false));
}

/*
 * Plans that contain a parent's policies cannot be told from others: all are
 * made anew, in the few sessions that have any.
 */
static void
PolicyParentChanged(Datum arg, Oid relid)
{
	if (PolicyParents != NIL && (!OidIsValid(relid) || list_member_oid(PolicyParents, relid)))
		ResetPlanCache();
}

void
RowSecurityInit(void)
{
	previous_permissive = row_security_policy_hook_permissive;
	row_security_policy_hook_permissive = PermissivePolicies;
	previous_restrictive = row_security_policy_hook_restrictive;
	row_security_policy_hook_restrictive = RestrictivePolicies;
	CacheRegisterRelcacheCallback(PolicyParentChanged, (Datum) 0);
}
