/*
 * values.c
 *		Conversion of Datums to wire columns and back, and to engine literals.
 *
 * Where a PostgreSQL type has a counterpart, the value is converted by
 * arithmetic alone; everything else passes through the type's output and input
 * functions.  Text travels as UTF-8 whatever the database's encoding is.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/pg_type.h"
#include "client/decimal.h"
#include "client/engine.h"
#include "client/nested.h"
#include "client/values.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_USECS ((int64) EPOCH_DAYS * USECS_PER_DAY)

/* What DuckDB reads as infinite. */
#define ENGINE_DATE_INFINITY PG_INT32_MAX
#define ENGINE_TIMESTAMP_INFINITY PG_INT64_MAX

/*
 * Precision and scale of a numeric's type modifier; false if a decimal column
 * cannot hold every value of the type.
 */
static bool
DecimalFromTypmod(int32 typmod, LakeType *type)
{
	int			precision,
				scale;

	if (typmod < (int32) VARHDRSZ)
		return false;
	precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	if (precision > 38 || scale < 0 || scale > precision)
		return false;
	*type = (LakeType) {LAKE_DECIMAL, precision, scale};
	return true;
}

/*
 * Counterpart of a base type; false if there is none.
 */
static bool
Counterpart(Oid base, int32 typmod, LakeType *type)
{
	*type = (LakeType) {LAKE_STRING, 0, 0};
	switch (base)
	{
		case BOOLOID:
			type->kind = LAKE_BOOLEAN;
			return true;
		case INT2OID:
		case INT4OID:
			type->kind = LAKE_INT;
			return true;
		case INT8OID:
		case OIDOID:
			type->kind = LAKE_LONG;
			return true;
		case FLOAT4OID:
			type->kind = LAKE_FLOAT;
			return true;
		case FLOAT8OID:
			type->kind = LAKE_DOUBLE;
			return true;
		case NUMERICOID:
			return DecimalFromTypmod(typmod, type);
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return true;
		case BYTEAOID:
			type->kind = LAKE_BINARY;
			return true;
		case DATEOID:
			type->kind = LAKE_DATE;
			return true;
		case TIMEOID:
			type->kind = LAKE_TIME;
			return true;
		case TIMESTAMPOID:
			type->kind = LAKE_TIMESTAMP;
			return true;
		case TIMESTAMPTZOID:
			type->kind = LAKE_TIMESTAMPTZ;
			return true;
		case UUIDOID:
			type->kind = LAKE_UUID;
			return true;
		default:
			return false;
	}
}

LakeType
LakeTypeFromPg(Oid typid, int32 typmod, bool *as_text)
{
	LakeType	type;
	Oid			base = getBaseTypeAndTypmod(typid, &typmod);
	bool		found = Counterpart(base, typmod, &type);

	if (as_text != NULL)
		*as_text = !found;
	return type;
}

static void
InitOutput(ValueCodec *codec)
{
	Oid			function;
	bool		is_varlena;

	getTypeOutputInfo(codec->base, &function, &is_varlena);
	fmgr_info(function, &codec->outfn);
}

static void
InitInput(ValueCodec *codec)
{
	Oid			function;

	getTypeInputInfo(codec->typid, &function, &codec->ioparam);
	fmgr_info(function, &codec->infn);
}

void
ValueCodecInit(ValueCodec *codec, Oid typid, int32 typmod)
{
	int32		base_typmod = typmod;

	ValueCodecInitScalar(codec, typid, typmod);
	if (!codec->as_text)
		return;
	(void) getBaseTypeAndTypmod(typid, &base_typmod);
	codec->nested = NestedTypeOf(codec->base, base_typmod);
	if (codec->nested == NULL)
		return;
	codec->as_text = false;
	codec->type = (LakeType) {LAKE_NESTED, 0, 0};
}

char *
ValueEngineType(const ValueCodec *codec)
{
	char		name[64];

	if (codec->nested != NULL)
		return NestedEngineType(codec->nested);
	return pstrdup(LakeTypeEngineName(codec->type, name, sizeof(name)));
}

void
ValueCodecInitScalar(ValueCodec *codec, Oid typid, int32 typmod)
{
	int32		base_typmod = typmod;

	memset(codec, 0, sizeof(*codec));
	codec->typid = typid;
	codec->typmod = typmod;
	codec->base = getBaseTypeAndTypmod(typid, &base_typmod);
	codec->type = LakeTypeFromPg(typid, typmod, &codec->as_text);
	codec->direct = !codec->as_text;
	if (codec->as_text)
	{
		InitOutput(codec);
		InitInput(codec);
	}
}

