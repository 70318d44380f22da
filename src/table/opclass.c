/*
 * opclass.c
 *		A router as a hash operator family.
 *
 * A sharded table is PARTITION BY HASH (key _shard.<router>_<type>).  Support
 * function 1 of these operator classes is the type's ordinary hash, because the
 * planner may hash-join by any family that holds "=".  Support function 2, the
 * extended hash, is used by partitioning alone, and gives the shard's index, in
 * the form that makes the row land in REMAINDER index of MODULUS 1024:
 * PostgreSQL adds a constant to the hash of the only column, so the function
 * takes it away.
 *
 * The function is declared immutable and yet reads the router's map.  What makes
 * that sound is in catalog/ (which map is read), in the locks that a change of
 * the map takes, and in snapshot_guard.c.  It finds its router by its own name,
 * since an OID would not survive dump and upgrade.
 *
 * Keys are hashed over their text form: the same key goes to the same shard
 * whatever its type.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/hash.h"
#include "access/htup_details.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "table/opclass.h"
#include "table/restore.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(shard_hash_text);
PG_FUNCTION_INFO_V1(shard_hash_int2);
PG_FUNCTION_INFO_V1(shard_hash_int4);
PG_FUNCTION_INFO_V1(shard_hash_int8);
PG_FUNCTION_INFO_V1(shard_hash_uuid);

/* What hash_combine64() adds to the hash of the first column. */
#define HASH_COMBINE UINT64CONST(0x49a0f4dd15e5a8e3)

#define UUID_TEXT_LEN 36

/* ---- support function 2 ---- */

static inline Datum
HashOfKey(FunctionCallInfo fcinfo, const char *key, size_t len)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	const Router *router = CatalogRouterForFunction(function);
	int			shard_index;

	if (likely(router != NULL))
		shard_index = CatalogRoute(router, key, len);
	else
		shard_index = RestoreTrustedShard(CatalogRouterNameOfFunction(function, false));
	PG_RETURN_INT64((int64) ((uint64) shard_index - HASH_COMBINE));
}

/*
 * Keys are equal only if their bytes are.  A collation's nature never changes,
 * so one that passed is remembered.
 */
static inline void
RequireDeterministic(Oid collation)
{
	static Oid	passed = DEFAULT_COLLATION_OID;

	if (likely(collation == passed) || !OidIsValid(collation))
		return;
	if (collation != DEFAULT_COLLATION_OID && collation != C_COLLATION_OID &&
		!get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a partition key cannot have the nondeterministic collation \"%s\"",
						get_collation_name(collation)),
				 errhint("Use a deterministic collation for the partition key.")));
	passed = collation;
}

Datum
shard_hash_text(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);
	Datum		result;

	RequireDeterministic(PG_GET_COLLATION());
	result = HashOfKey(fcinfo, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	PG_FREE_IF_COPY(key, 0);
	return result;
}

static inline Datum
HashOfInteger(FunctionCallInfo fcinfo, int64 key)
{
	char		buf[MAXINT8LEN + 1];
	int			len = pg_lltoa(key, buf);

	return HashOfKey(fcinfo, buf, len);
}

Datum
shard_hash_int2(PG_FUNCTION_ARGS)
{
	return HashOfInteger(fcinfo, PG_GETARG_INT16(0));
}

Datum
shard_hash_int4(PG_FUNCTION_ARGS)
{
	return HashOfInteger(fcinfo, PG_GETARG_INT32(0));
}

Datum
shard_hash_int8(PG_FUNCTION_ARGS)
{
	return HashOfInteger(fcinfo, PG_GETARG_INT64(0));
}

Datum
shard_hash_uuid(PG_FUNCTION_ARGS)
{
	static const char digits[] = "0123456789abcdef";
	pg_uuid_t  *uuid = PG_GETARG_UUID_P(0);
	char		buf[UUID_TEXT_LEN];
	char	   *p = buf;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[uuid->data[i] >> 4];
		*p++ = digits[uuid->data[i] & 0x0f];
	}
	return HashOfKey(fcinfo, buf, UUID_TEXT_LEN);
}

/* ---- creating and dropping a family ---- */

/* A type that a key can have. */
typedef struct KeyType
{
	Oid			type;
	const char *name;			/* as functions and classes are named */
	const char *hash;			/* the ordinary hash function */
	bool		integer;		/* has "=" with the other integers */
} KeyType;

static const KeyType KeyTypes[] = {
	{TEXTOID, "text", "hashtext", false},
	{INT2OID, "int2", "hashint2", true},
	{INT4OID, "int4", "hashint4", true},
	{INT8OID, "int8", "hashint8", true},
	{UUIDOID, "uuid", "uuid_hash", false},
};

static char *
Qualified(const char *router, const char *suffix)
{
	return quote_qualified_identifier("_shard", psprintf("%s%s", router, suffix));
}

char *
OpclassForType(const char *router, Oid type)
{
	if (type == VARCHAROID)
		type = TEXTOID;
	for (int i = 0; i < lengthof(KeyTypes); i++)
		if (KeyTypes[i].type == type)
			return Qualified(router, psprintf("_%s", KeyTypes[i].name));
	return NULL;
}

static void
Execute(const char *command)
{
	int			rc = SPI_execute(command, false, 0);

	if (rc < 0)
		elog(ERROR, "\"%s\" failed: %s", command, SPI_result_code_string(rc));
}

