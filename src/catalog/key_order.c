/*
 * key_order.c
 *		How a router of strategy range compares keys, and its ranges as JSON.
 *
 * The order is that of the key type's B-tree, text being compared by bytes: it
 * is the order of the partitions of its tables.  Bounds are stored as texts
 * that no setting (DateStyle, TimeZone) reads in another way.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/key_order.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "router/map.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

static const Oid KeyTypes[] = {
	TEXTOID, INT2OID, INT4OID, INT8OID, NUMERICOID, DATEOID, TIMESTAMPOID, TIMESTAMPTZOID, UUIDOID
};

static bool
IsInteger(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

KeyOrder *
KeyOrderCreate(Oid type)
{
	KeyOrder   *order;
	TypeCacheEntry *entry;
	Oid			input;
	Oid			output;
	bool		varlena;
	bool		known = false;

	if (type == VARCHAROID)
		type = TEXTOID;
	for (int i = 0; i < lengthof(KeyTypes); i++)
		known |= KeyTypes[i] == type;
	if (!known)
		return NULL;
	entry = lookup_type_cache(type, TYPECACHE_CMP_PROC);
	order = palloc0(sizeof(KeyOrder));
	order->type = type;
	order->len = entry->typlen;
	order->byval = entry->typbyval;
	fmgr_info(entry->cmp_proc, &order->compare);
	getTypeInputInfo(type, &input, &order->ioparam);
	fmgr_info(input, &order->input);
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info(output, &order->output);
	return order;
}

static int
CompareValues(RangeValue a, RangeValue b, void *arg)
{
	KeyOrder   *order = arg;

	return DatumGetInt32(FunctionCall2Coll(&order->compare, C_COLLATION_OID, (Datum) a, (Datum) b));
}

RangeOrder
KeyOrderRange(KeyOrder *order)
{
	return (RangeOrder) {CompareValues, order};
}

Datum
KeyOrderRead(KeyOrder *order, const char *text)
{
	if (order->type == TEXTOID)
		return CStringGetTextDatum(text);
	return InputFunctionCall(&order->input, unconstify(char *, text), order->ioparam, -1);
}

bool
KeyOrderReadWide(KeyOrder *order, const char *text, Datum *value)
{
	int64		least = order->type == INT2OID ? PG_INT16_MIN : PG_INT32_MIN;
	int64		greatest = order->type == INT2OID ? PG_INT16_MAX : PG_INT32_MAX;
	int64		number;

	if (order->type != INT2OID && order->type != INT4OID)
	{
		*value = KeyOrderRead(order, text);
		return true;
	}
	number = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(text)));
	if (number < least)
		return false;
	number = Min(number, greatest);
	*value = order->type == INT2OID ? Int16GetDatum((int16) number) : Int32GetDatum((int32) number);
	return true;
}

char *
KeyOrderText(KeyOrder *order, Datum value)
{
	char		buf[MAXDATELEN + 1];
	const int	utc = 0;

	switch (order->type)
	{
		case DATEOID:
		case TIMESTAMPOID:
			return pstrdup(JsonEncodeDateTime(buf, value, order->type, NULL));
		case TIMESTAMPTZOID:
			return pstrdup(JsonEncodeDateTime(buf, value, order->type, &utc));
		default:
			return OutputFunctionCall(&order->output, value);
	}
}

static bool
NextInteger(int64 value, int64 last, int64 *next)
{
	*next = value + 1;
	return value < last;
}

static bool
NextUuid(const pg_uuid_t *value, Datum *next)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	*result = *value;
	*next = UUIDPGetDatum(result);
	for (int i = UUID_LEN - 1; i >= 0; i--)
		if (++result->data[i] != 0)
			return true;
	return false;
}

/*
 * Texts have a successor, too: nothing sorts between a text and the same with
 * the least character behind it.
 */
