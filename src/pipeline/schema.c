/*
 * schema.c
 *		Iceberg schemas from layouts, and their evolution.
 *
 * All columns are optional: a column may be added or dropped later, and a
 * deleted row's event holds its key only.
 */
#include "postgres.h"

#include "client/nested.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "pipeline/schema.h"
#include "utils/json.h"

#define NESTED_IDS LAKE_NESTED_IDS

void
SchemaSetField(IcebergField *field, int id, const char *name, LakeType type, const char *doc)
{
	char		buf[64];

	memset(field, 0, sizeof(*field));
	field->id = id;
	field->name = pstrdup(name);
	field->primitive = true;
	field->type = type;
	field->type_json = psprintf("\"%s\"", LakeTypeIcebergName(type, buf, sizeof(buf)));
	field->doc = doc != NULL ? pstrdup(doc) : NULL;
}

/* ---- nested types ---- */

static char *
QuotedName(const char *name)
{
	StringInfoData json;

	initStringInfo(&json);
	escape_json(&json, pg_server_to_any(name, strlen(name), PG_UTF8));
	return json.data;
}

static char *ListJson(const NestedType *type, int *last_id);
static char *StructJson(const NestedType *type, int *last_id);

/*
 * A type as Iceberg's JSON; what is nested gets the ids behind *last_id.
 */
static char *
TypeJson(const NestedType *type, int *last_id)
{
	char		buf[64];

	switch (type->shape)
	{
		case NESTED_LIST:
			return ListJson(type, last_id);
		case NESTED_STRUCT:
			return StructJson(type, last_id);
		case NESTED_VALUE:
			break;
	}
	return psprintf("\"%s\"", LakeTypeIcebergName(type->codec.type, buf, sizeof(buf)));
}

static char *
ListJson(const NestedType *type, int *last_id)
{
	int			id = ++*last_id;

	return psprintf("{\"type\": \"list\", \"element-id\": %d, \"element\": %s,"
					" \"element-required\": false}", id, TypeJson(type->children[0], last_id));
}

static char *
StructJson(const NestedType *type, int *last_id)
{
	StringInfoData json;
	int			first = *last_id + 1;

	*last_id += type->nchildren;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"type\": \"struct\", \"fields\": [");
	for (int i = 0; i < type->nchildren; i++)
		appendStringInfo(&json, "%s{\"id\": %d, \"name\": %s, \"required\": false, \"type\": %s}",
						 i > 0 ? ", " : "", first + i, QuotedName(type->names[i]),
						 TypeJson(type->children[i], last_id));
	appendStringInfoString(&json, "]}");
	return json.data;
}

/*
 * The field of a column.
 */
static void
SetColumn(IcebergField *field, int id, const LayoutColumn *col, int *last_id)
{
	if (col->codec.nested == NULL)
	{
		SchemaSetField(field, id, col->name, col->codec.type, NULL);
		return;
	}
	memset(field, 0, sizeof(*field));
	field->id = id;
	field->name = pstrdup(col->name);
	field->type_json = TypeJson(col->codec.nested, last_id);
}

/* ---- new tables ---- */

static void
AddColumns(IcebergSchema *schema, const TableLayout *layout, int offset)
{
	int			last_id = NESTED_IDS;

	for (int i = 0; i < layout->ncols; i++)
		SetColumn(&schema->fields[schema->nfields++], offset + layout->cols[i].attnum,
				  &layout->cols[i], &last_id);
}

IcebergSchema *
StateSchema(const TableLayout *layout)
{
	IcebergSchema *schema = palloc0(sizeof(IcebergSchema));

	schema->fields = palloc0((layout->ncols + 1) * sizeof(IcebergField));
	AddColumns(schema, layout, 0);
	return schema;
}

IcebergSchema *
EventsSchema(const TableLayout *layout)
{
	static const struct
	{
		EventField	id;
		const char *name;
		LakeKind	kind;
		const char *doc;
	}			own[EVENT_FIELDS] = {
		{EVENT_ID, "_event_id", LAKE_STRING, "the same however often the event is delivered"},
		{EVENT_VERB, "_verb", LAKE_STRING, "created, updated, deleted, truncated"},
		{EVENT_TS, "_ts", LAKE_TIMESTAMPTZ, "time of the commit"},
		{EVENT_LSN, "_lsn", LAKE_LONG, "WAL position of the commit"},
		{EVENT_SEQ, "_seq", LAKE_LONG, "order within the transaction"},
		{EVENT_SHARD, "_shard", LAKE_INT, "index of the shard"},
		{EVENT_KEY, "_key", LAKE_STRING, "partition key"},
		{EVENT_OLD_KEY, "_old_key", LAKE_STRING, "partition key before an update that changed it"},
	};
	IcebergSchema *schema = palloc0(sizeof(IcebergSchema));

	schema->fields = palloc0((EVENT_FIELDS + layout->ncols) * sizeof(IcebergField));
	for (int i = 0; i < EVENT_FIELDS; i++)
		SchemaSetField(&schema->fields[schema->nfields++], own[i].id, own[i].name,
				 (LakeType) {own[i].kind, 0, 0}, own[i].doc);
	AddColumns(schema, layout, EVENT_COLUMNS);
	return schema;
}

