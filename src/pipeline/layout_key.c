/*
 * layout_key.c
 *		Partition keys that are expressions, evaluated over decoded rows.
 *
 * Inside the output plugin's callbacks catalogs are read by a historic snapshot,
 * which serves functions that read catalogs only; an immutable function has no
 * business with other tables.  The expression runs as the table's owner.  It
 * has accepted the row before, when the row was written; if a function of the
 * user fails now, the event goes without its key, since an error would stop the
 * pipeline of all tables.
 *
 * Memory: the key lives in the context that was current at LayoutKeyBuild(),
 * what a row needs in the expression's own, reset with each row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pipeline/layout_key.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

struct LayoutKey
{
	Oid			owner;
	Expr	   *expression;
	ExprState  *state;			/* made for the first row */
	ExprContext *econtext;
	TupleTableSlot *slot;
	MemoryContext context;
	bool		user_code;		/* it calls a function of the user */
	bool		reported;		/* which has failed */
};

static bool
IsUserFunction(Oid function, void *arg)
{
	Oid			schema = get_func_namespace(function);

	return schema != PG_CATALOG_NAMESPACE && schema != *(Oid *) arg;
}

static bool
CallsUserFunction(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, IsUserFunction, arg) ||
		expression_tree_walker(node, CallsUserFunction, arg);
}

/*
 * The expression that gives the key.  Tables partitioned by range may have a
 * comparator around it, which says where the key belongs and is not the key.  It
 * is looked for in the expression as it was given: what the relation cache has
 * may have the comparator's body in its place.
 */
static Expr *
KeyExpression(Relation parent, Oid own_schema)
{
	PartitionKey partition = RelationGetPartitionKey(parent);
	HeapTuple	tuple;
	Datum		value;
	bool		isnull;
	Node	   *given;

	if (partition->strategy != PARTITION_STRATEGY_RANGE)
		return copyObject(linitial(partition->partexprs));
	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(RelationGetRelid(parent)));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for partition key of relation %u",
			 RelationGetRelid(parent));
	value = SysCacheGetAttr(PARTRELID, tuple, Anum_pg_partitioned_table_partexprs, &isnull);
	given = linitial(castNode(List, stringToNode(TextDatumGetCString(value))));
	ReleaseSysCache(tuple);
	if (IsA(given, FuncExpr) && list_length(((FuncExpr *) given)->args) == 1 &&
		get_func_namespace(((FuncExpr *) given)->funcid) != own_schema)
		given = linitial(((FuncExpr *) given)->args);
	given = eval_const_expressions(NULL, given);
	fix_opfuncids(given);
	return (Expr *) given;
}

LayoutKey *
LayoutKeyBuild(Relation parent, Bitmapset **attnums)
{
	PartitionKey partition = RelationGetPartitionKey(parent);
	Bitmapset  *offset = NULL;
	int			member = -1;
	Oid			schema = get_namespace_oid("_shard", true);
	LayoutKey  *key;

	*attnums = NULL;
	if (partition->partexprs == NIL)
		return NULL;
	key = palloc0(sizeof(LayoutKey));
	key->context = CurrentMemoryContext;
	key->owner = parent->rd_rel->relowner;
	key->expression = KeyExpression(parent, schema);
	key->user_code = CallsUserFunction((Node *) key->expression, &schema);
	key->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(parent)),
										 &TTSOpsVirtual);
	pull_varattnos((Node *) key->expression, 1, &offset);
	while ((member = bms_next_member(offset, member)) >= 0)
		*attnums = bms_add_member(*attnums, member + FirstLowInvalidHeapAttributeNumber);
	bms_free(offset);
	return key;
}

void
LayoutKeyBegin(LayoutKey *key)
{
	ExecClearTuple(key->slot);
	memset(key->slot->tts_isnull, true, key->slot->tts_tupleDescriptor->natts * sizeof(bool));
}

void
LayoutKeySet(LayoutKey *key, AttrNumber attnum, Datum value)
{
	key->slot->tts_values[attnum - 1] = value;
	key->slot->tts_isnull[attnum - 1] = false;
}

