/*
 * schema.h
 *		Iceberg schemas of a sharded table's state and event log.
 *
 * In the state table a column's field id is its attribute number in the
 * parent; in the event log it is EVENT_COLUMNS more, behind the event's own
 * fields.  A column whose type changes in a way that files cannot follow gets
 * another field: COLUMN_GENERATION is added to the id, each time.
 */
#ifndef SHARD_PIPELINE_SCHEMA_H
#define SHARD_PIPELINE_SCHEMA_H

#include "postgres.h"
#include "lake/iceberg/iceberg.h"
#include "lake/lake.h"
#include "pipeline/layout.h"

#define EVENT_COLUMNS 100
#define COLUMN_GENERATION LAKE_COLUMN_GENERATION

typedef enum EventField
{
	EVENT_ID = 1,
	EVENT_VERB,
	EVENT_TS,
	EVENT_LSN,
	EVENT_SEQ,
	EVENT_SHARD,
	EVENT_KEY,
	EVENT_OLD_KEY				/* of an update that changed the partition key */
} EventField;

#define EVENT_FIELDS 8

/* What fitting a schema to a layout has found. */
typedef struct SchemaFit
{
	IcebergSchema *next;		/* to be written, or NULL: it fits as it is */
	bool		compare;		/* rows from before may have values that no change told */
} SchemaFit;

/* An optional field; doc may be NULL. */
extern void SchemaSetField(IcebergField *field, int id, const char *name, LakeType type,
						   const char *doc);

extern IcebergSchema *StateSchema(const TableLayout *layout);
extern IcebergSchema *EventsSchema(const TableLayout *layout);

/*
 * Sort order of the state: partition key, then primary key; returns the count.
 * The schema is NULL for a table that is to be made.
 */
extern int	StateSortFields(const TableLayout *layout, const IcebergSchema *schema,
							int **field_ids);

/* Does a state of this schema have a column in its type, or a narrower or wider one? */
extern bool SchemaHolds(const IcebergSchema *schema, const LayoutColumn *col);

/* Can Iceberg follow a column's change from one type to the other by widening it? */
extern bool LayoutWidens(const LayoutColumn *from, const LayoutColumn *to);

/* Engine type of a column while it is in a batch. */
extern char *LayoutEngineType(const LayoutColumn *col);

/*
 * The field that holds a column now: offset 0 in the state, EVENT_COLUMNS in
 * the event log.  NULL if there is none.
 */
extern const IcebergField *SchemaColumn(const IcebergSchema *schema, int offset, AttrNumber attnum);

/*
 * Bring a table's schema up to a layout's.  current is its schema so far, which
 * metadata's is or which an earlier call gave.
 *
 * Columns are added, renamed and widened.  The state loses columns that the
 * table has lost, unless its sort order or a partition spec needs them; the
 * event log keeps them, since earlier events have values for them.
 */
extern SchemaFit SchemaFitLayout(const IcebergMetadata *metadata, const IcebergSchema *current,
								 const TableLayout *layout, bool events);

/* The part of a schema that a layout's rows have, in the layout's order. */
extern IcebergSchema *SchemaRestrict(const IcebergSchema *schema, const TableLayout *layout,
									 bool events);

#endif							/* SHARD_PIPELINE_SCHEMA_H */
