/*
 * nested.c
 *		Conversion of arrays and composites; see nested.h.
 *
 * Values inside are converted by the codecs of values.c.  The engine's JSON is
 * read by PostgreSQL's own jsonb, and each value in it by its type's input
 * function, so that nothing is lost: numbers keep their digits there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "base/compat.h"
#include "catalog/pg_type.h"
#include "client/engine.h"
#include "client/nested.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

#define MAX_DEPTH 16

static NestedType *Build(Oid typid, int32 typmod, int depth);

/* ---- types ---- */

static NestedType *
NewType(NestedShape shape, int nchildren)
{
	NestedType *type = palloc0(sizeof(NestedType));

	type->shape = shape;
	type->children = palloc0(Max(nchildren, 1) * sizeof(NestedType *));
	type->names = palloc0(Max(nchildren, 1) * sizeof(char *));
	type->attnums = palloc0(Max(nchildren, 1) * sizeof(int));
	return type;
}

static NestedType *
BuildList(Oid element, int32 typmod, int depth)
{
	NestedType *type = NewType(NESTED_LIST, 1);

	type->element = element;
	get_typlenbyvalalign(element, &type->typlen, &type->typbyval, &type->typalign);
	type->children[0] = Build(element, typmod, depth + 1);
	type->nchildren = 1;
	return type->children[0] != NULL ? type : NULL;
}

static bool
HasName(const NestedType *type, const char *name)
{
	for (int i = 0; i < type->nchildren; i++)
		if (pg_strcasecmp(type->names[i], name) == 0)
			return true;
	return false;
}

static NestedType *
BuildStruct(Oid typid, int depth)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(typid, -1);
	NestedType *type = NewType(NESTED_STRUCT, desc->natts);

	type->desc = desc;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		NestedType *child;

		if (att->attisdropped)
			continue;
		child = Build(att->atttypid, att->atttypmod, depth + 1);
		if (child == NULL || HasName(type, NameStr(att->attname)))
			return NULL;
		type->children[type->nchildren] = child;
		type->names[type->nchildren] = pstrdup(NameStr(att->attname));
		type->attnums[type->nchildren++] = att->attnum;
	}
	return type->nchildren > 0 ? type : NULL;
}

static NestedType *
Build(Oid typid, int32 typmod, int depth)
{
	Oid			base = getBaseTypeAndTypmod(typid, &typmod);
	Oid			element = get_element_type(base);
	NestedType *type;

	if (depth > MAX_DEPTH)
		return NULL;
	if (OidIsValid(element) && base != INT2VECTOROID && base != OIDVECTOROID)
		return BuildList(element, typmod, depth);
	if (get_typtype(base) == TYPTYPE_COMPOSITE)
		return BuildStruct(base, depth);
	type = NewType(NESTED_VALUE, 0);
	ValueCodecInitScalar(&type->codec, typid, typmod);
	return type;
}

NestedType *
NestedTypeOf(Oid base, int32 typmod)
{
	NestedType *type;

	if (!OidIsValid(get_element_type(base)) && get_typtype(base) != TYPTYPE_COMPOSITE)
		return NULL;
	type = Build(base, typmod, 0);
	return type != NULL && type->shape != NESTED_VALUE ? type : NULL;
}

List *
NestedRelations(const NestedType *type)
{
	List	   *relations = NIL;

	if (type->shape == NESTED_STRUCT)
		relations = lappend_oid(NIL, get_typ_typrelid(type->desc->tdtypeid));
	for (int i = 0; i < type->nchildren; i++)
		relations = list_concat(relations, NestedRelations(type->children[i]));
	return relations;
}

char *
NestedEngineType(const NestedType *type)
{
	StringInfoData name;
	char		scalar[64];

	if (type->shape == NESTED_VALUE)
		return pstrdup(LakeTypeEngineName(type->codec.type, scalar, sizeof(scalar)));
	if (type->shape == NESTED_LIST)
		return psprintf("%s[]", NestedEngineType(type->children[0]));
	initStringInfo(&name);
	for (int i = 0; i < type->nchildren; i++)
		appendStringInfo(&name, "%s%s %s", i == 0 ? "STRUCT(" : ", ",
						 EngineQuoteIdentifier(type->names[i]), NestedEngineType(type->children[i]));
	appendStringInfoChar(&name, ')');
	return name.data;
}

/* ---- to the engine ---- */

/* An array's elements; false if a list cannot hold it. */
static bool
Elements(const NestedType *type, Datum value, Datum **elements, bool **nulls, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	*n = 0;
	if (ARR_NDIM(array) == 0)
		return true;
	if (ARR_NDIM(array) > 1 || ARR_LBOUND(array)[0] != 1)
		return false;
	deconstruct_array(array, type->element, type->typlen, type->typbyval, type->typalign,
					  elements, nulls, n);
	return true;
}

