/*
 * key_quals.c
 *		Pruning of tables whose partition key is an expression.
 *
 * PostgreSQL prunes by conditions on the expression itself, which nobody writes.
 * So where a query says what the expression's columns are equal to, it gets one
 * more condition: "key = ANY (ARRAY[the expression over these values])".  It
 * holds for every row that the others let through; PostgreSQL prunes by it when
 * planning, and by parameters when running.
 *
 * That is done when the planner has just looked up the table: subqueries and
 * views are pulled up by then, constants folded, outer joins reduced, and the
 * conditions not yet handed out to the relations.  The condition goes to the
 * jointree's level from where the equalities came, and is made of constants and
 * parameters only, so outer joins and security barriers see nothing new.  (A
 * join whose other side varies row by row visits all shards.)
 *
 * Once the shards are chosen it has done its work: left in the plan it would
 * cost time for every row and make the planner expect far too few of them.
 * Before the first shard's relation is built, it is therefore taken off the
 * parent, and put back when the paths are made, since the plan's pruning steps
 * for parameters come from there.  In between it is kept in fdw_private, which
 * a partitioned table has no other use for.
 *
 * Everything lives in the planner's memory context.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/key_text.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/prep.h"
#include "parser/parse_coerce.h"
#include "table/key_quals.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* The most keys that a condition lists; with more, all shards are visited. */
#define MAX_KEYS 128

/* What our conditions have as their place in the query text. */
#define KEY_QUAL_LOCATION (-7531)

static get_relation_info_hook_type previous_relation_info = NULL;
static set_rel_pathlist_hook_type previous_pathlist = NULL;

/* ---- what the query says about columns ---- */

/* The conditions, all of which hold, that concern a relation. */
typedef struct Scope
{
	List	   *quals;
	List	  **place;			/* where one more can be put */
} Scope;

static bool
Contains(Node *jtnode, Index relid)
{
	return bms_is_member(relid, RelidsInJointree(jtnode));
}

static void
AddQuals(Scope *scope, Node *quals)
{
	scope->quals = list_concat_copy(scope->quals, (List *) quals);
}

/*
 * Leave only conditions that no row passes in which the relation is missing: of
 * equalities that much is true, or the outer join would be an inner one by now.
 */
static void
KeepEqualities(Scope *scope)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, scope->quals)
		if (IsA(lfirst(lc), OpExpr) || IsA(lfirst(lc), ScalarArrayOpExpr))
			kept = lappend(kept, lfirst(lc));
	scope->quals = kept;
}

/*
 * Add the conditions that all rows of another part of the jointree have passed.
 */
static void
CollectOthers(Node *jtnode, Scope *scope)
{
	if (IsA(jtnode, FromExpr))
	{
		ListCell   *lc;

		AddQuals(scope, ((FromExpr *) jtnode)->quals);
		foreach(lc, ((FromExpr *) jtnode)->fromlist)
			CollectOthers(lfirst(lc), scope);
	}
	else if (IsA(jtnode, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) jtnode;
		bool		both = join->jointype == JOIN_INNER || join->jointype == JOIN_SEMI;

		if (both)
			AddQuals(scope, join->quals);
		if (both || join->jointype == JOIN_LEFT || join->jointype == JOIN_ANTI)
			CollectOthers(join->larg, scope);
		if (both)
			CollectOthers(join->rarg, scope);
	}
}

/*
 * Collect the conditions that hold for every row of a relation that gets into
 * the result, from the top down.  On the side of an outer join that may be
 * missing, or of a semijoin that is not seen from above, one more condition is
 * put into the join's own: it may take matches only from rows of the other side
 * that the conditions above refuse in any case.
 */
