/*
 * weights.c
 *		Weights of the shards of a ring.
 *
 * A shard of twice the weight has twice the virtual nodes, and about twice the
 * keys.  Weights decide where keys belong, and nothing here moves rows: they can
 * be changed only while the shards are empty.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "table/parts.h"
#include "table/range_alter.h"
#include "table/weights.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

static void
CheckStrategy(const Router *router)
{
	if (router->strategy != STRATEGY_CONSISTENT_HASH && router->strategy != STRATEGY_TENANT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shards of router \"%s\" have no weights", router->name),
				 errhint("Weights are for the strategies consistent-hash and tenant.")));
}

static double *
ReadWeights(const Router *router, ArrayType *weights)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	double	   *result;

	deconstruct_array(weights, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &n);
	if (n != router->nshards)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are %d weights for the %d shards of router \"%s\"", n,
						router->nshards, router->name),
				 errhint("Give one weight for each shard, in the order of their indexes.")));
	result = palloc(sizeof(double) * n);
	for (int i = 0; i < n; i++)
	{
		result[i] = nulls[i] ? 0 : DatumGetFloat8(elements[i]);
		if (!(result[i] > 0) || isinf(result[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the weight of shard %d is not a positive number",
							router->shards[i].index)));
	}
	return result;
}

static void
RefuseRows(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
	{
		ListCell   *leaf;

		foreach(leaf, find_inheritance_children(lfirst_oid(lc), NoLock))
			if (DdlTexts(psprintf("SELECT 'row' FROM ONLY %s LIMIT 1", QualifiedName(lfirst_oid(leaf))),
						 InvalidOid, 0) != NIL)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_IN_USE),
						 errmsg("weights cannot change while table \"%s\" has rows",
								get_rel_name(lfirst_oid(lc))),
						 errdetail("Rows of many keys would have to move to other shards."),
						 errhint("Move keys with shard.rebalance(), or add a shard with shard.add_shard().")));
	}
}

void
WeightsSet(const char *name, ArrayType *array)
{
	const Router *router = CatalogRouter(name, false);
	DdlScope	scope;
	StringInfoData values;
	double	   *weights;

	CheckStrategy(router);
	weights = ReadWeights(router, array);
	initStringInfo(&values);
	for (int i = 0; i < router->nshards; i++)
		appendStringInfo(&values, "%s(%d, '%s'::float8)", i > 0 ? ", " : "", router->shards[i].index,
						 float8out_internal(weights[i]));
	DdlBegin(&scope);
	RangesRefuseMigrating(name);
	if (CatalogRouterParents(name) != NIL)
	{
		RangesLock(name);
		RefuseRows(name);
	}
	DdlRunf("UPDATE _shard.shard s SET weight = w.weight FROM (VALUES %s) w(i, weight) "
			"WHERE s.router = %s AND s.shard_index = w.i", values.data, quote_literal_cstr(name));
	CommandCounterIncrement();
	CatalogForget();
	/* too large a ring is an error now, not when the next key is routed */
	(void) CatalogRouter(name, false);
	DdlEnd(&scope);
}
