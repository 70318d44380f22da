/*
 * route_range.c
 *		Routers of strategy range: from a key to its range's shard.
 *
 * The key's text is read as a value of the router's key type, or given to the
 * comparator, which makes such a value of it; then the ranges are searched.
 * What no range holds, and what the comparator gives null for, is the default
 * shard's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/columns.h"
#include "catalog/internal.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "base/compat.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

void
RangesLoad(Router *router, CatalogScan *scan, HeapTuple tuple)
{
	bool		isnull;
	Datum		ranges = CatalogColumn(scan, tuple, Anum_router_ranges, &isnull);

	router->order = KeyOrderCreate(DatumGetObjectId(CatalogColumn(scan, tuple,
																  Anum_router_key_type, NULL)));
	if (router->order == NULL || isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("router \"%s\" has no ranges that can be searched", router->name)));
	router->ranges = RangesRead(router->order, DatumGetJsonbP(ranges));
	router->comparator = CatalogTextColumn(scan, tuple, Anum_router_comparator);
}

static Oid
FunctionOwner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Call the comparator, as the caller; but whose function it is must not get a
 * superuser's rights by it, as when a superuser, or we in his name, verify
 * where rows are.
 */
static bool
Compare(const char *function, Datum key, Datum *value)
{
	LOCAL_FCINFO(call, 1);
	Oid			oid = DatumGetObjectId(DirectFunctionCall1(regprocedurein,
														   CStringGetDatum(function)));
	FmgrInfo	flinfo;
	Oid			user;
	int			sec_context;

	if (FunctionAclCheck(oid, GetUserId(), ACL_EXECUTE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, function);
	fmgr_info(oid, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 1, DEFAULT_COLLATION_OID, NULL, NULL);
	call->args[0].value = key;
	call->args[0].isnull = false;
	GetUserIdAndSecContext(&user, &sec_context);
	if (superuser_arg(user))
		SetUserIdAndSecContext(FunctionOwner(oid), sec_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
	*value = FunctionCallInvoke(call);
	SetUserIdAndSecContext(user, sec_context);
	return !call->isnull;
}

/*
 * The number of the range that holds a key, -1 if none does.
 */
static int
RangeOf(const Router *router, char *key)
{
	Datum		value;

	if (router->comparator != NULL)
		return Compare(router->comparator, CStringGetTextDatum(key), &value) ?
			RangeSearch(router->ranges, value) : -1;
	if (KeyOrderReadWide(router->order, key, &value))
		return RangeSearch(router->ranges, value);
	return router->ranges->ranges[0].start.infinity < 0 ? 0 : -1;
}

int
RouteByRange(const Router *router, const char *key, size_t len)
{
	int			range = RangeOf(router, pnstrdup(key, len));

	return range < 0 ? router->default_shard : router->ranges->ranges[range].shard;
}

/*
 * Equal keys are one key, and have one text: 7 and 007 of type integer.
 */
const char *
CatalogKeyPinned(const Router *router, const char *key, size_t *len)
{
	Datum		value;

	if (router->order == NULL || router->comparator != NULL || router->order->type == TEXTOID ||
		!KeyOrderReadWide(router->order, pnstrdup(key, *len), &value))
		return key;
	key = KeyOrderText(router->order, value);
	*len = strlen(key);
	return key;
}

/*
 * Every pinned key as a range of its own, sorted.
 */
static RangeSet *
PinnedRanges(const Router *router)
{
	Datum		name = CStringGetTextDatum(router->name);
	CatalogScan scan = CatalogScanBegin("pin", 1, &name);
	RangeSet   *set = palloc0(sizeof(RangeSet));
	int			room = 16;
	HeapTuple	tuple;

	set->order = router->ranges->order;
	set->ranges = palloc(sizeof(Range) * room);
	while (HeapTupleIsValid(tuple = CatalogScanNext(&scan)))
	{
		Datum		value = KeyOrderRead(router->order, CatalogTextColumn(&scan, tuple, Anum_pin_key));
		Datum		next;
		Range		range = {{0, value}, {1, 0}, 0};

		if (KeyOrderNext(router->order, value, &next))
			range.end = (RangeBound) {0, next};
		range.shard = DatumGetInt32(CatalogColumn(&scan, tuple, Anum_pin_shard_index, NULL));
		if (set->nranges == room)
			set->ranges = repalloc_huge(set->ranges, sizeof(Range) * (room *= 2));
		set->ranges[set->nranges++] = range;
	}
	CatalogScanEnd(&scan);
	RangeSort(set);
	return set;
}

RangeSet *
CatalogAllRanges(const Router *router, const RangeSet *ranges, int default_shard, bool pins)
{
	RangeSet   *all = RangeOverlay(RangeAll(ranges->order, default_shard), ranges);

	if (pins && router->has_pins && router->comparator == NULL)
		all = RangeOverlay(all, PinnedRanges(router));
	return all;
}
