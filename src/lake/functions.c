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
PG_FUNCTION_INFO_V1(shard_lake_history);
PG_FUNCTION_INFO_V1(shard_lake_refs);
PG_FUNCTION_INFO_V1(shard_lake_manifests);
PG_FUNCTION_INFO_V1(shard_lake_files);
PG_FUNCTION_INFO_V1(shard_lake_empty_trash);

/* ---- from a relation to its lake table ---- */

/*
 * One part of a dotted name, bare or in double quotes; NULL if malformed.
 */
static char *
NextNamePart(const char **text)
{
	StringInfoData part;
	const char *p = *text;
	bool		quoted = (*p == '"');

	initStringInfo(&part);
	if (quoted)
		p++;
	for (; *p != '\0'; p++)
	{
		if (quoted && *p == '"')
		{
			if (p[1] != '"')
				break;
			p++;
		}
		else if (!quoted && (*p == '.' || *p == '"'))
			break;
		appendStringInfoChar(&part, *p);
	}
	if (quoted && *p++ != '"')
		return NULL;
	*text = p;
	return part.len > 0 ? part.data : NULL;
}

bool
LakeSplitName(const char *text, char **namespace, char **name)
{
	StringInfoData space;
	char	   *part;

	initStringInfo(&space);
	while ((part = NextNamePart(&text)) != NULL && *text == '.')
	{
		appendStringInfo(&space, "%s%s", space.len > 0 ? "." : "", part);
		text++;
	}
	*namespace = space.data;
	*name = part;
	return part != NULL && *text == '\0' && space.len > 0;
}

static LakeTable *
OpenByOption(Oid server, const char *option)
{
	char	   *namespace;
	char	   *name;

	if (!LakeSplitName(option, &namespace, &name))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option table: \"%s\"", option),
				 errhint("Write it as namespace.table.")));
	return LakeOpenFrom(server, namespace, name, false);
}

/* The value of an option of a foreign table; NULL if it is not there. */
static const char *
OptionOf(const ForeignTable *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->options)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

static LakeTable *
OpenForeign(Oid relation)
{
	ForeignTable *table = GetForeignTable(relation);

	if (OptionOf(table, "table") != NULL)
		return OpenByOption(table->serverid, OptionOf(table, "table"));
	if (OptionOf(table, "metadata_location") != NULL)
		return LakeOpenMoved(table->serverid, OptionOf(table, "metadata_location"),
							 OptionOf(table, "location"), OptionOf(table, "path_map"));
	return NULL;
}

LakeTable *
LakeOpenRelation(Oid relation)
{
	LakeTable  *table = NULL;
	char	   *namespace;
	char	   *name;

	if (get_rel_name(relation) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	if (get_rel_relkind(relation) == RELKIND_FOREIGN_TABLE)
		table = OpenForeign(relation);
	else if (RegistryRelation(relation, &namespace, &name, NULL))
		table = LakeOpen(namespace, name, false);
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is neither a lake table nor a sharded table with a lake",
						get_rel_name(relation)),
				 errhint("Give a foreign table of server lake, or a table that shard.distribute_table() distributed.")));
	return table;
}

List *
LakeTablesOfRelation(Oid relation)
{
	char	   *namespace;
	char	   *name;
	char	   *events;

	if (get_rel_relkind(relation) == RELKIND_FOREIGN_TABLE ||
		!RegistryRelation(relation, &namespace, &name, &events))
		return list_make1(LakeOpenRelation(relation));
	return list_make2(LakeOpen(namespace, events, false), LakeOpen(namespace, name, false));
}

static LakeTable *
OpenForReader(Oid relation)
{
	AclResult	result = pg_class_aclcheck(relation, GetUserId(), ACL_SELECT);
	LakeTable  *table;

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relation)),
					   get_rel_name(relation));
	table = LakeOpenRelation(relation);
	LakeTravel(table, get_rel_relkind(relation) != RELKIND_FOREIGN_TABLE ? NULL :
			   OptionOf(GetForeignTable(relation), "as_of"));
	return table;
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
	const IcebergSnapshot *snapshot = table->as_of;

	*n = 0;
	if (snapshot == NULL && table->metadata->current_snapshot_id == -1)
		return NULL;
	if (snapshot == NULL)
		snapshot = IcebergSnapshotById(table->metadata, table->metadata->current_snapshot_id);
	if (snapshot->manifest_list == NULL)
		return NULL;
	return LakeCachedManifestList(table->metadata, snapshot->manifest_list, n);
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
		Put(&row, TimestampTzGetDatum(LakeTimestampOfMs(snapshot->timestamp_ms)), false);
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

/* ---- history ---- */

static bool
IsAncestor(const IcebergMetadata *metadata, int64 snapshot_id)
{
	const IcebergSnapshot *snapshot = IcebergSnapshotById(metadata, metadata->current_snapshot_id);

	/* a chain has no more links than there are snapshots, whatever a file says */
	for (int i = 0; snapshot != NULL && i < metadata->nsnapshots; i++)
	{
		if (snapshot->snapshot_id == snapshot_id)
			return true;
		snapshot = IcebergSnapshotById(metadata, snapshot->parent_id);
	}
	return false;
}

Datum
shard_lake_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const IcebergMetadata *metadata = OpenForReader(PG_GETARG_OID(0))->metadata;
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < metadata->nsnapshot_log; i++)
	{
		const IcebergSnapshotLog *entry = &metadata->snapshot_log[i];
		const IcebergSnapshot *snapshot = IcebergSnapshotById(metadata, entry->snapshot_id);

		CHECK_FOR_INTERRUPTS();
		Put(&row, TimestampTzGetDatum(LakeTimestampOfMs(entry->timestamp_ms)), false);
		PutLong(&row, entry->snapshot_id, false);
		PutLong(&row, snapshot == NULL ? -1 : snapshot->parent_id,
				snapshot == NULL || snapshot->parent_id == -1);
		PutText(&row, snapshot == NULL ? NULL : IcebergSummaryValue(snapshot, "operation"));
		Put(&row, BoolGetDatum(IsAncestor(metadata, entry->snapshot_id)), false);
		Put(&row, BoolGetDatum(snapshot == NULL), false);
		EmitRow(result, &row);
	}
	return (Datum) 0;
}

/* ---- branches and tags ---- */

Datum
shard_lake_refs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const IcebergMetadata *metadata = OpenForReader(PG_GETARG_OID(0))->metadata;
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (metadata->current_snapshot_id != -1)
	{
		PutText(&row, "main");
		PutText(&row, "branch");
		PutLong(&row, metadata->current_snapshot_id, false);
		EmitRow(result, &row);
	}
	for (int i = 0; i < metadata->nrefs; i++)
	{
		PutText(&row, metadata->refs[i].name);
		PutText(&row, metadata->refs[i].is_tag ? "tag" : "branch");
		PutLong(&row, metadata->refs[i].snapshot_id, false);
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
