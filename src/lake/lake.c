/*
 * lake.c
 *		Opening, creating and dropping lake tables, and where their files are.
 *
 * A table's files are below WAREHOUSE/DATABASE OID/NAMESPACE/NAME-xxxxxxxx,
 * where the eight digits are of the table's UUID: a table that is dropped and
 * made again never shares a directory with its predecessor.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "base/settings.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "lake/registry/rest.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* How much of a table's name its directory has. */
#define NAME_IN_PATH 14

char *
LakeWarehouse(void)
{
	char	   *path;

	if (Warehouse == NULL || Warehouse[0] == '\0')
		path = psprintf("%s/shard/warehouse", DataDir);
	else if (strstr(Warehouse, "://") != NULL)
		return LakeCanonical(Warehouse);
	else if (is_absolute_path(Warehouse))
		path = pstrdup(Warehouse);
	else
		path = psprintf("%s/%s", DataDir, Warehouse);
	canonicalize_path(path);
	return path;
}

char *
LakeOwner(void)
{
	/*
	 * A copied database of the same server is another owner.  So is a server that
	 * was promoted or restored, even where the original's data directory had the
	 * same name: its timeline is another one.
	 */
	return psprintf(UINT64_FORMAT ":%u:%u:%s", GetSystemIdentifier(),
					RecoveryInProgress() ? 0 : GetWALInsertionTimeLine(), MyDatabaseId, DataDir);
}

bool
LakeOwns(const IcebergMetadata *metadata)
{
	const char *owner = IcebergProperty(metadata, "shard.owner");

	return owner != NULL && strcmp(owner, LakeOwner()) == 0;
}

void
LakeRequireOwner(const LakeTable *table)
{
	if (table->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("lake table \"%s\" is not in the catalog of this database",
						table->metadata->location)));
	if (!LakeOwns(table->metadata))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the files of lake table \"%s.%s\" belong to another database",
						table->namespace, table->name),
				 errdetail("They were written by %s.",
						   IcebergProperty(table->metadata, "shard.owner") == NULL ?
						   "another program" : "the database that this one is a copy of"),
				 errhint("Only the database that owns them may replace or remove them.")));
}

int64
LakeNowMs(void)
{
	int64		epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;

	return GetCurrentTimestamp() / 1000 + epoch;
}

/*
 * Random hexadecimal digits, at most 32, for the name of a file.
 */
