/*
 * schema.c
 *		Iceberg schemas from layouts, and their evolution.
 *
 * All columns are optional: a column may be added or dropped later, and a
 * deleted row's event holds its key only.
 */
#include "postgres.h"

#include "pipeline/schema.h"

static void
SetField(IcebergField *field, int id, const char *name, LakeType type, const char *doc)
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

static void
AddColumns(IcebergSchema *schema, const TableLayout *layout, int offset)
{
	for (int i = 0; i < layout->ncols; i++)
	{
		const LayoutColumn *col = &layout->cols[i];

		SetField(&schema->fields[schema->nfields++], offset + col->attnum, col->name,
				 col->codec.type, NULL);
	}
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
		SetField(&schema->fields[schema->nfields++], own[i].id, own[i].name,
				 (LakeType) {own[i].kind, 0, 0}, own[i].doc);
	AddColumns(schema, layout, EVENT_COLUMNS);
	return schema;
}

int
StateSortFields(const TableLayout *layout, int **field_ids)
{
	int			n = 0;

	*field_ids = palloc((layout->npartition + layout->nkeys + 1) * sizeof(int));
	for (int i = 0; i < layout->npartition; i++)
		(*field_ids)[n++] = layout->cols[layout->partition[i]].attnum;
	for (int i = 0; i < layout->nkeys && !layout->whole_row; i++)
	{
		int			id = layout->cols[layout->keys[i]].attnum;
		bool		there = false;

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

/*
 * A column that was dropped keeps its field; should another one now have its
 * name, the old one steps aside.
 */
static void
FreeName(IcebergSchema *schema, const char *name, int id)
{
	for (int i = 0; i < schema->nfields; i++)
	{
		IcebergField *field = &schema->fields[i];

		if (field->id != id && strcmp(field->name, name) == 0)
			field->name = psprintf("%s_%d", name, field->id);
	}
}

SchemaFit
SchemaFitLayout(const IcebergSchema *current, const IcebergSchema *wanted,
				IcebergSchema **next, bool *added, char **column)
{
	SchemaFit	fit = SCHEMA_SAME;

	*next = palloc(sizeof(IcebergSchema));
	**next = *current;
	(*next)->json = NULL;
	(*next)->fields = palloc((current->nfields + wanted->nfields) * sizeof(IcebergField));
	memcpy((*next)->fields, current->fields, current->nfields * sizeof(IcebergField));
	*added = false;
	for (int i = 0; i < wanted->nfields; i++)
	{
		const IcebergField *want = &wanted->fields[i];
		IcebergField *have = FieldOf(*next, want->id);

		if (have == NULL)
		{
			FreeName(*next, want->name, want->id);
			(*next)->fields[(*next)->nfields++] = *want;
			*added = true;
			fit = SCHEMA_EVOLVED;
			continue;
		}
		if (!have->primitive ||
			(!SameType(have->type, want->type) && !CanWiden(have->type, want->type) &&
			 !CanWiden(want->type, have->type)))
		{
			*column = pstrdup(want->name);
			return SCHEMA_CONFLICT;
		}
		if (strcmp(have->name, want->name) != 0)
		{
			FreeName(*next, want->name, want->id);
			have->name = pstrdup(want->name);
			fit = SCHEMA_EVOLVED;
		}
		if (CanWiden(have->type, want->type) && !SameType(have->type, want->type))
		{
			have->type = want->type;
			have->type_json = want->type_json;
			fit = SCHEMA_EVOLVED;
		}
	}
	return fit;
}

IcebergSchema *
SchemaRestrict(const IcebergSchema *schema, const IcebergSchema *wanted)
{
	IcebergSchema *part = palloc0(sizeof(IcebergSchema));

	part->schema_id = schema->schema_id;
	part->fields = palloc(Max(wanted->nfields, 1) * sizeof(IcebergField));
	for (int i = 0; i < wanted->nfields; i++)
	{
		const IcebergField *field = IcebergFieldById(schema, wanted->fields[i].id);

		if (field == NULL)
			elog(ERROR, "lake table lacks field %d", wanted->fields[i].id);
		part->fields[part->nfields++] = *field;
	}
	return part;
}