static void
CollectQuals(Node *jtnode, Index relid, Scope *scope)
{
	if (IsA(jtnode, FromExpr))
	{
		FromExpr   *from = (FromExpr *) jtnode;
		ListCell   *lc;

		AddQuals(scope, from->quals);
		if (scope->place == NULL)
			scope->place = (List **) &from->quals;
		foreach(lc, from->fromlist)
		{
			if (Contains(lfirst(lc), relid))
				CollectQuals(lfirst(lc), relid, scope);
			else
				CollectOthers(lfirst(lc), scope);
		}
	}
	else if (IsA(jtnode, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) jtnode;
		bool		left = Contains(join->larg, relid);

		switch (join->jointype)
		{
			case JOIN_INNER:
			case JOIN_SEMI:
				AddQuals(scope, join->quals);
				CollectOthers(left ? join->rarg : join->larg, scope);
				break;
			case JOIN_LEFT:
			case JOIN_ANTI:
				if (left)
					break;
				KeepEqualities(scope);
				AddQuals(scope, join->quals);
				CollectOthers(join->larg, scope);
				break;
			default:
				scope->place = NULL;
				return;
		}
		if (!left && join->jointype != JOIN_INNER)
			scope->place = (List **) &join->quals;
		CollectQuals(left ? join->larg : join->rarg, relid, scope);
	}
}

static Node *
Bare(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static bool
IsVar(Node *node, const Var *var)
{
	Var		   *other = (Var *) Bare(node);

	return other != NULL && IsA(other, Var) && other->varno == var->varno &&
		other->varattno == var->varattno && other->varlevelsup == 0 && VarIsPlain(other);
}

/*
 * Is this the equality by which values of the type route alike?
 */
static bool
IsKeyEquality(Oid op, Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(type), TYPECACHE_BTREE_OPFAMILY);

	return OidIsValid(entry->btree_opf) &&
		get_op_opfamily_strategy(op, entry->btree_opf) == BTEqualStrategyNumber &&
		(!OidIsValid(collation) || get_collation_isdeterministic(collation));
}

static bool
IsConstantInRun(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node) &&
		!contain_subplans(node);
}

/*
 * A value that a column's key can be made of: one, whatever the row.
 */
static bool
IsValue(Node *node, const Var *var)
{
	return KeyTextComparable(exprType(node), var->vartype) && IsConstantInRun(node);
}

static List *ValuesOf(const Var *var, List *quals, int depth);

static List *
ValuesFromOperator(const Var *var, OpExpr *op, List *quals, int depth)
{
	Node	   *other;

	if (list_length(op->args) != 2 || !IsKeyEquality(op->opno, var->vartype, op->inputcollid))
		return NIL;
	if (IsVar(linitial(op->args), var))
		other = lsecond(op->args);
	else if (IsVar(lsecond(op->args), var))
		other = linitial(op->args);
	else
		return NIL;
	if (IsValue(other, var))
		return list_make1(other);
	other = Bare(other);
	if (depth == 0 || !IsA(other, Var) || ((Var *) other)->varlevelsup != 0 ||
		!VarIsPlain((Var *) other) || !KeyTextComparable(exprType(other), var->vartype))
		return NIL;
	return ValuesOf((Var *) other, quals, depth - 1);
}

static List *
ArrayElements(Node *array)
{
	List	   *elements = NIL;

	if (IsA(array, ArrayExpr) && !((ArrayExpr *) array)->multidims)
		return ((ArrayExpr *) array)->elements;
	if (IsA(array, Const) && !((Const *) array)->constisnull)
	{
		ArrayType  *value = DatumGetArrayTypeP(((Const *) array)->constvalue);
		Oid			type = ARR_ELEMTYPE(value);
		int16		len;
		bool		byval;
		char		align;
		Datum	   *datums;
		bool	   *nulls;
		int			n;

		get_typlenbyvalalign(type, &len, &byval, &align);
		deconstruct_array(value, type, len, byval, align, &datums, &nulls, &n);
		/* one more than MAX_KEYS tells the caller that there are too many */
		for (int i = 0; i < n && list_length(elements) <= MAX_KEYS; i++)
			if (!nulls[i])
				elements = lappend(elements, makeConst(type, -1, get_typcollation(type), len,
													   datums[i], false, byval));
	}
	return elements;
}

/*
 * column IN (...)
 */