/* The state's field of a column; without a schema, of a new table. */
static int
StateField(const TableLayout *layout, const IcebergSchema *schema, int col)
{
	const IcebergField *field = schema == NULL ? NULL :
		SchemaColumn(schema, 0, layout->cols[col].attnum);

	return field != NULL ? field->id : layout->cols[col].attnum;
}

int
StateSortFields(const TableLayout *layout, const IcebergSchema *schema, int **field_ids)
{
	int			n = 0;

	*field_ids = palloc((layout->npartition + layout->nkeys + 1) * sizeof(int));
	for (int i = 0; i < layout->npartition; i++)
		(*field_ids)[n++] = StateField(layout, schema, layout->partition[i]);
	for (int i = 0; i < layout->nkeys && !layout->whole_row; i++)
	{
		int			id = StateField(layout, schema, layout->keys[i]);
		bool		there = layout->cols[layout->keys[i]].codec.nested != NULL;

		for (int j = 0; j < n; j++)
			there |= (*field_ids)[j] == id;
		if (!there)
			(*field_ids)[n++] = id;
	}
	return n;
}

/*
 * What Iceberg allows to become what.
 */
static bool
CanWiden(LakeType from, LakeType to)
{
	if (from.kind == LAKE_INT && to.kind == LAKE_LONG)
		return true;
	if (from.kind == LAKE_FLOAT && to.kind == LAKE_DOUBLE)
		return true;
	return from.kind == LAKE_DECIMAL && to.kind == LAKE_DECIMAL &&
		from.scale == to.scale && from.precision <= to.precision;
}

static bool
SameType(LakeType a, LakeType b)
{
	return a.kind == b.kind &&
		(a.kind != LAKE_DECIMAL || (a.precision == b.precision && a.scale == b.scale));
}

static IcebergField *
FieldOf(IcebergSchema *schema, int id)
{
	for (int i = 0; i < schema->nfields; i++)
		if (schema->fields[i].id == id)
			return &schema->fields[i];
	return NULL;
}

const IcebergField *
SchemaColumn(const IcebergSchema *schema, int offset, AttrNumber attnum)
{
	return LakeColumnField(schema, offset, attnum);
}

/*
 * A column that was dropped or replaced keeps its field in the event log;
 * should another one now have its name, the old one steps aside.
 */
static void
FreeName(IcebergSchema *schema, const char *name, int id)
{
	for (int i = 0; i < schema->nfields; i++)
	{
		IcebergField *field = &schema->fields[i];
		char	   *suffix = psprintf("_%d", field->id);
		int			room = NAMEDATALEN - 1 - (int) strlen(suffix);

		if (field->id == id || strcmp(field->name, name) != 0)
			continue;
		/* as PostgreSQL would cut it in the foreign table */
		field->name = psprintf("%.*s%s", pg_mbcliplen(name, (int) strlen(name), room), name, suffix);
		FreeName(schema, field->name, field->id);
	}
}

/*
 * Do the sort order or a partition spec need this field?
 */
static bool
IsSource(const IcebergMetadata *metadata, int id)
{
	for (int i = 0; i < metadata->nsort_orders; i++)
		for (int j = 0; j < metadata->sort_orders[i].nfields; j++)
			if (metadata->sort_orders[i].source_ids[j] == id)
				return true;
	for (int i = 0; i < metadata->nspecs; i++)
		for (int j = 0; j < metadata->specs[i].nfields; j++)
			if (metadata->specs[i].fields[j].source_id == id)
				return true;
	return false;
}

static void
RemoveField(IcebergSchema *schema, int id)
{
	int			n = 0;

	for (int i = 0; i < schema->nfields; i++)
		if (schema->fields[i].id != id)
			schema->fields[n++] = schema->fields[i];
	schema->nfields = n;
}

/*
 * Take a field out of the state, or leave it aside where something needs it.
 * Returns whether the schema changed.
 */
static bool
Retire(const IcebergMetadata *metadata, IcebergSchema *schema, int id)
{
	if (IsSource(metadata, id))
		return false;
	RemoveField(schema, id);
	return true;
}

/* Working state of a fit. */
typedef struct Fitting
{
	const IcebergMetadata *metadata;
	const TableLayout *layout;
	bool		events;
	IcebergSchema *schema;
	int			last_id;		/* of what is nested */
	bool		changed;
	bool		compare;
} Fitting;