char *
LakeUniqueName(int digits)
{
	unsigned char b[16];
	char		hex[33];

	if (!pg_strong_random(b, sizeof(b)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	for (int i = 0; i < (int) sizeof(b); i++)
		snprintf(hex + 2 * i, 3, "%02x", b[i]);
	return pnstrdup(hex, digits);
}

char *
LakeUuid(void)
{
	unsigned char b[16];

	if (!pg_strong_random(b, sizeof(b)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	return psprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
					b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
					b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* ---- opening ---- */

LakeTable *
LakeOpenMetadata(Oid server, const char *metadata_location)
{
	LakeTable  *table = palloc0(sizeof(LakeTable));

	table->metadata_location = pstrdup(metadata_location);
	table->metadata = LakeCachedMetadata(OidIsValid(server) ? LakeAccessOf(server) :
										 LakeAccessOfLake(metadata_location), metadata_location);
	return table;
}

LakeTable *
LakeOpenMoved(Oid server, const char *metadata_location, const char *location,
			  const char *path_map)
{
	LakeTable  *table;

	if (location == NULL && path_map == NULL)
		return LakeOpenMetadata(server, metadata_location);
	table = palloc0(sizeof(LakeTable));
	table->metadata_location = pstrdup(metadata_location);
	table->metadata = LakeCachedMovedMetadata(OidIsValid(server) ? LakeAccessOf(server) :
											  LakeAccessOfLake(metadata_location),
											  metadata_location, location, path_map);
	return table;
}

LakeTable *
LakeOpen(const char *namespace, const char *name, bool missing_ok)
{
	return LakeOpenFrom(InvalidOid, namespace, name, missing_ok);
}

LakeTable *
LakeOpenFrom(Oid server, const char *namespace, const char *name, bool missing_ok)
{
	LakeAccess *access = LakeAccessOf(server);
	char	   *location;
	LakeTable  *table;

	if (strcmp(access->catalog, "rest") == 0)
		return RestOpen(access, namespace, name, missing_ok);
	location = RegistryLookup(namespace, name);

	if (location == NULL)
	{
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("lake table \"%s.%s\" does not exist", namespace, name)));
	}
	table = LakeOpenMetadata(InvalidOid, location);
	table->namespace = pstrdup(namespace);
	table->name = pstrdup(name);
	return table;
}

/*
 * The engine looks for directories that it may read only when a connection is
 * new.
 */
void
LakeGrantFiles(const char *namespace, const char *name)
{
	char	   *location = LakeByRest() ? NULL : RegistryLookup(namespace, name);

	if (location == NULL || !LakeIsLocal(location))
		return;
	get_parent_directory(location);
	get_parent_directory(location);
	(void) EnginePath(psprintf("%s/data/any", location));
}

bool
LakeIsOfDatabase(Oid server)
{
	LakeAccess *access = LakeAccessOf(server);

	return strcmp(access->catalog, "rest") != 0 || access == LakeAccessOf(InvalidOid);
}

bool
LakeByRest(void)
{
	return strcmp(LakeAccessOf(InvalidOid)->catalog, "rest") == 0;
}

List *
LakeTablesFrom(Oid server, const char *namespace)
{
	LakeAccess *access = LakeAccessOf(server);

	return strcmp(access->catalog, "rest") == 0 ? RestListTables(access, namespace) :
		RegistryNames(namespace);
}

LakeTable *
LakeOpenLatest(const char *namespace, const char *name)
{
	LakeTable  *table;

	PushActiveSnapshot(GetLatestSnapshot());
	table = LakeOpen(namespace, name, true);
	PopActiveSnapshot();
	return table;
}

LakeTable *
LakeOpenLocked(const char *namespace, const char *name)
{
	if (!LakeByRest())
		RegistryLock(namespace, name);
	return LakeOpenLatest(namespace, name);
}

/* ---- locations ---- */

/* A name as one component of a path: what could mean something else is percent-encoded. */
static void
AppendPathComponent(StringInfo path, const char *name)
{
	int			start = path->len;

	for (const char *p = name; *p != '\0' && path->len - start < NAME_IN_PATH; p++)
	{
		unsigned char c = (unsigned char) *p;

		if (c >= 0x80 || isalnum(c) || c == '_' || c == '-' || (c == '.' && p != name))
			appendStringInfoChar(path, *p);
		else
			appendStringInfo(path, "%%%02X", c);
	}
}

/*
 * Short, as are the names of the files in it: below the data directory, a path
 * of 100 bytes or more makes base backups fail, for tar's sake.
 */
static char *
DefaultLocation(const char *name, const char *uuid)
{
	StringInfoData path;
	int			len = pg_mbcliplen(name, strlen(name), NAME_IN_PATH);

	initStringInfo(&path);
	appendStringInfo(&path, "%s/%u/", LakeWarehouse(), MyDatabaseId);
	AppendPathComponent(&path, pnstrdup(name, len));
	appendStringInfo(&path, "-%.8s", uuid);
	return path.data;
}

char *
LakeMetadataDirectory(const IcebergMetadata *metadata)
{
	const char *path = IcebergProperty(metadata, "write.metadata.path");

	return path != NULL ? pstrdup(path) : psprintf("%s/metadata", metadata->location);
}

char *
LakeNewDataFile(const LakeTable *table, const char *suffix)
{
	const char *path = IcebergProperty(table->metadata, "write.data.path");
	char	   *directory;
	char	   *file;

	directory = path != NULL ? pstrdup(path) : psprintf("%s/data", table->metadata->location);
	directory = LakeCanonical(directory);
	LakeMakeDirectory(directory);
	file = psprintf("%s/%s%s", directory, LakeUniqueName(20), suffix);
	LakeRemoveOnAbort(file);
	return file;
}

/* ---- creating ---- */

static int
LastColumnId(const IcebergSchema *schema)
{
	int			last = 0;

	for (int i = 0; i < schema->nfields; i++)
	{
		if (schema->fields[i].id <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" of a lake table has no field id",
							schema->fields[i].name)));
		last = Max(last, LakeFieldMaxId(&schema->fields[i]));
	}
	return last;
}

static void
SetProperties(IcebergMetadata *metadata, const IcebergKeyValue *properties, int n)
{
	IcebergKeyValue defaults[] = {
		{"shard.owner", LakeOwner()},
		{"write.format.default", "parquet"},
		{"write.parquet.compression-codec", "zstd"},
		{"write.delete.mode", "merge-on-read"},
		{"write.update.mode", "merge-on-read"},
		{"write.merge.mode", "merge-on-read"},
		{"write.metadata.delete-after-commit.enabled", "true"},
	};
	int			ndefaults = lengthof(defaults);

	metadata->properties = palloc0(sizeof(IcebergKeyValue) * (n + ndefaults));
	for (int i = 0; i < n; i++)
		metadata->properties[metadata->nproperties++] = properties[i];
	for (int i = 0; i < ndefaults; i++)
		if (IcebergProperty(metadata, defaults[i].key) == NULL)
			metadata->properties[metadata->nproperties++] = defaults[i];
}

/*
 * Write the first metadata file, durably, and make it known.
 */
LakeTable *
LakeCreate(const char *namespace, const char *name, const char *location,
		   const IcebergSchema *schema, const LakeShape *shape,
		   const IcebergKeyValue *properties, int nproperties)
{
	IcebergMetadata metadata = {0};
	IcebergSchema first = *schema;
	IcebergSortOrder unsorted = {0};
	char	   *directory;
	char	   *path;
	char	   *text;
	size_t		len;

	first.json = NULL;
	metadata.format_version = 2;
	metadata.table_uuid = LakeUuid();
	if (location != NULL)
		metadata.location = LakeCanonical(location);
	else if (!LakeByRest() || Warehouse[0] != '\0')
		metadata.location = DefaultLocation(name, metadata.table_uuid);
	metadata.last_updated_ms = LakeNowMs();
	metadata.last_column_id = LastColumnId(schema);
	metadata.current_schema_id = first.schema_id;
	metadata.nschemas = 1;
	metadata.schemas = &first;
	metadata.last_partition_id = 999;
	metadata.nsort_orders = 1;
	metadata.sort_orders = &unsorted;
	LakeSetShape(&metadata, shape);
	metadata.current_snapshot_id = -1;
	SetProperties(&metadata, properties, nproperties);
	if (LakeByRest())
		return RestCreate(namespace, name, &metadata);

	text = IcebergWriteMetadata(&metadata, &len);
	directory = LakeMetadataDirectory(&metadata);
	path = psprintf("%s/00000-%s.metadata.json", directory, LakeUniqueName(12));
	LakeMakeDirectory(directory);
	LakeWriteFile(path, text, len);
	LakeSyncDirectory(directory);
	RegistryInsert(namespace, name, path);
	LakeCacheMetadata(path, text, len);
	return LakeOpen(namespace, name, false);
}

/* ---- dropping ---- */

/*
 * The catalog forgets the table when the transaction has committed and nobody
 * can need it any more: a queued entry says which.
 */
static void
DropByRest(const char *namespace, const char *name)
{
	LakeTable  *table = LakeOpen(namespace, name, true);

	if (table == NULL || !LakeOwns(table->metadata))
		return;
	RegistryTrash(list_make1(psprintf(TRASH_REST "%s/%s/%s", table->metadata->table_uuid,
									  namespace, name)), false);
	RegistryTrash(list_make1(table->metadata->location), true);
}

void
LakeDropOwned(const char *namespace, const char *name)
{
	LakeTable  *table = LakeByRest() ? LakeOpen(namespace, name, true) : NULL;

	if (table != NULL && LakeOwns(table->metadata) &&
		RestDrop(namespace, name, table->metadata->table_uuid))
		(void) LakeRemoveTree(table->metadata->location);
}

void
LakeDrop(const char *namespace, const char *name)
{
	char	   *location;
	LakeTable  *table;

	if (LakeByRest())
	{
		DropByRest(namespace, name);
		return;
	}
	location = RegistryLookup(namespace, name);
	if (location == NULL)
		return;
	if (!LakeFileExists(location))
	{
		/* its files are gone already: that must not keep it from being dropped */
		RegistryDelete(namespace, name);
		return;
	}
	table = LakeOpenMetadata(InvalidOid, location);
	RegistryDelete(namespace, name);
	/* files of a lake that we do not own, such as the one that we are a clone of, stay */
	if (LakeOwns(table->metadata))
		RegistryTrash(list_make1(table->metadata->location), true);
}

const IcebergField *
LakeColumnField(const IcebergSchema *schema, int offset, int attnum)
{
	const IcebergField *newest = NULL;

	for (int i = 0; i < schema->nfields; i++)
	{
		const IcebergField *field = &schema->fields[i];

		if (field->id > offset && field->id < LAKE_NESTED_IDS &&
			(field->id - offset) % LAKE_COLUMN_GENERATION == attnum &&
			(newest == NULL || field->id > newest->id))
			newest = field;
	}
	return newest;
}