/*
 * Can a wire value be made into a Datum of the type by arithmetic?
 */
static bool
ReadsDirectly(Oid base, LakeKind from)
{
	switch (base)
	{
		case BOOLOID:
			return from == LAKE_BOOLEAN;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
			return from == LAKE_INT || from == LAKE_LONG;
		case FLOAT4OID:
			return from == LAKE_FLOAT;
		case FLOAT8OID:
			return from == LAKE_FLOAT || from == LAKE_DOUBLE;
		case NUMERICOID:
			return from == LAKE_DECIMAL || from == LAKE_INT || from == LAKE_LONG;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return from == LAKE_STRING || from == LAKE_JSON;
		case BYTEAOID:
			return from == LAKE_BINARY;
		case DATEOID:
			return from == LAKE_DATE;
		case TIMEOID:
			return from == LAKE_TIME;
		case TIMESTAMPOID:
			return from == LAKE_TIMESTAMP;
		case TIMESTAMPTZOID:
			return from == LAKE_TIMESTAMPTZ;
		case UUIDOID:
			return from == LAKE_UUID;
		default:
			return false;
	}
}

/*
 * What a type modifier demands of each value: a length in characters, or that
 * the microseconds are a multiple of something; 0 for nothing.
 */
static int
TypmodLimit(Oid base, int32 typmod)
{
	static const int units[] = {1000000, 100000, 10000, 1000, 100, 10};

	if (typmod < 0)
		return 0;
	switch (base)
	{
		case VARCHAROID:
		case BPCHAROID:
			return typmod - VARHDRSZ;
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return typmod < lengthof(units) ? units[typmod] : 0;
		default:
			return 0;
	}
}

void
ValueCodecInitForRead(ValueCodec *codec, Oid typid, int32 typmod, LakeType from)
{
	LakeType	own;

	ValueCodecInit(codec, typid, typmod);
	own = codec->type;
	codec->type = from;
	codec->direct = codec->typid == codec->base && ReadsDirectly(codec->base, from.kind);
	if (codec->base == NUMERICOID && typmod >= 0 &&
		(own.kind != from.kind || own.precision != from.precision || own.scale != from.scale))
		codec->direct = false;
	codec->limit = TypmodLimit(codec->base, typmod);
	if (from.kind != LAKE_JSON)
		codec->nested = NULL;
	if (!codec->as_text)
		InitInput(codec);
}

/* ---- Datum to column ---- */

/*
 * Put text of the database's encoding.
 */
static void
PutText(WireChunk *chunk, int col, const char *text, int len)
{
	char	   *utf8;

	if (GetDatabaseEncoding() == PG_UTF8)
	{
		ChunkPutBytes(chunk, col, text, len);
		return;
	}
	utf8 = pg_server_to_any(text, len, PG_UTF8);
	if (utf8 == text)
		ChunkPutBytes(chunk, col, text, len);
	else
	{
		ChunkPutBytes(chunk, col, utf8, strlen(utf8));
		pfree(utf8);
	}
}

static void
PutVarlena(ValueCodec *codec, WireChunk *chunk, int col, Datum value)
{
	struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

	if (codec->type.kind == LAKE_BINARY)
		ChunkPutBytes(chunk, col, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	else
		PutText(chunk, col, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	if ((Pointer) data != DatumGetPointer(value))
		pfree(data);
}

static void
PutAsText(ValueCodec *codec, WireChunk *chunk, int col, Datum value)
{
	char	   *text = OutputFunctionCall(&codec->outfn, value);

	PutText(chunk, col, text, strlen(text));
	pfree(text);
}

static int32
DateToEngine(DateADT date)
{
	if (DATE_IS_NOBEGIN(date))
		return -ENGINE_DATE_INFINITY;
	if (DATE_IS_NOEND(date))
		return ENGINE_DATE_INFINITY;
	return date + EPOCH_DAYS;
}

static int64
TimestampToEngine(Timestamp ts)
{
	int64		result;

	if (TIMESTAMP_IS_NOBEGIN(ts))
		return -ENGINE_TIMESTAMP_INFINITY;
	if (TIMESTAMP_IS_NOEND(ts))
		return ENGINE_TIMESTAMP_INFINITY;
	if (pg_add_s64_overflow(ts, EPOCH_USECS, &result) || result == ENGINE_TIMESTAMP_INFINITY)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range for the lake")));
	return result;
}

bool
ValueAlwaysFits(const ValueCodec *codec)
{
	switch (codec->type.kind)
	{
		case LAKE_NESTED:
		case LAKE_DECIMAL:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return false;
		default:
			return true;
	}
}

bool
ValueFits(const ValueCodec *codec, Datum value)
{
	int64		moved;

	switch (codec->type.kind)
	{
		case LAKE_NESTED:
			return NestedFits(codec->nested, value);
		case LAKE_DECIMAL:
			return DecimalFinite(value);
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)) ||
				(!pg_add_s64_overflow(DatumGetTimestamp(value), EPOCH_USECS, &moved) &&
				 moved != ENGINE_TIMESTAMP_INFINITY);
		default:
			return true;
	}
}