static void
Members(const NestedType *type, Datum value, Datum **values, bool **nulls)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	HeapTupleData tuple = {0};

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	ItemPointerSetInvalid(&tuple.t_self);
	*values = palloc(type->desc->natts * sizeof(Datum));
	*nulls = palloc(type->desc->natts * sizeof(bool));
	heap_deform_tuple(&tuple, type->desc, *values, *nulls);
}

bool
NestedFits(const NestedType *type, Datum value)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (type->shape == NESTED_VALUE)
		return ValueFits(&type->codec, value);
	if (type->shape == NESTED_LIST)
	{
		if (!Elements(type, value, &values, &nulls, &n))
			return false;
		for (int i = 0; i < n; i++)
			if (!nulls[i] && !NestedFits(type->children[0], values[i]))
				return false;
		return true;
	}
	Members(type, value, &values, &nulls);
	for (int i = 0; i < type->nchildren; i++)
	{
		int			at = type->attnums[i] - 1;

		if (!nulls[at] && !NestedFits(type->children[i], values[at]))
			return false;
	}
	return true;
}

void
NestedAppend(NestedType *type, StringInfo out, Datum value, bool isnull)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	check_stack_depth();
	appendStringInfoChar(out, isnull ? 0 : 1);
	if (isnull)
		return;
	switch (type->shape)
	{
		case NESTED_VALUE:
			ValueAppend(&type->codec, out, value);
			break;
		case NESTED_LIST:
			if (!Elements(type, value, &values, &nulls, &n))
				ereport(ERROR,
						(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						 errmsg("an array of several dimensions is no list")));
			appendBinaryStringInfo(out, (char *) &n, sizeof(n));
			for (int i = 0; i < n; i++)
				NestedAppend(type->children[0], out, values[i], nulls[i]);
			break;
		case NESTED_STRUCT:
			Members(type, value, &values, &nulls);
			for (int i = 0; i < type->nchildren; i++)
				NestedAppend(type->children[i], out, values[type->attnums[i] - 1],
							 nulls[type->attnums[i] - 1]);
			break;
	}
}

/* ---- from the engine ---- */

static Datum FromJson(NestedType *type, JsonbValue *json, bool *isnull);

/* Text of a scalar, as its input function reads it. */
static char *
ScalarText(JsonbValue *json)
{
	switch (json->type)
	{
		case jbvString:
			return pnstrdup(json->val.string.val, json->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(json->val.numeric)));
		case jbvBool:
			return json->val.boolean ? "true" : "false";
		default:
			{
				Jsonb	   *jsonb = JsonbValueToJsonb(json);

				return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
			}
	}
}

pg_noreturn static void
RaiseMismatch(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a nested value of the lake does not have the column's type")));
}

static Datum
ListFromJson(NestedType *type, JsonbContainer *container)
{
	int			n = JsonContainerSize(container);
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = palloc(Max(n, 1) * sizeof(bool));
	int			lower = 1;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(type->element));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(container, i);

		values[i] = FromJson(type->children[0], element, &nulls[i]);
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, type->element,
											  type->typlen, type->typbyval, type->typalign));
}

static Datum
StructFromJson(NestedType *type, JsonbContainer *container)
{
	Datum	   *values = palloc0(type->desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(type->desc->natts * sizeof(bool));

	memset(nulls, true, type->desc->natts);
	for (int i = 0; i < type->nchildren; i++)
	{
		JsonbValue	key;
		JsonbValue *member;
		int			at = type->attnums[i] - 1;

		key.type = jbvString;
		key.val.string.val = type->names[i];
		key.val.string.len = strlen(type->names[i]);
		member = findJsonbValueFromContainer(container, JB_FOBJECT, &key);
		if (member != NULL)
			values[at] = FromJson(type->children[i], member, &nulls[at]);
	}
	return HeapTupleGetDatum(heap_form_tuple(type->desc, values, nulls));
}

static Datum
FromJson(NestedType *type, JsonbValue *json, bool *isnull)
{
	check_stack_depth();
	*isnull = json->type == jbvNull;
	if (*isnull)
		return (Datum) 0;
	if (type->shape == NESTED_VALUE)
		return ValueFromText(&type->codec, ScalarText(json));
	if (json->type != jbvBinary)
		RaiseMismatch();
	if (type->shape == NESTED_LIST && JsonContainerIsArray(json->val.binary.data))
		return ListFromJson(type, json->val.binary.data);
	if (type->shape == NESTED_STRUCT && JsonContainerIsObject(json->val.binary.data))
		return StructFromJson(type, json->val.binary.data);
	RaiseMismatch();
}

Datum
NestedFromJson(NestedType *type, const char *json, size_t len)
{
	char	   *text = pg_any_to_server(pnstrdup(json, len), len, PG_UTF8);
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	JsonbValue	whole;
	bool		isnull;
	Datum		result;

	if (JB_ROOT_IS_SCALAR(jsonb))
		RaiseMismatch();
	whole.type = jbvBinary;
	whole.val.binary.data = &jsonb->root;
	whole.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	result = FromJson(type, &whole, &isnull);
	pfree(text);
	return result;
}
