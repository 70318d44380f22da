/*
 * pin.c
 *		Pinning a key to a shard, and undoing it.
 *
 * A pin changes the map for one key.  It does not move rows: where rows of the
 * key live in another shard than the one they would then belong to, it is an
 * error.  So it takes the locks of a flip, looks for such rows, and changes the
 * map, in one transaction.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "table/key.h"
#include "table/range_alter.h"
#include "table/range_pin.h"
#include "table/router_ddl.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(shard_pin);
PG_FUNCTION_INFO_V1(shard_unpin);

/* How long to queue for the locks if lock_timeout sets no limit. */
#define PIN_WAIT_MS 10000

static bool
IsCanonicalUuid(const char *key)
{
	if (strlen(key) != 36)
		return false;
	for (int i = 0; i < 36; i++)
	{
		bool		hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? key[i] != '-' : strchr("0123456789abcdef", key[i]) == NULL)
			return false;
	}
	return true;
}

static bool
IsCanonicalInteger(const char *key)
{
	char		buf[MAXINT8LEN + 1];
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(key, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	pg_lltoa(value, buf);
	return strcmp(buf, key) == 0;
}

/*
 * SQL for the key as a value of the column's type, $1 being its text; NULL if no
 * value of the type has this text.
 */
static const char *
KeyValue(Oid type, const char *key)
{
	type = getBaseType(type);
	switch (type)
	{
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return psprintf("$1::%s", format_type_be_qualified(type));
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return IsCanonicalInteger(key) ? "$1::pg_catalog.int8" : NULL;
		case UUIDOID:
			return IsCanonicalUuid(key) ? "$1::pg_catalog.uuid" : NULL;
		default:
			return "$1";
	}
}

/*
 * Run a query with one text parameter under the newest snapshot, whatever the
 * transaction's is; true if it has a row.
 */
static bool
HasRow(const char *query, const char *key)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(key);
	SPIPlanPtr	plan = SPI_prepare(query, 1, &type);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
	if (SPI_execute_snapshot(plan, &value, NULL, snapshot, InvalidSnapshot, false, false, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "\"%s\" failed", query);
	UnregisterSnapshot(snapshot);
	return SPI_processed > 0;
}

/*
 * Does a leaf hold rows of the key?  Asked as the table's owner, so that
 * neither the caller's privileges nor row-level security hide rows.
 */
static bool
LeafHasKey(Oid parent, Oid leaf, const char *key)
{
	Relation	rel = relation_open(parent, NoLock);
	Oid			type;
	char	   *expression = KeyExpression(rel, &type);
	const char *value = KeyValue(type, key);
	Oid			owner = rel->rd_rel->relowner;
	Oid			user;
	int			context;
	int			nestlevel;
	bool		found;

	relation_close(rel, NoLock);
	if (value == NULL)
		return false;
	GetUserIdAndSecContext(&user, &context);
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	found = HasRow(psprintf("SELECT 1 FROM ONLY %s WHERE %s OPERATOR(pg_catalog.=) %s",
							quote_qualified_identifier(get_namespace_name(get_rel_namespace(leaf)),
													   get_rel_name(leaf)),
							expression, value), key);
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(true, nestlevel);
	return found;
}

static void
RefuseRows(const char *router, const char *key, int from, int to)
{
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
	{
		Oid			parent = lfirst_oid(lc);
		ListCell   *leaf;
		bool		found = false;

		foreach(leaf, CatalogLeaves(parent, from))
			found = found || LeafHasKey(parent, lfirst_oid(leaf), key);
		if (found)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table \"%s\" has rows of key \"%s\" in shard %d, not in shard %d",
							get_rel_name(parent), key, from, to),
					 CatalogRouter(router, false)->strategy == STRATEGY_RANGE ?
					 errhint("Give the key a range of its own with shard.alter_router('%s', ranges => ...) instead.",
							 router) :
					 errhint("Move the key with shard.rebalance('%s', partition_keys => ..., target_shards => ...) instead.",
							 router)));
	}
}

static void
RefuseMigration(const Router *router)
{
	if (router->migrating)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("router \"%s\" is migrating", router->name),
				 errhint("Wait for the migration's end with shard.wait_migration().")));
}

static void
LockFlip(const char *router, int from, int to)
{
	int			blocker = 0;

	if (!TableLockForFlip(router, list_make2_int(from, to),
						  LockTimeout > 0 ? LockTimeout : PIN_WAIT_MS, &blocker))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock the tables of router \"%s\"", router),
				 blocker != 0 ? errdetail("Process %d is in the way.", blocker) : 0,
				 errhint("Try again when no long transaction uses them.")));
}

/*
 * Lock what a change of the key's shard concerns, and check that it may change.
 * Afterwards the caller changes the map.
 */
static void
PrepareMove(const char *router, const char *key, int from, int to)
{
	if (CatalogRouter(router, false)->strategy == STRATEGY_RANGE)
		RangesLock(router);
	else
		LockFlip(router, from, to);
	if (CatalogRoute(CatalogRouter(router, false), key, strlen(key)) != from)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the map of router \"%s\" changed concurrently", router),
				 errhint("Try again.")));
	RefuseMigration(CatalogRouter(router, false));
	if (from != to)
		RefuseRows(router, key, from, to);
}

Datum
shard_pin(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			to = PG_GETARG_INT32(2);
	const Router *router = CatalogRouter(name, false);

	if (key[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty")));
	if (RouterShardByIndex(router, to) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("router \"%s\" has no shard %d", name, to),
				 errhint("View shard.shards lists its shards.")));
	RefuseMigration(router);
	key = RangePinCheck(router, key);
	SPI_connect();
	PrepareMove(name, key, CatalogRoute(router, key, strlen(key)), to);
	RouterExecute("INSERT INTO _shard.pin (router, key, shard_index) VALUES ($1, $2, $3)"
				  " ON CONFLICT (router, key) DO UPDATE SET shard_index = excluded.shard_index",
				  3, (Oid[]) {TEXTOID, TEXTOID, INT4OID},
				  (Datum[]) {PG_GETARG_DATUM(0), CStringGetTextDatum(key), PG_GETARG_DATUM(2)},
				  NULL, SPI_OK_INSERT);
	RouterNotePins(name);
	SPI_finish();
	RangePinApply(name);
	PG_RETURN_VOID();
}

Datum
shard_unpin(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const Router *router = CatalogRouter(name, false);
	int			from;

	key = RangePinCheck(router, key);
	if (!CatalogPin(name, key, strlen(key), &from))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("key \"%s\" of router \"%s\" is not pinned", key, name)));
	RefuseMigration(router);
	SPI_connect();
	PrepareMove(name, key, from, CatalogRouteUnpinned(router, key, strlen(key)));
	RouterExecute("DELETE FROM _shard.pin WHERE router = $1 AND key = $2",
				  2, (Oid[]) {TEXTOID, TEXTOID},
				  (Datum[]) {PG_GETARG_DATUM(0), CStringGetTextDatum(key)}, NULL, SPI_OK_DELETE);
	RouterNotePins(name);
	SPI_finish();
	RangePinApply(name);
	PG_RETURN_VOID();
}