/*
 * The fixed-width wire value of a Datum, into out (16 bytes); false if the kind
 * is of variable width.
 */
static bool
FixedValue(ValueCodec *codec, Datum value, void *out)
{
	switch (codec->type.kind)
	{
		case LAKE_BOOLEAN:
			*(uint8 *) out = DatumGetBool(value) ? 1 : 0;
			return true;
		case LAKE_INT:
			*(int32 *) out = codec->base == INT2OID ? DatumGetInt16(value) : DatumGetInt32(value);
			return true;
		case LAKE_LONG:
			*(int64 *) out = codec->base == OIDOID ? (int64) DatumGetObjectId(value)
				: DatumGetInt64(value);
			return true;
		case LAKE_FLOAT:
			*(float4 *) out = DatumGetFloat4(value);
			return true;
		case LAKE_DOUBLE:
			*(float8 *) out = DatumGetFloat8(value);
			return true;
		case LAKE_DECIMAL:
			{
				int128		unscaled = DecimalFromNumeric(value, codec->type.precision,
														  codec->type.scale);

				memcpy(out, &unscaled, sizeof(unscaled));
				return true;
			}
		case LAKE_DATE:
			*(int32 *) out = DateToEngine(DatumGetDateADT(value));
			return true;
		case LAKE_TIME:
			*(int64 *) out = DatumGetTimeADT(value);
			return true;
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			*(int64 *) out = TimestampToEngine(DatumGetTimestamp(value));
			return true;
		case LAKE_UUID:
			memcpy(out, DatumGetUUIDP(value)->data, UUID_LEN);
			return true;
		default:
			return false;
	}
}

static void
PutNested(ValueCodec *codec, WireChunk *chunk, int col, Datum value)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	NestedAppend(codec->nested, &bytes, value, false);
	ChunkPutBytes(chunk, col, bytes.data, bytes.len);
	pfree(bytes.data);
}

static void
AppendBytes(StringInfo out, const char *data, uint32 len)
{
	appendBinaryStringInfo(out, (char *) &len, sizeof(len));
	appendBinaryStringInfo(out, data, len);
}

static void
AppendText(StringInfo out, const char *text, int len)
{
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);

	AppendBytes(out, utf8, utf8 == text ? len : strlen(utf8));
}

void
ValueAppend(ValueCodec *codec, StringInfo out, Datum value)
{
	int64		fixed[2];
	struct varlena *data;

	if (codec->as_text)
	{
		char	   *text = OutputFunctionCall(&codec->outfn, value);

		AppendText(out, text, strlen(text));
		return;
	}
	if (FixedValue(codec, value, fixed))
	{
		appendBinaryStringInfo(out, (char *) fixed, LakeKindWidth(codec->type.kind));
		return;
	}
	data = PG_DETOAST_DATUM_PACKED(value);
	if (codec->type.kind == LAKE_BINARY)
		AppendBytes(out, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	else
		AppendText(out, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
}

Datum
ValueFromText(ValueCodec *codec, char *text)
{
	if (!OidIsValid(codec->infn.fn_oid))
		InitInput(codec);
	return InputFunctionCall(&codec->infn, text, codec->ioparam, codec->typmod);
}

void
ValuePut(ValueCodec *codec, WireChunk *chunk, int col, Datum value, bool isnull)
{
	int64		fixed[2];

	if (isnull)
		ChunkPutNull(chunk, col);
	else if (codec->nested != NULL)
		PutNested(codec, chunk, col, value);
	else if (codec->as_text)
		PutAsText(codec, chunk, col, value);
	else if (FixedValue(codec, value, fixed))
		ChunkPutFixed(chunk, col, fixed);
	else
		PutVarlena(codec, chunk, col, value);
}

/* ---- column to Datum ---- */

static DateADT
DateFromEngine(int32 days)
{
	int32		date;

	if (days == ENGINE_DATE_INFINITY)
		return DATEVAL_NOEND;
	if (days <= -ENGINE_DATE_INFINITY)
		return DATEVAL_NOBEGIN;
	if (pg_sub_s32_overflow(days, EPOCH_DAYS, &date) || !IS_VALID_DATE(date))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("date out of range")));
	return date;
}

