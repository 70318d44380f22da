/*
 * functions.c
 *		SQL functions that show what a lake table consists of.
 *
 * They take a foreign table of the lake or a sharded table, and need SELECT on
 * it: paths and counts tell about the data.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "lake/internal.h"
#include "lake/registry/registry.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(shard_lake_snapshots);
PG_FUNCTION_INFO_V1(shard_lake_manifests);
PG_FUNCTION_INFO_V1(shard_lake_files);
PG_FUNCTION_INFO_V1(shard_lake_empty_trash);

/* ---- from a relation to its lake table ---- */

/* 'namespace.table': the last dot divides. */
static LakeTable *
OpenByOption(const char *option)
{
	const char *dot = strrchr(option, '.');

	if (dot == NULL || dot == option || dot[1] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option table: \"%s\"", option),
				 errhint("Write it as namespace.table.")));
	return LakeOpen(pnstrdup(option, dot - option), dot + 1, false);
}

static LakeTable *
OpenForeign(Oid relation)
{
	ForeignTable *table = GetForeignTable(relation);
	ListCell   *lc;

	foreach(lc, table->options)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, "table") == 0)
			return OpenByOption(defGetString(option));
		if (strcmp(option->defname, "metadata_location") == 0)
			return LakeOpenMetadata(defGetString(option));
	}
	return NULL;
}

LakeTable *
LakeOpenRelation(Oid relation)
{
	LakeTable  *table = NULL;
	char	   *namespace;
	char	   *name;

	if (get_rel_relkind(relation) == RELKIND_FOREIGN_TABLE)
		table = OpenForeign(relation);
	else if (RegistryRelation(relation, &namespace, &name))
		table = LakeOpen(namespace, name, false);
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is neither a lake table nor a sharded table with a lake",
						get_rel_name(relation)),
				 errhint("Give a foreign table of server lake, or a table that shard.distribute_table() distributed.")));
	return table;
}

static LakeTable *
OpenForReader(Oid relation)
{
	AclResult	result = pg_class_aclcheck(relation, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relation)),
					   get_rel_name(relation));
	return LakeOpenRelation(relation);
}

/* ---- rows ---- */

#define MAX_COLUMNS 16

typedef struct Row
{
	int			n;
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];
} Row;

static void
Put(Row *row, Datum value, bool isnull)
{
	Assert(row->n < MAX_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = isnull;
}

static void
PutText(Row *row, const char *text)
{
	Put(row, text == NULL ? (Datum) 0 : CStringGetTextDatum(text), text == NULL);
}

static void
PutLong(Row *row, int64 value, bool isnull)
{
	Put(row, Int64GetDatum(value), isnull);
}

static void
PutInt(Row *row, int value, bool isnull)
{
	Put(row, Int32GetDatum(value), isnull);
}

static void
EmitRow(ReturnSetInfo *result, Row *row)
{
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
	row->n = 0;
}

static const IcebergManifest *
CurrentManifests(const LakeTable *table, int *n)
{
	const IcebergSnapshot *snapshot;

	*n = 0;
	if (table->metadata->current_snapshot_id == -1)
		return NULL;
	snapshot = IcebergSnapshotById(table->metadata, table->metadata->current_snapshot_id);
	if (snapshot->manifest_list == NULL)
		return NULL;
	return LakeCachedManifestList(snapshot->manifest_list, table->metadata->format_version, n);
}

/* ---- snapshots ---- */

static Datum
SummaryJsonb(const IcebergSnapshot *snapshot)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < snapshot->nsummary; i++)
	{
		appendStringInfoString(&text, i == 0 ? "" : ", ");
		escape_json(&text, snapshot->summary[i].key);
		appendStringInfoString(&text, ": ");
		escape_json(&text, snapshot->summary[i].value);
	}
	appendStringInfoChar(&text, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

static void
PutTotal(Row *row, const IcebergSnapshot *snapshot, const char *key)
{
	const char *text = IcebergSummaryValue(snapshot, key);

	PutLong(row, text == NULL ? 0 : strtoll(text, NULL, 10), text == NULL);
}

static TimestampTz
TimestampOfMs(int64 ms)
{
	int64		epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	return ms * 1000 - epoch;
}

Datum
shard_lake_snapshots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	LakeTable  *table = OpenForReader(PG_GETARG_OID(0));
	const IcebergMetadata *metadata = table->metadata;
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < metadata->nsnapshots; i++)
	{
		const IcebergSnapshot *snapshot = &metadata->snapshots[i];

		PutLong(&row, snapshot->snapshot_id, false);
		PutLong(&row, snapshot->parent_id, snapshot->parent_id == -1);
		PutLong(&row, snapshot->sequence_number, false);
		Put(&row, TimestampTzGetDatum(TimestampOfMs(snapshot->timestamp_ms)), false);
		PutText(&row, IcebergSummaryValue(snapshot, "operation"));
		Put(&row, BoolGetDatum(snapshot->snapshot_id == metadata->current_snapshot_id), false);
		PutTotal(&row, snapshot, "total-data-files");
		PutTotal(&row, snapshot, "total-records");
		PutTotal(&row, snapshot, "total-files-size");
		PutText(&row, snapshot->manifest_list);
		Put(&row, SummaryJsonb(snapshot), false);
		EmitRow(result, &row);
	}
	return (Datum) 0;
}