static void
AddField(Fitting *fit, const LayoutColumn *col, int id)
{
	FreeName(fit->schema, col->name, id);
	SetColumn(&fit->schema->fields[fit->schema->nfields++], id, col, &fit->last_id);
	fit->changed = true;
}

/*
 * Can a field's values and a column's be told apart by their width only?
 */
static bool
Follows(const IcebergField *field, const LayoutColumn *col)
{
	if (!field->primitive || col->codec.nested != NULL)
		return strcmp(LakeFieldEngineType(field), LayoutEngineType(col)) == 0;
	return SameType(field->type, col->codec.type) || CanWiden(field->type, col->codec.type) ||
		CanWiden(col->codec.type, field->type);
}

bool
SchemaHolds(const IcebergSchema *schema, const LayoutColumn *col)
{
	const IcebergField *field = SchemaColumn(schema, 0, col->attnum);

	return field != NULL && Follows(field, col);
}

static void
FitColumn(Fitting *fit, const LayoutColumn *col)
{
	int			offset = fit->events ? EVENT_COLUMNS : 0;
	const IcebergField *found = SchemaColumn(fit->schema, offset, col->attnum);
	IcebergField *have;

	if (found == NULL)
	{
		AddField(fit, col, offset + col->attnum);
		fit->compare |= col->has_missing;
		return;
	}
	have = FieldOf(fit->schema, found->id);
	if (!Follows(have, col))
	{
		int			id = have->id;

		if (!fit->events)
			(void) Retire(fit->metadata, fit->schema, id);
		AddField(fit, col, id + COLUMN_GENERATION);
		fit->compare = true;
		return;
	}
	if (strcmp(have->name, col->name) != 0)
	{
		FreeName(fit->schema, col->name, have->id);
		have->name = pstrdup(col->name);
		fit->changed = true;
	}
	if (have->primitive && CanWiden(have->type, col->codec.type) && !SameType(have->type, col->codec.type))
	{
		SchemaSetField(have, have->id, have->name, col->codec.type, have->doc);
		fit->changed = true;
	}
}

/*
 * The state has the table's columns only.
 */
static void
DropLostColumns(Fitting *fit)
{
	for (int i = fit->schema->nfields - 1; i >= 0; i--)
	{
		int			id = fit->schema->fields[i].id;
		const LayoutColumn *col = LayoutColumnByAttnum(fit->layout, id % COLUMN_GENERATION);

		if (col == NULL || SchemaColumn(fit->schema, 0, col->attnum)->id != id)
			fit->changed |= Retire(fit->metadata, fit->schema, id);
	}
}

SchemaFit
SchemaFitLayout(const IcebergMetadata *metadata, const IcebergSchema *current,
				const TableLayout *layout, bool events)
{
	Fitting		fit = {metadata, layout, events};

	fit.last_id = Max(metadata->last_column_id, NESTED_IDS);
	for (int i = 0; i < current->nfields; i++)
		fit.last_id = Max(fit.last_id, LakeFieldMaxId(&current->fields[i]));
	fit.schema = palloc(sizeof(IcebergSchema));
	*fit.schema = *current;
	fit.schema->json = NULL;
	fit.schema->fields = palloc((current->nfields + layout->ncols + 1) * sizeof(IcebergField));
	memcpy(fit.schema->fields, current->fields, current->nfields * sizeof(IcebergField));
	if (!events)
		DropLostColumns(&fit);
	for (int i = 0; i < layout->ncols; i++)
		FitColumn(&fit, &layout->cols[i]);
	return (SchemaFit) {fit.changed ? fit.schema : NULL, fit.compare};
}

IcebergSchema *
SchemaRestrict(const IcebergSchema *schema, const TableLayout *layout, bool events)
{
	IcebergSchema *part = palloc0(sizeof(IcebergSchema));
	int			nown = events ? EVENT_FIELDS : 0;

	part->schema_id = schema->schema_id;
	part->fields = palloc((nown + layout->ncols + 1) * sizeof(IcebergField));
	for (int i = 0; i < nown + layout->ncols; i++)
	{
		const IcebergField *field = i < nown ? IcebergFieldById(schema, i + 1) :
			SchemaColumn(schema, events ? EVENT_COLUMNS : 0, layout->cols[i - nown].attnum);

		if (field == NULL)
			elog(ERROR, "lake table of \"%s\" lacks a field", layout->name);
		part->fields[part->nfields++] = *field;
	}
	return part;
}

char *
LayoutEngineType(const LayoutColumn *col)
{
	return ValueEngineType(&col->codec);
}

bool
LayoutWidens(const LayoutColumn *from, const LayoutColumn *to)
{
	return from->codec.nested == NULL && to->codec.nested == NULL &&
		CanWiden(from->codec.type, to->codec.type);
}
