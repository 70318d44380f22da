/*
 * cache.c
 *		Routers as this backend knows them.
 *
 * Three small tables: routers by name, and the ways by which the executor asks
 * for one, by a hash function's OID and by a parent's.  The latter two point to
 * entries of the first, which are never removed, only marked stale; so a route
 * costs one probe of a hash table and one look at a flag, and nobody keeps a
 * pointer to a map across an invalidation.
 *
 * What invalidates: every change of a map table sends a relcache invalidation
 * of _shard.router (see triggers.c), and marks all routers stale; they are read
 * again when next asked for.  Maps that were replaced are freed at the end of
 * the transaction, because a caller up the stack may be looking at one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/internal.h"
#include "catalog/namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef struct RouterEntry
{
	char		name[NAMEDATALEN];	/* hash key */
	bool		valid;
	Router	   *router;			/* NULL: there is none of that name */
	MemoryContext context;		/* holds it */
} RouterEntry;

/* A function's or a parent's router. */
typedef struct OwnerEntry
{
	Oid			oid;			/* hash key */
	bool		valid;
	RouterEntry *entry;			/* NULL: not a router's */
} OwnerEntry;

static void Setup(void);

static HTAB *Routers = NULL;
static HTAB *Functions = NULL;
static HTAB *Parents = NULL;
static MemoryContext Retired = NULL;

/* _shard.router, once a router was looked for. */
static Oid	RouterRelid = InvalidOid;

/* Counts invalidations, so that one that arrives while we read is noticed. */
static uint64 Generation = 0;

void
CatalogForget(void)
{
	HASH_SEQ_STATUS status;
	RouterEntry *entry;

	Setup();
	Generation++;
	PinsForget();
	hash_seq_init(&status, Routers);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->valid = false;
}

static void
ForgetOwners(HTAB *owners)
{
	HASH_SEQ_STATUS status;
	OwnerEntry *owner;

	hash_seq_init(&status, owners);
	while ((owner = hash_seq_search(&status)) != NULL)
		owner->valid = false;
}

static void
RelationChanged(Datum arg, Oid relid)
{
	OwnerEntry *owner;

	if (relid == InvalidOid)
		ForgetOwners(Parents);
	else if ((owner = hash_search(Parents, &relid, HASH_FIND, NULL)) != NULL)
		owner->valid = false;
	if (relid == InvalidOid || relid == RouterRelid)
		CatalogForget();
}

static void
FunctionChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	ForgetOwners(Functions);
}

static void
FamilyChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	ForgetOwners(Parents);
}

/*
 * Free the maps that were replaced in this transaction.
 */
static void
TransactionEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			MemoryContextDeleteChildren(Retired);
			break;
		default:
			break;
	}
}

static HTAB *
CreateTable(const char *name, Size keysize, Size entrysize, int flags)
{
	HASHCTL		ctl = {0};

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = CacheMemoryContext;
	return hash_create(name, 16, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

/*
 * On first use in a backend: the postmaster has no caches.
 */
static void
Setup(void)
{
	if (likely(Routers != NULL))
		return;
	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	Functions = CreateTable("shard router functions", sizeof(Oid), sizeof(OwnerEntry), HASH_BLOBS);
	Parents = CreateTable("shard router parents", sizeof(Oid), sizeof(OwnerEntry), HASH_BLOBS);
	Retired = AllocSetContextCreate(CacheMemoryContext, "shard retired maps", ALLOCSET_SMALL_SIZES);
	Routers = CreateTable("shard routers", NAMEDATALEN, sizeof(RouterEntry), HASH_STRINGS);
	CacheRegisterRelcacheCallback(RelationChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, FunctionChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(OPFAMILYOID, FamilyChanged, (Datum) 0);
	RegisterXactCallback(TransactionEnd, NULL);
}

static void
Retire(RouterEntry *entry)
{
	if (entry->context != NULL)
		MemoryContextSetParent(entry->context, Retired);
	entry->context = NULL;
	entry->router = NULL;
}

/*
 * Read a router again.  If an invalidation arrives meanwhile, what was read may
 * be old: read once more.
 */
static void
Reload(RouterEntry *entry)
{
	uint64		generation;

	do
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "shard router",
													  ALLOCSET_SMALL_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(context);
		Router	   *router;

		generation = Generation;
		RouterRelid = CatalogTableOid("router");
		router = OidIsValid(RouterRelid) ? RouterLoad(entry->name) : NULL;
		MemoryContextSwitchTo(caller);

		/* a nested call may have loaded it */
		Retire(entry);
		MemoryContextSetParent(context, CacheMemoryContext);
		entry->context = context;
		entry->router = router;
	} while (generation != Generation);

	/* without the extension nothing would tell us of its creation */
	entry->valid = OidIsValid(RouterRelid);
}

static RouterEntry *
EntryByName(const char *name)
{
	RouterEntry *entry;
	bool		found;

	Setup();
	if (strlen(name) > ROUTER_NAME_MAX)
		return NULL;
	entry = hash_search(Routers, name, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->router = NULL;
		entry->context = NULL;
	}
	return entry;
}

static inline const Router *
EntryRouter(RouterEntry *entry)
{
	if (entry == NULL)
		return NULL;
	if (unlikely(!entry->valid))
		Reload(entry);
	return entry->router;
}

static char *
KnownRouters(void)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, RouterNames())
	{
		if (foreach_current_index(lc) == 20)
		{
			appendStringInfoString(&buf, ", ...");
			break;
		}
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	}
	return buf.data;
}

