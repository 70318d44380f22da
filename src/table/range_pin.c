/*
 * range_pin.c
 *		Pins of routers of strategy range.
 *
 * Native partitions know nothing of pins: a pinned key that is not in its
 * range's shard gets a leaf of its own, which holds the range from the key to its
 * successor.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "catalog/pg_type.h"
#include "table/parts.h"
#include "table/range_alter.h"
#include "table/range_pin.h"
#include "table/range_split.h"
#include "utils/builtins.h"

static void
CheckStrategyFits(const Router *router)
{
	bool		comparator = router->comparator != NULL && CatalogRouterParents(router->name) != NIL;

	if (comparator)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("keys of router \"%s\" cannot be pinned", router->name),
				 errdetail("Its tables are partitioned by what its comparator makes of keys, not by the keys."),
				 errhint("Change its ranges with shard.alter_router().")));
	if (router->comparator == NULL && router->order->type == NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("keys of type numeric cannot be pinned"),
				 errdetail("There is no range that holds one number only."),
				 errhint("Change the ranges with shard.alter_router().")));
}

char *
RangePinCheck(const Router *router, char *key)
{
	size_t		len = strlen(key);
	char	   *name;
	char	   *stored;
	DdlScope	scope;

	if (router->strategy != STRATEGY_RANGE)
		return key;
	name = pstrdup(router->name);
	CheckStrategyFits(router);
	if (router->comparator == NULL)
		(void) KeyOrderRead(router->order, key);
	stored = unconstify(char *, CatalogKeyPinned(CatalogRouter(name, false), key, &len));
	DdlBegin(&scope);
	RangesRefuseMigrating(name);
	DdlEnd(&scope);
	return stored;
}

void
RangePinApply(const char *name)
{
	const Router *router = CatalogRouter(name, false);
	DdlScope	scope;
	RangeTarget *target;

	if (router->strategy != STRATEGY_RANGE || CatalogRouterParents(name) == NIL)
		return;
	DdlBegin(&scope);
	CommandCounterIncrement();
	CatalogForget();
	router = CatalogRouter(name, false);
	target = RangeTargetCreate(name, NULL, router->default_shard);
	if (RangeRowsToMove(target, (int64) RangeMoveRows + 1) > RangeMoveRows)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("more than %d rows would change leaves for this pin", RangeMoveRows),
				 errdetail("The leaf that holds the key's range has to be split at the key."),
				 errhint("Split the range with shard.alter_router() first, or raise shard.range_move_rows.")));
	RangesApply(target);
	DdlEnd(&scope);
}