static void
Prepare(LayoutKey *key)
{
	MemoryContext old;

	if (key->state != NULL)
		return;
	old = MemoryContextSwitchTo(key->context);
	key->econtext = CreateStandaloneExprContext();
	key->state = ExecInitExpr(key->expression, NULL);
	MemoryContextSwitchTo(old);
}

static Datum
Evaluate(LayoutKey *key, bool *isnull)
{
	Prepare(key);
	ResetExprContext(key->econtext);
	key->econtext->ecxt_scantuple = key->slot;
	return ExecEvalExprSwitchContext(key->state, key->econtext, isnull);
}

/*
 * Say once what a user's function has against a row.
 */
static void
ReportFailure(LayoutKey *key, const ErrorData *error)
{
	if (key->reported)
		return;
	key->reported = true;
	ereport(WARNING,
			(errmsg("events go without their partition key: %s", error->message),
			 errhint("The router's partition_key_fn does not accept a row that is in the table.")));
}

/*
 * Evaluate as the owner, in a subtransaction; an error becomes NULL.
 */
static Datum
EvaluateGuarded(LayoutKey *key, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile Datum value = (Datum) 0;
	Oid			user;
	int			sec_context;

	GetUserIdAndSecContext(&user, &sec_context);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		SetUserIdAndSecContext(key->owner, sec_context | SECURITY_RESTRICTED_OPERATION);
		PushActiveSnapshot(GetTransactionSnapshot());
		value = Evaluate(key, isnull);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ReportFailure(key, error);
		*isnull = true;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, sec_context);
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return value;
}

const char *
LayoutKeyText(LayoutKey *key, size_t *len)
{
	bool		isnull = false;
	Datum		value;
	text	   *result;

	ExecStoreVirtualTuple(key->slot);
	value = key->user_code ? EvaluateGuarded(key, &isnull) : Evaluate(key, &isnull);
	if (isnull)
		return NULL;
	result = DatumGetTextPP(value);
	*len = VARSIZE_ANY_EXHDR(result);
	return VARDATA_ANY(result);
}

/* ---- the same in the engine ---- */

/*
 * A column whose text the engine gives as KeyTextAppend() does.
 */
static bool
AppendColumn(StringInfo sql, Node *node, const char *prefix)
{
	Var		   *var = (Var *) node;
	Oid			type;

	if (!IsA(node, Var))
		return false;
	type = getBaseType(var->vartype);
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case BOOLOID:
		case UUIDOID:
			appendStringInfo(sql, "CAST(%s%d AS VARCHAR)", prefix, var->varattno);
			return true;
		default:
			return false;
	}
}

static bool
AppendParts(StringInfo sql, List *parts, const char *prefix)
{
	ListCell   *lc;

	foreach(lc, parts)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(sql, " || ':' || ");
		if (!AppendColumn(sql, lfirst(lc), prefix))
			return false;
	}
	return true;
}

char *
LayoutKeySql(const LayoutKey *key, const char *prefix)
{
	FuncExpr   *call = (FuncExpr *) key->expression;
	StringInfoData sql;
	const char *name;

	if (!IsA(call, FuncExpr) || get_func_namespace(call->funcid) != get_namespace_oid("_shard", true))
		return NULL;
	name = get_func_name(call->funcid);
	initStringInfo(&sql);
	if (strcmp(name, "partition_key") == 0)
		return AppendParts(&sql, call->args, prefix) ? sql.data : NULL;
	if (strcmp(name, "partition_key_or") != 0)
		return NULL;
	appendStringInfoString(&sql, "coalesce(");
	if (!AppendParts(&sql, list_copy_tail(call->args, 1), prefix))
		return NULL;
	appendStringInfoString(&sql, ", ");
	if (!AppendColumn(&sql, linitial(call->args), prefix))
		return NULL;
	appendStringInfoChar(&sql, ')');
	return sql.data;
}