/* ---- manifests ---- */

Datum
shard_lake_manifests(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	LakeTable  *table = OpenForReader(PG_GETARG_OID(0));
	const IcebergManifest *manifests;
	Row			row = {0};
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	manifests = CurrentManifests(table, &n);
	for (int i = 0; i < n; i++)
	{
		const IcebergManifest *manifest = &manifests[i];

		PutText(&row, manifest->path);
		PutText(&row, manifest->content == 0 ? "data" : "deletes");
		PutLong(&row, manifest->length, false);
		PutInt(&row, manifest->spec_id, false);
		PutLong(&row, manifest->sequence_number, false);
		PutLong(&row, manifest->min_sequence_number, false);
		PutLong(&row, manifest->added_snapshot_id, manifest->added_snapshot_id == -1);
		PutInt(&row, manifest->added_files, manifest->added_files == -1);
		PutInt(&row, manifest->existing_files, manifest->existing_files == -1);
		PutInt(&row, manifest->deleted_files, manifest->deleted_files == -1);
		PutLong(&row, manifest->added_rows, manifest->added_rows == -1);
		PutLong(&row, manifest->existing_rows, manifest->existing_rows == -1);
		PutLong(&row, manifest->deleted_rows, manifest->deleted_rows == -1);
		EmitRow(result, &row);
	}
	return (Datum) 0;
}

/* ---- files ---- */

static void
EmitFile(ReturnSetInfo *result, const IcebergFile *file)
{
	static const char *const contents[] = {"data", "position deletes", "equality deletes"};
	Row			row = {0};

	PutText(&row, file->path);
	PutText(&row, contents[file->content]);
	PutText(&row, file->format);
	PutLong(&row, file->record_count, false);
	PutLong(&row, file->file_size, false);
	PutLong(&row, file->sequence_number, false);
	PutLong(&row, file->snapshot_id, file->snapshot_id == -1);
	PutInt(&row, file->spec_id, false);
	PutInt(&row, file->sort_order_id, file->sort_order_id == -1);
	PutText(&row, file->referenced_data_file);
	EmitRow(result, &row);
}

Datum
shard_lake_files(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	LakeTable  *table = OpenForReader(PG_GETARG_OID(0));
	const IcebergManifest *manifests;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	manifests = CurrentManifests(table, &n);
	for (int i = 0; i < n; i++)
	{
		int			nfiles;
		const IcebergFile *files = LakeCachedManifest(table->metadata, &manifests[i], &nfiles);

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < nfiles; j++)
			if (files[j].status != 2)
				EmitFile(result, &files[j]);
	}
	return (Datum) 0;
}

/* ---- removal ---- */

Datum
shard_lake_empty_trash(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(LakeEmptyTrash());
}