static Timestamp
TimestampFromEngine(int64 usecs)
{
	int64		ts;

	if (usecs == ENGINE_TIMESTAMP_INFINITY)
		return DT_NOEND;
	if (usecs <= -ENGINE_TIMESTAMP_INFINITY)
		return DT_NOBEGIN;
	if (pg_sub_s64_overflow(usecs, EPOCH_USECS, &ts) || !IS_VALID_TIMESTAMP(ts))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return ts;
}

static int128
Int128At(const void *value)
{
	int128		result;

	memcpy(&result, value, sizeof(result));
	return result;
}

static Datum
IntegerDatum(Oid base, int64 value)
{
	if (base == INT8OID)
		return Int64GetDatum(value);
	if (base == NUMERICOID)
		return DecimalToNumeric(value, 0);
	if ((base == OIDOID && (value < 0 || value > PG_UINT32_MAX)) ||
		(base == INT4OID && (value < PG_INT32_MIN || value > PG_INT32_MAX)) ||
		(base == INT2OID && (value < PG_INT16_MIN || value > PG_INT16_MAX)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value " INT64_FORMAT " is out of range for type %s",
						value, format_type_be(base))));
	if (base == OIDOID)
		return ObjectIdGetDatum((Oid) value);
	return base == INT4OID ? Int32GetDatum((int32) value) : Int16GetDatum((int16) value);
}

static Datum
FixedDatum(ValueCodec *codec, const void *value)
{
	switch (codec->type.kind)
	{
		case LAKE_BOOLEAN:
			return BoolGetDatum(*(const uint8 *) value != 0);
		case LAKE_INT:
			return IntegerDatum(codec->base, *(const int32 *) value);
		case LAKE_LONG:
			return IntegerDatum(codec->base, *(const int64 *) value);
		case LAKE_FLOAT:
			if (codec->base == FLOAT8OID)
				return Float8GetDatum(*(const float4 *) value);
			return Float4GetDatum(*(const float4 *) value);
		case LAKE_DOUBLE:
			return Float8GetDatum(*(const float8 *) value);
		case LAKE_DECIMAL:
			return DecimalToNumeric(Int128At(value), codec->type.scale);
		case LAKE_DATE:
			return DateADTGetDatum(DateFromEngine(*(const int32 *) value));
		case LAKE_TIME:
			return TimeADTGetDatum(*(const int64 *) value);
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return TimestampGetDatum(TimestampFromEngine(*(const int64 *) value));
		case LAKE_UUID:
			{
				pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

				memcpy(uuid->data, value, UUID_LEN);
				return UUIDPGetDatum(uuid);
			}
		default:
			elog(ERROR, "value type %d has no fixed width", (int) codec->type.kind);
	}
}

static Datum
BytesDatum(ValueCodec *codec, const char *data, size_t len)
{
	char	   *text;

	if (codec->type.kind == LAKE_BINARY)
		return PointerGetDatum(cstring_to_text_with_len(data, len));
	/* Verifies, too: no NUL byte gets into a text. */
	text = pg_any_to_server(data, len, PG_UTF8);
	if (text == data)
		return PointerGetDatum(cstring_to_text_with_len(data, len));
	return PointerGetDatum(cstring_to_text(text));
}

/*
 * PostgreSQL's text form of a date or timestamp, independent of DateStyle.
 */
