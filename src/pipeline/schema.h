/*
 * schema.h
 *		Iceberg schemas of a sharded table's state and event log.
 *
 * In the state table a column's field id is its attribute number in the
 * parent; in the event log it is EVENT_COLUMNS more, behind the event's own
 * fields.
 */
#ifndef SHARD_PIPELINE_SCHEMA_H
#define SHARD_PIPELINE_SCHEMA_H

#include "postgres.h"
#include "lake/iceberg/iceberg.h"
#include "pipeline/layout.h"

#define EVENT_COLUMNS 100

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

typedef enum SchemaFit
{
	SCHEMA_SAME,
	SCHEMA_EVOLVED,				/* columns were added, renamed or widened */
	SCHEMA_CONFLICT				/* a type changed in a way that files cannot follow */
} SchemaFit;

extern IcebergSchema *StateSchema(const TableLayout *layout);
extern IcebergSchema *EventsSchema(const TableLayout *layout);

/* Sort order of the state: partition key, then primary key; returns the count. */
extern int	StateSortFields(const TableLayout *layout, int **field_ids);

/*
 * Bring a table's schema up to a layout's: *next is current or an evolved one.
 * *added says whether columns were added; *column names a conflict.
 */
extern SchemaFit SchemaFitLayout(const IcebergSchema *current, const IcebergSchema *wanted,
								 IcebergSchema **next, bool *added, char **column);

/* The part of a schema that a layout's rows have. */
extern IcebergSchema *SchemaRestrict(const IcebergSchema *schema, const IcebergSchema *wanted);

#endif							/* SHARD_PIPELINE_SCHEMA_H */