bool
KeyOrderNext(KeyOrder *order, Datum value, Datum *next)
{
	int64		number;
	bool		exists = false;

	switch (order->type)
	{
		case UUIDOID:
			return NextUuid(DatumGetUUIDP(value), next);
		case TEXTOID:
			*next = CStringGetTextDatum(psprintf("%s\001", TextDatumGetCString(value)));
			return true;
		case INT2OID:
			exists = NextInteger(DatumGetInt16(value), PG_INT16_MAX, &number);
			*next = Int16GetDatum(number);
			break;
		case INT4OID:
			exists = NextInteger(DatumGetInt32(value), PG_INT32_MAX, &number);
			*next = Int32GetDatum(number);
			break;
		case INT8OID:
			if (DatumGetInt64(value) < PG_INT64_MAX)
			{
				*next = Int64GetDatum(DatumGetInt64(value) + 1);
				exists = true;
			}
			break;
		case DATEOID:
			exists = !DATE_NOT_FINITE(DatumGetDateADT(value)) &&
				IS_VALID_DATE(DatumGetDateADT(value) + 1);
			if (exists)
				*next = DateADTGetDatum(DatumGetDateADT(value) + 1);
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			exists = !TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)) &&
				IS_VALID_TIMESTAMP(DatumGetTimestamp(value) + 1);
			if (exists)
				*next = TimestampGetDatum(DatumGetTimestamp(value) + 1);
			break;
		default:
			break;
	}
	return exists;
}

/* ---- from JSON ---- */

typedef struct Position
{
	int			range;			/* counted from 1 */
	const char *what;
} Position;

static void
TellPosition(void *arg)
{
	Position   *position = arg;

	errcontext("\"%s\" of range %d", position->what, position->range);
}

pg_noreturn static void
RefuseRanges(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", what),
			 errhint("Give ranges such as [{\"start\": null, \"end\": \"h\", \"shard\": 0}, {\"start\": \"h\", \"end\": null, \"shard\": 1}].")));
}

/*
 * The text of a bound, NULL if it is unbounded.  A number is no text: in the
 * order of texts 10 comes before 9.
 */
static char *
BoundText(KeyOrder *order, const JsonbValue *value, const Position *position)
{
	bool		number = IsInteger(order->type) || order->type == NUMERICOID;

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type == jbvNumeric && number)
		return DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of range %d is not a value of type %s",
					position->what, position->range, format_type_be(order->type)),
			 value->type == jbvNumeric ?
			 errhint("Say how keys are compared, as in key_type => 'bigint', or give the bound as a string.") :
			 errhint("Give a string%s, or null for unbounded.", number ? " or a number" : "")));
}

static RangeBound
ReadBound(KeyOrder *order, const JsonbValue *value, const Position *position, int unbounded)
{
	ErrorContextCallback context = {error_context_stack, TellPosition, unconstify(Position *, position)};
	char	   *text = BoundText(order, value, position);
	RangeBound	bound = {unbounded, 0};

	if (text == NULL)
		return bound;
	error_context_stack = &context;
	bound.infinity = 0;
	bound.value = KeyOrderRead(order, text);
	error_context_stack = context.previous;
	return bound;
}

static int
ReadShard(const JsonbValue *value, int number)
{
	Datum		shard;

	if (value == NULL || value->type != jbvNumeric)
		RefuseRanges(psprintf("range %d names no shard", number));
	shard = NumericGetDatum(value->val.numeric);
	if (DatumGetBool(DirectFunctionCall2(numeric_ne, shard,
										 DirectFunctionCall1(numeric_floor, shard))) ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, shard,
										 DirectFunctionCall1(int4_numeric, Int32GetDatum(0)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_ge, shard,
										 DirectFunctionCall1(int4_numeric, Int32GetDatum(MAX_SHARDS)))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shard %s of range %d is not between 0 and %d",
						DatumGetCString(DirectFunctionCall1(numeric_out, shard)), number,
						MAX_SHARDS - 1)));
	return DatumGetInt32(DirectFunctionCall1(numeric_int4, shard));
}