static char *
DateTimeText(LakeKind kind, const void *value)
{
	char		buf[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t		fsec = 0;
	int			tz = 0;

	if (kind == LAKE_DATE)
	{
		DateADT		date = DateFromEngine(*(const int32 *) value);

		if (DATE_NOT_FINITE(date))
			return pstrdup(DATE_IS_NOBEGIN(date) ? "-infinity" : "infinity");
		j2date(date + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, buf);
		return pstrdup(buf);
	}
	if (kind == LAKE_TIME)
	{
		time2tm(*(const int64 *) value, &tm, &fsec);
		EncodeTimeOnly(&tm, fsec, false, 0, USE_ISO_DATES, buf);
		return pstrdup(buf);
	}
	{
		Timestamp	ts = TimestampFromEngine(*(const int64 *) value);

		if (TIMESTAMP_NOT_FINITE(ts))
			return pstrdup(TIMESTAMP_IS_NOBEGIN(ts) ? "-infinity" : "infinity");
		if (timestamp2tm(ts, NULL, &tm, &fsec, NULL, NULL) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("timestamp out of range")));
		tm.tm_isdst = 0;
		EncodeDateTime(&tm, fsec, kind == LAKE_TIMESTAMPTZ, tz, NULL, USE_ISO_DATES, buf);
		return pstrdup(buf);
	}
}

static char *
BytesText(ValueCodec *codec, const WireChunk *chunk, int col, int row)
{
	size_t		len;
	const char *data = ChunkGetBytes(chunk, col, row, &len);
	char	   *text;

	if (codec->type.kind == LAKE_BINARY)
	{
		text = palloc(2 * len + 3);
		memcpy(text, "\\x", 2);
		text[2 + hex_encode(data, len, text + 2)] = '\0';
		return text;
	}
	text = pg_any_to_server(data, len, PG_UTF8);
	return text == data ? pnstrdup(data, len) : text;
}

/*
 * Text of a wire value that every input function of its family reads.
 */
static char *
WireText(ValueCodec *codec, const WireChunk *chunk, int col, int row)
{
	const void *value;
	char		buf[64];

	if (LakeKindWidth(codec->type.kind) == 0)
		return BytesText(codec, chunk, col, row);
	value = ChunkGetFixed(chunk, col, row);
	switch (codec->type.kind)
	{
		case LAKE_BOOLEAN:
			return pstrdup(*(const uint8 *) value ? "true" : "false");
		case LAKE_INT:
			return psprintf("%d", *(const int32 *) value);
		case LAKE_LONG:
			return psprintf(INT64_FORMAT, *(const int64 *) value);
		case LAKE_FLOAT:
			return DatumGetCString(DirectFunctionCall1(float4out,
													   Float4GetDatum(*(const float4 *) value)));
		case LAKE_DOUBLE:
			return float8out_internal(*(const float8 *) value);
		case LAKE_DECIMAL:
			DecimalToText(Int128At(value), codec->type.scale, buf);
			return pstrdup(buf);
		case LAKE_UUID:
			return DatumGetCString(DirectFunctionCall1(uuid_out, PointerGetDatum(value)));
		default:
			return DateTimeText(codec->type.kind, value);
	}
}

static size_t
Utf8Characters(const char *data, size_t len)
{
	size_t		n = 0;

	for (size_t i = 0; i < len; i++)
		n += (data[i] & 0xC0) != 0x80;
	return n;
}

/*
 * Does a value that can be taken directly satisfy the type modifier?
 */
static bool
MeetsLimit(ValueCodec *codec, const WireChunk *chunk, int col, int row)
{
	size_t		len;
	const char *data;

	if (codec->base != VARCHAROID && codec->base != BPCHAROID)
		return *(const int64 *) ChunkGetFixed(chunk, col, row) % codec->limit == 0;
	data = ChunkGetBytes(chunk, col, row, &len);
	if (codec->base == VARCHAROID && len <= (size_t) codec->limit)
		return true;
	len = Utf8Characters(data, len);
	return codec->base == VARCHAROID ? len <= (size_t) codec->limit : len == (size_t) codec->limit;
}

Datum
ValueGet(ValueCodec *codec, const WireChunk *chunk, int col, int row, bool *isnull)
{
	char	   *text;
	Datum		result;

	*isnull = ChunkIsNull(chunk, col, row);
	if (*isnull)
		return (Datum) 0;
	if (codec->nested != NULL)
	{
		size_t		len;
		const char *json = ChunkGetBytes(chunk, col, row, &len);

		return NestedFromJson(codec->nested, json, len);
	}
	if (codec->direct && (codec->limit == 0 || MeetsLimit(codec, chunk, col, row)))
	{
		size_t		len;
		const char *data;

		if (LakeKindWidth(codec->type.kind) > 0)
			return FixedDatum(codec, ChunkGetFixed(chunk, col, row));
		data = ChunkGetBytes(chunk, col, row, &len);
		return BytesDatum(codec, data, len);
	}
	text = WireText(codec, chunk, col, row);
	result = InputFunctionCall(&codec->infn, text, codec->ioparam, codec->typmod);
	pfree(text);
	return result;
}

