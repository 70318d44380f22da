/*
 * nested.c
 *		Lists, structs and maps of Iceberg schemas, for the engine.
 *
 * A nested field keeps its type as JSON, which is walked here whenever its
 * engine type, the field ids for a new file, or its largest id are asked for.
 */
#include "postgres.h"

#include "base/compat.h"
#include "lake/iceberg/json.h"
#include "lake/internal.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

static char *EngineType(const Json *type);

static bool
IsKind(const Json *type, const char *kind)
{
	const char *name = JsonStringValue(JsonGet(type, "type"));

	return name != NULL && strcmp(name, kind) == 0;
}

pg_noreturn static void
RaiseUnknown(const Json *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("Iceberg type %s is not supported", JsonText(type, NULL))));
}

static char *
ScalarEngineType(const Json *type)
{
	const char *name = JsonStringValue(type);
	LakeType	scalar = {0};
	char		buf[64];

	if (strncmp(name, "fixed[", 6) == 0)
		scalar.kind = LAKE_BINARY;
	else if (!LakeTypeFromIcebergName(name, &scalar))
		RaiseUnknown(type);
	return pstrdup(LakeTypeEngineName(scalar, buf, sizeof(buf)));
}

static char *
StructEngineType(const Json *type)
{
	const Json *fields = JsonMember(type, "fields", JSON_ARRAY, true);
	StringInfoData name;

	initStringInfo(&name);
	for (int i = 0; i < JsonSize(fields); i++)
		appendStringInfo(&name, "%s%s %s", i == 0 ? "STRUCT(" : ", ",
						 EngineQuoteIdentifier(JsonString(JsonAt(fields, i), "name", true)),
						 EngineType(JsonGet(JsonAt(fields, i), "type")));
	if (name.len == 0)
		RaiseUnknown(type);
	appendStringInfoChar(&name, ')');
	return name.data;
}

static char *
EngineType(const Json *type)
{
	check_stack_depth();
	if (JsonIs(type, JSON_STRING))
		return ScalarEngineType(type);
	if (IsKind(type, "list"))
		return psprintf("%s[]", EngineType(JsonGet(type, "element")));
	if (IsKind(type, "struct"))
		return StructEngineType(type);
	if (IsKind(type, "map"))
		return psprintf("MAP(%s, %s)", EngineType(JsonGet(type, "key")),
						EngineType(JsonGet(type, "value")));
	RaiseUnknown(type);
}

static const Json *
TypeOf(const IcebergField *field)
{
	return JsonParse(field->type_json, strlen(field->type_json), "a column's type");
}

char *
LakeFieldEngineType(const IcebergField *field)
{
	char		buf[64];

	if (field->primitive)
		return pstrdup(LakeTypeEngineName(field->type, buf, sizeof(buf)));
	return EngineType(TypeOf(field));
}

bool
LakeFieldIsList(const IcebergField *field, LakeType *element)
{
	const Json *type = field->primitive ? NULL : TypeOf(field);
	const char *name = JsonStringValue(JsonGet(type, "element"));

	return type != NULL && IsKind(type, "list") && name != NULL &&
		LakeTypeFromIcebergName(name, element);
}

/* ---- field ids ---- */

static void AppendIds(StringInfo ids, int id, const Json *type);

static void
AppendChildId(StringInfo ids, const char *name, int id, const Json *type)
{
	appendStringInfo(ids, ", %s: ", EngineQuoteLiteral(name));
	AppendIds(ids, id, type);
}

static void
AppendIds(StringInfo ids, int id, const Json *type)
{
	check_stack_depth();
	if (JsonIs(type, JSON_STRING))
	{
		appendStringInfo(ids, "%d", id);
		return;
	}
	appendStringInfo(ids, "{__duckdb_field_id: %d", id);
	if (IsKind(type, "list"))
		AppendChildId(ids, "element", JsonInt(type, "element-id", true, 0), JsonGet(type, "element"));
	else if (IsKind(type, "map"))
	{
		AppendChildId(ids, "key", JsonInt(type, "key-id", true, 0), JsonGet(type, "key"));
		AppendChildId(ids, "value", JsonInt(type, "value-id", true, 0), JsonGet(type, "value"));
	}
	else
	{
		const Json *fields = JsonMember(type, "fields", JSON_ARRAY, true);

		for (int i = 0; i < JsonSize(fields); i++)
			AppendChildId(ids, JsonString(JsonAt(fields, i), "name", true),
						  JsonInt(JsonAt(fields, i), "id", true, 0),
						  JsonGet(JsonAt(fields, i), "type"));
	}
	appendStringInfoChar(ids, '}');
}

char *
LakeFieldIds(const IcebergField *field)
{
	StringInfoData ids;

	initStringInfo(&ids);
	if (field->primitive)
		appendStringInfo(&ids, "%d", field->id);
	else
		AppendIds(&ids, field->id, TypeOf(field));
	return ids.data;
}