static List *
ValuesFromArray(const Var *var, ScalarArrayOpExpr *op)
{
	List	   *elements;
	ListCell   *lc;

	if (!op->useOr || !IsVar(linitial(op->args), var) ||
		!IsKeyEquality(op->opno, var->vartype, op->inputcollid))
		return NIL;
	elements = ArrayElements(Bare(lsecond(op->args)));
	foreach(lc, elements)
		if (!IsValue(lfirst(lc), var))
			return NIL;
	return list_length(elements) <= MAX_KEYS ? elements : NIL;
}

/*
 * The values one of which a column must have; NIL if that is not known.
 */
static List *
ValuesOf(const Var *var, List *quals, int depth)
{
	ListCell   *lc;

	foreach(lc, quals)
	{
		Node	   *qual = lfirst(lc);
		List	   *values = NIL;

		if (IsA(qual, OpExpr))
			values = ValuesFromOperator(var, (OpExpr *) qual, quals, depth);
		else if (IsA(qual, ScalarArrayOpExpr))
			values = ValuesFromArray(var, (ScalarArrayOpExpr *) qual);
		else if (IsVar(qual, var))
			values = list_make1(makeBoolConst(true, false));
		else if (is_notclause(qual) && IsVar((Node *) get_notclausearg(qual), var))
			values = list_make1(makeBoolConst(false, false));
		if (values != NIL)
			return values;
	}
	return NIL;
}

static bool
IsKnownNull(Node *part, List *quals)
{
	ListCell   *lc;

	if (!IsA(part, Var))
		return false;
	foreach(lc, quals)
	{
		NullTest   *test = lfirst(lc);

		if (IsA(test, NullTest) && test->nulltesttype == IS_NULL &&
			IsVar((Node *) test->arg, (Var *) part))
			return true;
	}
	return false;
}

/* ---- keys from values ---- */

/* A column of the key, and the values that it can have. */
typedef struct Column
{
	Var		   *var;
	List	   *values;
	int			chosen;
} Column;

static Node *
Substitute(Node *node, List *columns)
{
	if (node != NULL && IsA(node, Var))
	{
		ListCell   *lc;

		foreach(lc, columns)
		{
			Column	   *column = lfirst(lc);

			if (IsVar(node, column->var))
				return copyObject(list_nth(column->values, column->chosen));
		}
	}
	return expression_tree_mutator(node, Substitute, columns);
}

/*
 * The values as the column's type, where that cannot fail.
 */
static List *
Coerced(const Var *var, List *values, bool any_type)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, values)
	{
		Node	   *value = lfirst(lc);
		Node	   *coerced = value;

		if (exprType(value) != var->vartype)
			coerced = coerce_to_target_type(NULL, copyObject(value), exprType(value),
											getBaseType(var->vartype), -1, COERCION_IMPLICIT,
											COERCE_IMPLICIT_CAST, -1);
		if (coerced == NULL && !any_type)
			return NIL;
		result = lappend(result, coerced != NULL ? coerced : value);
	}
	return result;
}

static bool
IsOurCall(Node *node, const char *name)
{
	FuncExpr   *call = (FuncExpr *) node;

	return IsA(node, FuncExpr) &&
		get_func_namespace(call->funcid) == get_namespace_oid("_shard", true) &&
		strcmp(get_func_name(call->funcid), name) == 0;
}

/*
 * Our functions raise an error where a key would be null; a comparator may not.
 */
static bool
IsNeverNull(Node *expression)
{
	expression = Bare(expression);
	return IsOurCall(expression, "partition_key") || IsOurCall(expression, "partition_key_or");
}

static bool
IsPart(Node *expression, Var *var)
{
	ListCell   *lc;

	if (IsOurCall(expression, "probe_key"))
		return list_member(((FuncExpr *) expression)->args, var);
	if (!IsA(expression, CoalesceExpr))
		return false;
	foreach(lc, ((CoalesceExpr *) expression)->args)
		if (IsPart(lfirst(lc), var))
			return true;
	return false;
}