/* ---- literals ---- */

/*
 * 'text'::TYPE
 */
static char *
TypedLiteral(const char *text, LakeType type)
{
	char		name[32];

	return psprintf("%s::%s", EngineQuoteLiteral(text), LakeTypeEngineName(type, name, sizeof(name)));
}

static char *
NumericLiteral(ValueCodec *codec, Datum value)
{
	LakeType	type = {LAKE_DECIMAL, 0, 0};

	if (!DecimalShape(value, &type.precision, &type.scale))
		return NULL;
	/* A wider type of the column is kept, so that both sides of a comparison agree. */
	if (codec->type.kind == LAKE_DECIMAL && codec->type.scale >= type.scale &&
		codec->type.precision - codec->type.scale >= type.precision - type.scale)
		type = codec->type;
	return TypedLiteral(DatumGetCString(DirectFunctionCall1(numeric_out, value)), type);
}

/*
 * Dates and timestamps are spelled in ISO form where the engine reads it alike,
 * else by their distance from the epoch.
 */
static char *
DateTimeLiteral(ValueCodec *codec, Datum value)
{
	LakeKind	kind = codec->type.kind;
	int64		wire[2];
	bool		plain;
	int64		year_1 = (int64) -719162;	/* 0001-01-01 in days since 1970 */
	int64		year_10000 = (int64) 2932897;

	FixedValue(codec, value, wire);
	if (kind == LAKE_DATE)
	{
		int32		days = *(int32 *) wire;

		plain = (days >= year_1 && days < year_10000) ||
			abs(days) == ENGINE_DATE_INFINITY;
		if (!plain)
			return psprintf("('1970-01-01'::DATE + (%d))", days);
	}
	else if (kind != LAKE_TIME)
	{
		plain = (wire[0] >= year_1 * USECS_PER_DAY && wire[0] < year_10000 * USECS_PER_DAY) ||
			wire[0] == ENGINE_TIMESTAMP_INFINITY || wire[0] == -ENGINE_TIMESTAMP_INFINITY;
		if (!plain)
			return psprintf("make_timestamp(" INT64_FORMAT ")%s", wire[0],
							kind == LAKE_TIMESTAMPTZ ? "::TIMESTAMPTZ" : "");
	}
	return TypedLiteral(DateTimeText(kind, wire), codec->type);
}

static char *
BinaryLiteral(Datum value)
{
	struct varlena *data = PG_DETOAST_DATUM_PACKED(value);
	const unsigned char *bytes = (unsigned char *) VARDATA_ANY(data);
	int			len = VARSIZE_ANY_EXHDR(data);
	char	   *text = palloc((Size) len * 4 + 1);

	for (int i = 0; i < len; i++)
		sprintf(text + (Size) i * 4, "\\x%02X", bytes[i]);
	text[(Size) len * 4] = '\0';
	return psprintf("'%s'::BLOB", text);
}

char *
ValueEngineLiteral(ValueCodec *codec, Datum value, bool isnull)
{
	char	   *text;
	Oid			function;
	bool		is_varlena;

	if (isnull)
		return psprintf("NULL::%s", ValueEngineType(codec));
	if (codec->nested != NULL)
		return NULL;
	if (codec->base == NUMERICOID)
		return NumericLiteral(codec, value);
	switch (codec->type.kind)
	{
		case LAKE_BOOLEAN:
			return pstrdup(DatumGetBool(value) ? "true" : "false");
		case LAKE_DATE:
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return DateTimeLiteral(codec, value);
		case LAKE_BINARY:
			return BinaryLiteral(value);
		case LAKE_FLOAT:
		case LAKE_DOUBLE:

			/*
			 * Shortest digits that read back as the same value, whatever
			 * extra_float_digits says.
			 */
			text = palloc(32);
			if (codec->type.kind == LAKE_FLOAT)
				float_to_shortest_decimal_buf(DatumGetFloat4(value), text);
			else
				double_to_shortest_decimal_buf(DatumGetFloat8(value), text);
			return TypedLiteral(text, codec->type);
		default:
			getTypeOutputInfo(codec->base, &function, &is_varlena);
			text = OidOutputFunctionCall(function, value);
			return TypedLiteral(pg_server_to_any(text, strlen(text), PG_UTF8), codec->type);
	}
}