static int
MaxId(const Json *type)
{
	const Json *fields = JsonGet(type, "fields");
	int			max = 0;

	check_stack_depth();
	if (!JsonIs(type, JSON_OBJECT))
		return 0;
	if (IsKind(type, "list"))
		return Max(JsonInt(type, "element-id", true, 0), MaxId(JsonGet(type, "element")));
	if (IsKind(type, "map"))
		return Max(Max(JsonInt(type, "key-id", true, 0), JsonInt(type, "value-id", true, 0)),
				   Max(MaxId(JsonGet(type, "key")), MaxId(JsonGet(type, "value"))));
	for (int i = 0; i < JsonSize(fields); i++)
		max = Max(max, Max(JsonInt(JsonAt(fields, i), "id", true, 0),
						   MaxId(JsonGet(JsonAt(fields, i), "type"))));
	return max;
}

int
LakeFieldMaxId(const IcebergField *field)
{
	return field->primitive ? field->id : Max(field->id, MaxId(TypeOf(field)));
}

static bool
HoldsBinary(const Json *type)
{
	const char *name = JsonStringValue(type);
	const Json *fields = JsonGet(type, "fields");

	check_stack_depth();
	if (name != NULL)
		return strcmp(name, "binary") == 0 || strncmp(name, "fixed[", 6) == 0;
	for (int i = 0; i < JsonSize(fields); i++)
		if (HoldsBinary(JsonGet(JsonAt(fields, i), "type")))
			return true;
	return (IsKind(type, "list") && HoldsBinary(JsonGet(type, "element"))) ||
		(IsKind(type, "map") && (HoldsBinary(JsonGet(type, "key")) ||
								 HoldsBinary(JsonGet(type, "value"))));
}

bool
LakeFieldHoldsBinary(const IcebergField *field)
{
	return field->primitive ? field->type.kind == LAKE_BINARY : HoldsBinary(TypeOf(field));
}

/* ---- changes within ---- */

/* A field of a struct that is nested in a column. */
typedef struct InnerField
{
	int			parent;			/* id of what the struct is the type of */
	int			id;
	char	   *name;
	bool		has_default;
} InnerField;

static List *
InnerFields(List *result, int parent, const Json *type)
{
	const Json *fields = JsonGet(type, "fields");

	check_stack_depth();
	if (!JsonIs(type, JSON_OBJECT))
		return result;
	if (IsKind(type, "list"))
		return InnerFields(result, JsonInt(type, "element-id", true, 0), JsonGet(type, "element"));
	if (IsKind(type, "map"))
	{
		result = InnerFields(result, JsonInt(type, "key-id", true, 0), JsonGet(type, "key"));
		return InnerFields(result, JsonInt(type, "value-id", true, 0), JsonGet(type, "value"));
	}
	for (int i = 0; i < JsonSize(fields); i++)
	{
		const Json *field = JsonAt(fields, i);
		const Json *initial = JsonGet(field, "initial-default");
		InnerField *inner = palloc(sizeof(InnerField));

		inner->parent = parent;
		inner->id = JsonInt(field, "id", true, 0);
		inner->name = JsonString(field, "name", true);
		inner->has_default = initial != NULL && !JsonIs(initial, JSON_NULL);
		result = InnerFields(lappend(result, inner), inner->id, JsonGet(field, "type"));
	}
	return result;
}

/* Would a file with the fields "then" be read wrong by the names that they have now? */
static bool
NamesMislead(const List *now, const List *then)
{
	ListCell   *x;
	ListCell   *y;

	foreach(x, now)
	{
		const InnerField *field = (const InnerField *) lfirst(x);
		bool		there = false;

		foreach(y, then)
		{
			const InnerField *old = (const InnerField *) lfirst(y);
			bool		same_name = old->parent == field->parent && strcmp(old->name, field->name) == 0;

			if (same_name != (old->id == field->id))
				return true;
			there |= same_name;
		}
		if (!there && field->has_default)
			return true;
	}
	return false;
}

/*
 * The engine finds columns by id but what is nested in them by name.  ERROR 0A000
 * if a table's history has the same names for other fields, or other names.
 */
void
LakeCheckNested(const IcebergMetadata *metadata, const IcebergField *field)
{
	List	   *now = NIL;

	if (field->primitive)
		return;
	for (int i = 0; i < metadata->nschemas; i++)
	{
		const IcebergField *then = IcebergFieldById(&metadata->schemas[i], field->id);

		if (then == NULL || then->primitive || strcmp(then->type_json, field->type_json) == 0)
			continue;
		if (now == NIL)
			now = InnerFields(NIL, field->id, TypeOf(field));
		if (NamesMislead(now, InnerFields(NIL, field->id, TypeOf(then))))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of the lake table cannot be read", field->name),
					 errdetail("Fields within it were renamed, replaced or added with a default value.")));
	}
}