static void
CreateFunctions(const char *router)
{
	char	   *name = Qualified(router, "_hash");

	for (int i = 0; i < lengthof(KeyTypes); i++)
	{
		char	   *signature = psprintf("%s(pg_catalog.%s, pg_catalog.int8)", name, KeyTypes[i].name);

		Execute(psprintf("CREATE FUNCTION %s RETURNS pg_catalog.int8"
						 " LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE"
						 " AS '$libdir/shard', 'shard_hash_%s'", signature, KeyTypes[i].name));
		Execute(psprintf("COMMENT ON FUNCTION %s IS %s", signature,
						 quote_literal_cstr(psprintf("shard: decides in which shard of router \"%s\" a row lives",
													 router))));
	}
}

static void
CreateClass(const char *router, const KeyType *type)
{
	Execute(psprintf("CREATE OPERATOR CLASS %s FOR TYPE pg_catalog.%s USING hash FAMILY %s AS"
					 " OPERATOR 1 pg_catalog.= (pg_catalog.%s, pg_catalog.%s),"
					 " FUNCTION 1 pg_catalog.%s(pg_catalog.%s),"
					 " FUNCTION 2 %s(pg_catalog.%s, pg_catalog.int8)",
					 OpclassForType(router, type->type), type->name, Qualified(router, ""),
					 type->name, type->name, type->hash, type->name,
					 Qualified(router, "_hash"), type->name));
}

/*
 * int8column = 5 compares int8 with int4; without these the planner could not
 * prune by it.
 */
static void
AddIntegerComparisons(const char *router)
{
	for (int i = 0; i < lengthof(KeyTypes); i++)
		for (int j = 0; j < lengthof(KeyTypes); j++)
			if (i != j && KeyTypes[i].integer && KeyTypes[j].integer)
				Execute(psprintf("ALTER OPERATOR FAMILY %s USING hash ADD"
								 " OPERATOR 1 pg_catalog.= (pg_catalog.%s, pg_catalog.%s)",
								 Qualified(router, ""), KeyTypes[i].name, KeyTypes[j].name));
}

static void
CreateFamily(const char *router)
{
	char	   *family = Qualified(router, "");

	CreateFunctions(router);
	Execute(psprintf("CREATE OPERATOR FAMILY %s USING hash", family));
	Execute(psprintf("COMMENT ON OPERATOR FAMILY %s USING hash IS %s", family,
					 quote_literal_cstr(psprintf("shard: partitions tables by router \"%s\"", router))));
	for (int i = 0; i < lengthof(KeyTypes); i++)
		CreateClass(router, &KeyTypes[i]);
	AddIntegerComparisons(router);
	CommandCounterIncrement();
	OpclassFollowExtension();
}

static void
DropFamily(const char *router)
{
	Execute(psprintf("DROP OPERATOR FAMILY IF EXISTS %s USING hash", Qualified(router, "")));
	for (int i = 0; i < lengthof(KeyTypes); i++)
		Execute(psprintf("DROP FUNCTION IF EXISTS %s(pg_catalog.%s, pg_catalog.int8)",
						 Qualified(router, "_hash"), KeyTypes[i].name));
}

/*
 * Operator classes and C functions may be made by superusers only.  For these
 * steps, whose every word is ours but the router's name, quoted, be one.
 */
static void
AsSuperuser(void (*step) (const char *), const char *router)
{
	Oid			user;
	int			context;
	int			nestlevel;

	GetUserIdAndSecContext(&user, &context);
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	step(router);
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(true, nestlevel);
}

void
OpclassCreate(const char *router)
{
	AsSuperuser(CreateFamily, router);
}

void
OpclassDrop(const char *router)
{
	AsSuperuser(DropFamily, router);
}

/* ---- the extension and its families ---- */

/*
 * Families and functions of routers are not members of the extension, or they
 * would not be dumped; but they are worth nothing without it.  So mark them as
 * dropped along with it.  Tables that use them still stop DROP EXTENSION.
 */
static void
FollowExtension(Oid class, Oid object, Oid extension)
{
	ObjectAddress dependent = {class, object, 0};
	ObjectAddress referenced = {ExtensionRelationId, extension, 0};
	List	   *present = getAutoExtensionsOfObject(class, object);

	if (!list_member_oid(present, extension))
		recordDependencyOn(&dependent, &referenced, DEPENDENCY_AUTO_EXTENSION);
}

/*
 * Find what hangs on a family through the function _shard.<router>_hash of its
 * members.
 */
static void
FamilyFollowsExtension(Oid family, Oid extension)
{
	FollowExtension(OperatorFamilyRelationId, family, extension);
	for (int i = 0; i < lengthof(KeyTypes); i++)
	{
		Oid			type = KeyTypes[i].type;
		Oid			function = get_opfamily_proc(family, type, type, HASHEXTENDED_PROC);

		if (OidIsValid(function))
			FollowExtension(ProcedureRelationId, function, extension);
	}
}

void
OpclassFollowExtension(void)
{
	Oid			extension = get_extension_oid("shard", true);
	Oid			namespace = get_namespace_oid("_shard", true);
	CatCList   *families;

	if (!OidIsValid(extension) || !OidIsValid(namespace))
		return;
	families = SearchSysCacheList1(OPFAMILYAMNAMENSP, ObjectIdGetDatum(HASH_AM_OID));
	for (int i = 0; i < families->n_members; i++)
	{
		Form_pg_opfamily family =
			(Form_pg_opfamily) GETSTRUCT(&families->members[i]->tuple);

		if (family->opfnamespace == namespace)
			FamilyFollowsExtension(family->oid, extension);
	}
	ReleaseSysCacheList(families);
	CommandCounterIncrement();
}
