/*
 * reached.c
 *		What a table's history says of how far its writer has come.
 *
 * A REST catalog does not take part in our transactions: a change can have been
 * committed there and not here.  What the pipeline says of itself in the
 * summaries of snapshots tells so afterwards.
 */
#include "postgres.h"

#include "lake/internal.h"

static const IcebergSnapshot *
CurrentSnapshot(const IcebergMetadata *metadata)
{
	return metadata->current_snapshot_id == -1 ? NULL :
		IcebergSnapshotById(metadata, metadata->current_snapshot_id);
}

static const IcebergSnapshot *
ParentOf(const IcebergMetadata *metadata, const IcebergSnapshot *snapshot)
{
	return snapshot->parent_id == -1 ? NULL : IcebergSnapshotById(metadata, snapshot->parent_id);
}

/* The newest snapshot whose summary has an entry; NULL if none. */
static const IcebergSnapshot *
NewestWith(const IcebergMetadata *metadata, const char *key)
{
	const IcebergSnapshot *snapshot = CurrentSnapshot(metadata);

	while (snapshot != NULL && IcebergSummaryValue(snapshot, key) == NULL)
		snapshot = ParentOf(metadata, snapshot);
	return snapshot;
}

const char *
LakeNoted(const IcebergMetadata *metadata, const char *key)
{
	const IcebergSnapshot *snapshot = NewestWith(metadata, key);

	return snapshot == NULL ? NULL : IcebergSummaryValue(snapshot, key);
}

static bool
SameHistory(const IcebergSnapshot *snapshot, const IcebergKeyValue *identity, int n)
{
	for (int i = 0; i < n; i++)
	{
		const char *value = IcebergSummaryValue(snapshot, identity[i].key);

		if (value == NULL || strcmp(value, identity[i].value) != 0)
			return false;
	}
	return true;
}

char *
LakeReached(const IcebergMetadata *metadata, const IcebergKeyValue *identity, int n)
{
	const IcebergSnapshot *snapshot = NewestWith(metadata, POSITION_LSN);

	if (snapshot == NULL || !SameHistory(snapshot, identity, n))
		return NULL;
	return pstrdup(IcebergSummaryValue(snapshot, POSITION_LSN));
}

/* A number in the form of a position's LSN; 0 if it is none. */
static uint64
LsnValue(const char *text)
{
	unsigned int high;
	unsigned int low;

	return text != NULL && sscanf(text, "%X/%X", &high, &low) == 2 ? (uint64) high << 32 | low : 0;
}

static const char *
SummaryOf(const LakeChange *change, const char *key)
{
	for (int i = 0; i < change->nsummary; i++)
		if (strcmp(change->summary[i].key, key) == 0)
			return change->summary[i].value;
	return NULL;
}

bool
LakeIsCommitted(const LakeTable *table, const LakeChange *change)
{
	IcebergKeyValue *identity = palloc(sizeof(IcebergKeyValue) * (change->nsummary + 1));
	int			n = 0;

	if (table->access == 0 || SummaryOf(change, POSITION_LSN) == NULL)
		return false;
	for (int i = 0; i < change->nsummary; i++)
		if (strcmp(change->summary[i].key, POSITION_LSN) != 0)
			identity[n++] = change->summary[i];
	return LsnValue(LakeReached(table->metadata, identity, n)) >= LsnValue(SummaryOf(change, POSITION_LSN));
}