const Router *
CatalogRouter(const char *name, bool missing_ok)
{
	const Router *router = EntryRouter(EntryByName(name));
	char	   *known;

	if (router != NULL || missing_ok)
		return router;
	known = KnownRouters();
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("router \"%s\" does not exist", name),
			 known[0] != '\0' ? errhint("Known routers: %s.", known) :
			 errhint("There is no router yet: create one with shard.create_router().")));
}

/*
 * "app" for _shard.app_hash; NULL for every other function.
 */
static char *
RouterOfFunction(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	char	   *name = NULL;
	size_t		len;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	len = strlen(NameStr(proc->proname));
	if (len > strlen("_hash") && proc->pronamespace == get_namespace_oid("_shard", true) &&
		strcmp(NameStr(proc->proname) + len - strlen("_hash"), "_hash") == 0)
		name = pnstrdup(NameStr(proc->proname), len - strlen("_hash"));
	ReleaseSysCache(tuple);
	return name;
}

char *
CatalogRouterNameOfFunction(Oid function, bool missing_ok)
{
	char	   *name = RouterOfFunction(function);

	if (name == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("function %u is not the hash function of a router", function),
				 errdetail("A router is found by its function's name, _shard.<router>_hash.")));
	return name;
}

/*
 * InvalidOid if it is no partitioned table; *strategy is how it is partitioned.
 */
static Oid
KeyOperatorClass(Oid parent, char *strategy)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(parent));
	Oid			opclass = InvalidOid;
	bool		isnull;
	Datum		classes;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	classes = SysCacheGetAttr(PARTRELID, tuple, Anum_pg_partitioned_table_partclass, &isnull);
	if (!isnull)
		opclass = ((oidvector *) DatumGetPointer(classes))->values[0];
	*strategy = ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partstrat;
	ReleaseSysCache(tuple);
	return opclass;
}

/*
 * A router's operator classes are in the family _shard.<router>.
 */
static char *
RouterOfOperatorClass(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	HeapTuple	family;
	Form_pg_opclass class;
	char	   *name = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	class = (Form_pg_opclass) GETSTRUCT(tuple);
	if (class->opcnamespace == get_namespace_oid("_shard", true))
	{
		family = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(class->opcfamily));
		if (HeapTupleIsValid(family))
		{
			name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(family))->opfname));
			ReleaseSysCache(family);
		}
	}
	ReleaseSysCache(tuple);
	return name;
}

char *
CatalogRouterOfParent(Oid parent)
{
	char		strategy = '\0';
	Oid			opclass = KeyOperatorClass(parent, &strategy);

	if (!OidIsValid(opclass))
		return NULL;
	return strategy == PARTITION_STRATEGY_RANGE ? RouterOfRangeTable(parent) :
		RouterOfOperatorClass(opclass);
}

/*
 * The owner's entry, resolved by the given function if it is new or stale.
 */
static inline RouterEntry *
OwnerRouter(HTAB **owners, Oid oid, char *(*resolve) (Oid))
{
	OwnerEntry *owner;
	char	   *name;
	bool		found;

	Setup();
	owner = hash_search(*owners, &oid, HASH_FIND, NULL);
	if (likely(owner != NULL && owner->valid))
		return owner->entry;

	/* resolving may process invalidations: enter afterwards */
	name = resolve(oid);
	owner = hash_search(*owners, &oid, HASH_ENTER, &found);
	owner->entry = name != NULL ? EntryByName(name) : NULL;
	owner->valid = true;
	return owner->entry;
}

const Router *
CatalogRouterForFunction(Oid function)
{
	RouterEntry *entry = OwnerRouter(&Functions, function, RouterOfFunction);

	if (unlikely(entry == NULL))
		(void) CatalogRouterNameOfFunction(function, false);
	return EntryRouter(entry);
}

const Router *
CatalogRouterForParent(Oid parent)
{
	return EntryRouter(OwnerRouter(&Parents, parent, CatalogRouterOfParent));
}