/*
 * Do equal values of a column always make equal keys?  1.0 and 1.00 do as parts
 * of a key; a function can see the difference.
 */
static bool
EqualityDecides(Node *expression, Var *var)
{
	return KeyTextSupports(var->vartype) &&
		(getBaseType(var->vartype) != NUMERICOID || IsPart(expression, var));
}

/*
 * The columns of an expression with their values; false if one's are not known.
 */
static bool
FindColumns(Node *expression, List *quals, bool any_type, List **columns)
{
	List	   *vars = pull_var_clause(expression, 0);
	ListCell   *lc;
	int			nkeys = 1;

	*columns = NIL;
	foreach(lc, vars)
	{
		Column	   *column = palloc0(sizeof(Column));

		if (!EqualityDecides(expression, lfirst(lc)))
			return false;
		column->var = lfirst(lc);
		column->values = Coerced(column->var, ValuesOf(column->var, quals, 4), any_type);
		nkeys *= list_length(column->values);
		if (nkeys == 0 || nkeys > MAX_KEYS)
			return false;
		*columns = lappend(*columns, column);
	}
	return *columns != NIL;
}

/*
 * Go to the next choice of values; false after the last.
 */
static bool
NextChoice(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		Column	   *column = lfirst(lc);

		if (++column->chosen < list_length(column->values))
			return true;
		column->chosen = 0;
	}
	return false;
}

/*
 * The expression for every choice of values.
 */
static List *
KeysOf(Node *expression, List *quals, bool any_type)
{
	List	   *columns;
	List	   *keys = NIL;

	if (!FindColumns(expression, quals, any_type, &columns))
		return NIL;
	do
		keys = lappend(keys, Substitute(expression, columns));
	while (NextChoice(columns));
	return keys;
}

/* ---- our own functions ---- */

/*
 * A call of _shard.probe_key(): NULL where partition_key() raises an error.
 */
static Node *
ProbeCall(const FuncExpr *like, List *parts)
{
	Oid			any = ANYOID;
	oidvector  *types = buildoidvector(&any, 1);
	FuncExpr   *call;
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("probe_key"), PointerGetDatum(types),
										   ObjectIdGetDatum(get_namespace_oid("_shard", false)));

	if (!OidIsValid(function))
		elog(ERROR, "function _shard.probe_key() is missing");
	call = makeNode(FuncExpr);
	*call = *like;
	call->funcid = function;
	call->args = parts;
	return (Node *) call;
}

/*
 * partition_key_or() for queries: the parts, or else the fallback.
 */
static Node *
ProbeEither(const FuncExpr *call)
{
	CoalesceExpr *either = makeNode(CoalesceExpr);

	either->coalescetype = TEXTOID;
	either->coalescecollid = call->funccollid;
	either->args = list_make2(ProbeCall(call, list_copy_tail(call->args, 1)),
							  ProbeCall(call, list_make1(linitial(call->args))));
	either->location = -1;
	return (Node *) either;
}

/*
 * An expression with our functions in it replaced by those for queries.
 */
static Node *
Probing(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	node = expression_tree_mutator(node, Probing, context);
	if (IsOurCall(node, "partition_key"))
		return ProbeCall((FuncExpr *) node, ((FuncExpr *) node)->args);
	if (IsOurCall(node, "partition_key_or"))
		return ProbeEither((FuncExpr *) node);
	return node;
}

/*
 * Keys of partition_key_or(): of the parts, if they are known; of the fallback,
 * if a part is known to be null; of either, if a part is computed.
 */
static List *
KeysWithFallback(FuncExpr *call, List *quals)
{
	List	   *parts = list_copy_tail(call->args, 1);
	bool		computed = false;
	ListCell   *lc;

	foreach(lc, parts)
	{
		if (IsKnownNull(lfirst(lc), quals))
			return KeysOf(ProbeCall(call, list_make1(linitial(call->args))), quals, true);
		computed |= !IsA(lfirst(lc), Var);
	}
	return KeysOf(computed ? ProbeEither(call) : ProbeCall(call, parts), quals, true);
}

