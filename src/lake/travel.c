/*
 * travel.c
 *		Tables as they were: by snapshot, branch, tag or time.
 *
 * A snapshot has the schema that it was written with; the names that columns
 * have today are understood, too, so that a foreign table whose columns were
 * renamed or added since need not be defined anew.  A branch is read with
 * today's schema first, as the specification wants it.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/settings.h"
#include "lake/internal.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static const char *
Title(const LakeTable *table)
{
	return table->name != NULL ? table->name : table->metadata->location;
}

TimestampTz
LakeTimestampOfMs(int64 ms)
{
	int64		epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	return ms * 1000 - epoch;
}

pg_noreturn static void
RaiseGone(const LakeTable *table, const char *as_of)
{
	const IcebergMetadata *metadata = table->metadata;
	int64		oldest = PG_INT64_MAX;

	for (int i = 0; i < metadata->nsnapshots; i++)
		oldest = Min(oldest, metadata->snapshots[i].timestamp_ms);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("lake table \"%s\" has no snapshot as of \"%s\"", Title(table), as_of),
			 metadata->nsnapshots == 0 ? errdetail("It has no snapshots.") :
			 errdetail("The oldest snapshot that is kept is of %s.",
					   timestamptz_to_str(LakeTimestampOfMs(oldest))),
			 errhint("See shard.lake_snapshots() for those that are kept.")));
}

/* ---- which snapshot ---- */

static const IcebergRef *
RefByName(const IcebergMetadata *metadata, const char *name)
{
	for (int i = 0; i < metadata->nrefs; i++)
		if (strcmp(metadata->refs[i].name, name) == 0)
			return &metadata->refs[i];
	return NULL;
}

static bool
IsNumber(const char *text)
{
	return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* The snapshot that was current at a time: -1 if that is not known. */
static int64
SnapshotAt(const IcebergMetadata *metadata, TimestampTz at)
{
	int64		found = -1;

	for (int i = 0; i < metadata->nsnapshot_log; i++)
		if (LakeTimestampOfMs(metadata->snapshot_log[i].timestamp_ms) <= at)
			found = metadata->snapshot_log[i].snapshot_id;
	if (metadata->nsnapshot_log == 0)
	{
		const IcebergSnapshot *snapshot = IcebergSnapshotById(metadata, metadata->current_snapshot_id);

		while (snapshot != NULL && LakeTimestampOfMs(snapshot->timestamp_ms) > at)
			snapshot = snapshot->parent_id == -1 ? NULL :
				IcebergSnapshotById(metadata, snapshot->parent_id);
		found = snapshot == NULL ? -1 : snapshot->snapshot_id;
	}
	return found;
}

static void
ExplainTime(void *as_of)
{
	errcontext("reading a lake table as of \"%s\", which is no snapshot, branch or tag of it",
			   (const char *) as_of);
}

static TimestampTz
TimeOf(const char *as_of)
{
	ErrorContextCallback context = {error_context_stack, ExplainTime, unconstify(char *, as_of)};
	TimestampTz time;

	error_context_stack = &context;
	time = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(as_of),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	error_context_stack = context.previous;
	return time;
}

/* *branch: the newest state of a line of work, not one that is over. */
static int64
SnapshotNamed(const LakeTable *table, const char *as_of, bool *branch)
{
	const IcebergMetadata *metadata = table->metadata;
	const IcebergRef *ref = RefByName(metadata, as_of);

	*branch = true;
	if (strcmp(as_of, "main") == 0)
		return metadata->current_snapshot_id;
	*branch = ref != NULL && !ref->is_tag;
	if (ref != NULL)
		return ref->snapshot_id;
	if (IsNumber(as_of))
		return pg_strtoint64(as_of);
	return SnapshotAt(metadata, TimeOf(as_of));
}

/* ---- with which columns ---- */

/*
 * The fields of a schema, and those of another one by names that the first does
 * not have: with its own field where that one was renamed.
 */
static const IcebergSchema *
Joined(const IcebergSchema *first, const IcebergSchema *second)
{
	IcebergSchema *schema = palloc(sizeof(IcebergSchema));

	*schema = *first;
	schema->json = NULL;
	schema->fields = palloc(sizeof(IcebergField) * (first->nfields + second->nfields));
	memcpy(schema->fields, first->fields, sizeof(IcebergField) * first->nfields);
	for (int i = 0; i < second->nfields; i++)
	{
		const IcebergField *field = &second->fields[i];
		const IcebergField *same = IcebergFieldById(first, field->id);
		IcebergField *added = &schema->fields[schema->nfields];

		if (IcebergFieldByName(first, field->name) != NULL)
			continue;
		*added = same != NULL ? *same : *field;
		added->name = field->name;
		schema->nfields++;
	}
	return schema;
}

void
LakeTravel(LakeTable *table, const char *option)
{
	const char *as_of = option != NULL ? option : AsOf;
	const IcebergMetadata *metadata = table->metadata;
	const IcebergSchema *now = IcebergCurrentSchema(metadata);
	const IcebergSchema *then;
	bool		branch;

	if (as_of == NULL || as_of[0] == '\0')
		return;
	table->as_of = IcebergSnapshotById(metadata, SnapshotNamed(table, as_of, &branch));
	if (table->as_of == NULL)
		RaiseGone(table, as_of);
	then = IcebergSchemaById(metadata, table->as_of->schema_id);
	if (then == NULL || then == now)
		table->schema = now;
	else
		table->schema = branch ? Joined(now, then) : Joined(then, now);
}