/*
 * Only start, end and shard are known: a misspelt one must not mean unbounded.
 */
static void
CheckKeys(JsonbContainer *object, int number)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		if (strcmp(name, "start") != 0 && strcmp(name, "end") != 0 && strcmp(name, "shard") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("range %d has the unknown key \"%s\"", number, name),
					 errhint("Valid keys are start, end and shard.")));
	}
}

static const JsonbValue *
Member(JsonbContainer *object, const char *name, JsonbValue *buf)
{
	return getKeyJsonValueFromContainer(object, name, (int) strlen(name), buf);
}

static Range
ReadRange(KeyOrder *order, const JsonbValue *element, int number)
{
	JsonbContainer *object;
	JsonbValue	buf;
	Range		range;
	RangeOrder	compare = KeyOrderRange(order);

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		RefuseRanges(psprintf("range %d is not an object", number));
	object = element->val.binary.data;
	CheckKeys(object, number);
	range.start = ReadBound(order, Member(object, "start", &buf),
							&(Position) {number, "start"}, -1);
	range.end = ReadBound(order, Member(object, "end", &buf), &(Position) {number, "end"}, 1);
	range.shard = ReadShard(Member(object, "shard", &buf), number);
	if (RangeCompare(&compare, &range.start, &range.end) >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("range %s is empty", RangeText(order, &range)),
				 errdetail("A range holds the keys from its start on and below its end."),
				 errhint("Give an end that is greater than the start%s.",
						 order->type == TEXTOID ? ", in the order of bytes" : "")));
	return range;
}

static void
CheckOverlap(KeyOrder *order, const RangeSet *set)
{
	int			i = RangeOverlap(set);

	if (i >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ranges overlap"),
				 errdetail("Range %s of shard %d overlaps range %s of shard %d.",
						   RangeText(order, &set->ranges[i]), set->ranges[i].shard,
						   RangeText(order, &set->ranges[i + 1]), set->ranges[i + 1].shard)));
}

RangeSet *
RangesRead(KeyOrder *order, Jsonb *json)
{
	RangeSet   *set = palloc0(sizeof(RangeSet));

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		RefuseRanges("ranges is not a JSON array");
	if (JB_ROOT_COUNT(json) == 0)
		RefuseRanges("ranges is empty");
	set->order = KeyOrderRange(order);
	set->ranges = palloc(sizeof(Range) * JB_ROOT_COUNT(json));
	for (uint32 i = 0; i < JB_ROOT_COUNT(json); i++)
		set->ranges[set->nranges++] =
			ReadRange(order, getIthJsonbValueFromContainer(&json->root, i), i + 1);
	RangeSort(set);
	CheckOverlap(order, set);
	return set;
}

/* ---- to JSON and text ---- */

static void
AppendBound(StringInfo buf, KeyOrder *order, const RangeBound *bound)
{
	if (bound->infinity != 0)
		appendStringInfoString(buf, "null");
	else if (IsInteger(order->type))
		appendStringInfoString(buf, KeyOrderText(order, bound->value));
	else
		escape_json(buf, KeyOrderText(order, bound->value));
}

Jsonb *
RangesWrite(KeyOrder *order, const RangeSet *set)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	for (int i = 0; i < set->nranges; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", {\"start\": " : "{\"start\": ");
		AppendBound(&buf, order, &set->ranges[i].start);
		appendStringInfoString(&buf, ", \"end\": ");
		AppendBound(&buf, order, &set->ranges[i].end);
		appendStringInfo(&buf, ", \"shard\": %d}", set->ranges[i].shard);
	}
	appendStringInfoChar(&buf, ']');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}

char *
RangeText(KeyOrder *order, const Range *range)
{
	return psprintf("%s, %s)",
					range->start.infinity != 0 ? "(unbounded" :
					psprintf("[%s", KeyOrderText(order, range->start.value)),
					range->end.infinity != 0 ? "unbounded" :
					KeyOrderText(order, range->end.value));
}