/*
 * The keys that rows passing the conditions can have; NIL if that is not known.
 */
static List *
FindPlainKeys(Node *expression, List *quals)
{
	FuncExpr   *call = (FuncExpr *) expression;

	if (IsOurCall(expression, "partition_key"))
		return KeysOf(ProbeCall(call, call->args), quals, true);
	if (IsOurCall(expression, "partition_key_or"))
		return KeysWithFallback(call, quals);
	return KeysOf(Probing(expression, NULL), quals, false);
}

/*
 * The same of a condition of alternatives, together with the others.
 */
static List *
FindKeysOfAlternatives(Node *expression, BoolExpr *alternatives, List *quals)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, alternatives->args)
	{
		List	   *more = FindPlainKeys(expression,
										 list_concat_copy(make_ands_implicit(lfirst(lc)), quals));

		if (more == NIL || list_length(keys) + list_length(more) > MAX_KEYS)
			return NIL;
		keys = list_concat(keys, more);
	}
	return keys;
}

static List *
FindKeys(Node *expression, List *quals)
{
	List	   *keys = FindPlainKeys(expression, quals);
	ListCell   *lc;

	foreach(lc, quals)
	{
		if (keys != NIL)
			break;
		if (is_orclause(lfirst(lc)))
			keys = FindKeysOfAlternatives(expression, lfirst(lc), quals);
	}
	return keys;
}

/* ---- the condition ---- */

/*
 * Keys that are known not to be null, and whether others may be.
 */
static List *
WithoutNulls(List *keys, bool *maybe_null)
{
	List	   *kept = NIL;
	ListCell   *lc;

	*maybe_null = false;
	foreach(lc, keys)
	{
		Const	   *key = lfirst(lc);

		*maybe_null |= !IsA(key, Const) || key->constisnull;
		if (!IsA(key, Const) || !key->constisnull)
			kept = lappend(kept, key);
	}
	return kept;
}

static Node *
MakeEquality(PartitionScheme scheme, Node *expression, List *keys)
{
	Oid			type = scheme->partopcintype[0];
	ArrayExpr  *array = makeNode(ArrayExpr);
	ScalarArrayOpExpr *condition = makeNode(ScalarArrayOpExpr);

	array->element_typeid = type;
	array->array_typeid = get_array_type(type);
	array->array_collid = scheme->partcollation[0];
	array->elements = keys;
	array->location = -1;
	condition->opno = get_opfamily_member(scheme->partopfamily[0], type, type,
										  scheme->strategy == PARTITION_STRATEGY_HASH ?
										  HTEqualStrategyNumber : BTEqualStrategyNumber);
	if (!OidIsValid(condition->opno) || !OidIsValid(array->array_typeid))
		return NULL;
	condition->opfuncid = get_opcode(condition->opno);
	condition->useOr = true;
	condition->inputcollid = scheme->partcollation[0];
	condition->args = list_make2(copyObject(expression),
								 eval_const_expressions(NULL, (Node *) array));
	condition->location = KEY_QUAL_LOCATION;
	return (Node *) condition;
}

static Node *
MakeNullTest(Node *expression)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) copyObject(expression);
	test->nulltesttype = IS_NULL;
	test->location = KEY_QUAL_LOCATION;
	return (Node *) test;
}

/*
 * The condition that a relation's key is one of these.  Rows for which a
 * comparator gives null are in the default leaf; that a parameter's key is null
 * shows only in the run, so that leaf is visited then, too.
 */
static Node *
MakeCondition(PlannerInfo *root, RelOptInfo *rel, Node *expression, List *keys)
{
	Node	   *equality;
	BoolExpr   *either;
	bool		maybe_null;
	ListCell   *lc;

	foreach(lc, keys)
		lfirst(lc) = eval_const_expressions(root, lfirst(lc));
	if (rel->part_scheme->strategy == PARTITION_STRATEGY_HASH || IsNeverNull(expression))
		return MakeEquality(rel->part_scheme, expression, keys);
	keys = WithoutNulls(keys, &maybe_null);
	if (keys == NIL)
		return MakeNullTest(expression);
	equality = MakeEquality(rel->part_scheme, expression, keys);
	if (equality == NULL || !maybe_null)
		return equality;
	either = (BoolExpr *) make_orclause(list_make2(equality, MakeNullTest(expression)));
	either->location = KEY_QUAL_LOCATION;
	return (Node *) either;
}

static bool
IsOurs(Node *clause)
{
	switch (nodeTag(clause))
	{
		case T_ScalarArrayOpExpr:
			return ((ScalarArrayOpExpr *) clause)->location == KEY_QUAL_LOCATION;
		case T_NullTest:
			return ((NullTest *) clause)->location == KEY_QUAL_LOCATION;
		case T_BoolExpr:
			return ((BoolExpr *) clause)->location == KEY_QUAL_LOCATION;
		default:
			return false;
	}
}

/*
 * Give the query a condition on a parent's key, if it says what the key is.
 */
static void
AddCondition(PlannerInfo *root, RelOptInfo *rel, Node *expression)
{
	Scope		scope = {NIL, NULL};
	List	   *keys;
	Node	   *condition;
	ListCell   *lc;

	CollectQuals((Node *) root->parse->jointree, rel->relid, &scope);
	/* Those of row-level security hold for all rows. */
	foreach(lc, root->simple_rte_array[rel->relid]->securityQuals)
		AddQuals(&scope, lfirst(lc));
	if (scope.quals == NIL || scope.place == NULL)
		return;
	keys = FindKeys(expression, scope.quals);
	if (keys == NIL)
		return;
	condition = MakeCondition(root, rel, expression, keys);
	if (condition != NULL)
		*scope.place = lappend(*scope.place, condition);
}

/* ---- hooks ---- */

/*
 * The only key of a partitioned relation, if it is an expression.
 */
static Node *
KeyExpressionOf(RelOptInfo *rel)
{
	Node	   *expression;

	if (rel->part_scheme == NULL || rel->part_scheme->partnatts != 1 || rel->partexprs == NULL ||
		rel->partexprs[0] == NIL)
		return NULL;
	expression = linitial(rel->partexprs[0]);
	return IsA(expression, Var) ? NULL : expression;
}

/*
 * Take our conditions off a parent whose shards are chosen.
 */
static void
HideConditions(PlannerInfo *root, RelOptInfo *child)
{
	AppendRelInfo *info = root->append_rel_array != NULL ? root->append_rel_array[child->relid] : NULL;
	RelOptInfo *parent = info != NULL ? root->simple_rel_array[info->parent_relid] : NULL;
	ListCell   *lc;

	if (parent == NULL || KeyExpressionOf(parent) == NULL)
		return;
	foreach(lc, parent->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst(lc);

		if (!IsOurs((Node *) restriction->clause))
			continue;
		parent->fdw_private = lappend((List *) parent->fdw_private, restriction);
		parent->baserestrictinfo = foreach_delete_current(parent->baserestrictinfo, lc);
	}
}

static void
KeyQualsRelationInfo(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	Node	   *expression;

	if (previous_relation_info)
		previous_relation_info(root, relid, inhparent, rel);
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		HideConditions(root, rel);
	if (!inhparent || rel->reloptkind != RELOPT_BASEREL || !enable_partition_pruning)
		return;
	expression = KeyExpressionOf(rel);
	if (expression != NULL && CatalogRouterForParent(relid) != NULL)
		AddCondition(root, rel, expression);
}

static void
KeyQualsPathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (previous_pathlist)
		previous_pathlist(root, rel, rti, rte);
	if (rel->fdw_private != NULL && KeyExpressionOf(rel) != NULL)
	{
		rel->baserestrictinfo = list_concat(rel->baserestrictinfo, (List *) rel->fdw_private);
		rel->fdw_private = NULL;
	}
}

void
KeyQualsInit(void)
{
	previous_relation_info = get_relation_info_hook;
	get_relation_info_hook = KeyQualsRelationInfo;
	previous_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = KeyQualsPathlist;
}
