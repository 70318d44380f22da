/*
 * avro.c
 *		Reader of Avro object containers; see avro.h.
 */
#include "lake/iceberg/avro.h"

#include "lake/iceberg/json.h"


#define AVRO_MAX_DEPTH 64

/* ---- schema ---- */

typedef struct NamedType
{
	const char *name;
	AvroType   *type;
	struct NamedType *next;
} NamedType;

typedef struct SchemaParser
{
	NamedType  *named;
	int			depth;
	int			ntypes;
} SchemaParser;

static AvroType *ParseType(SchemaParser *parser, const Json *json);

static const struct
{
	const char *name;
	AvroKind	kind;
}			primitive_names[] =
{
	{"null", AVRO_NULL},
	{"boolean", AVRO_BOOLEAN},
	{"int", AVRO_INT},
	{"long", AVRO_LONG},
	{"float", AVRO_FLOAT},
	{"double", AVRO_DOUBLE},
	{"bytes", AVRO_BYTES},
	{"string", AVRO_STRING},
};

static AvroType *
NewType(SchemaParser *parser, AvroKind kind)
{
	AvroType   *type;

	if (++parser->ntypes > 100000)
		shard_fail(FAIL_CORRUPT, "Avro schema with too many types");
	type = mem_alloc0(sizeof(AvroType));
	type->kind = kind;
	return type;
}

/* Type names are looked up by their last part: Iceberg has no namespaces. */
static const char *
LastPart(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

static void
RememberName(SchemaParser *parser, const Json *json, AvroType *type)
{
	const char *name = JsonStringValue(JsonGet(json, "name"));
	NamedType  *named;

	if (name == NULL)
		shard_fail(FAIL_CORRUPT, "Avro schema has a type without a name");
	named = mem_alloc(sizeof(NamedType));
	named->name = LastPart(name);
	named->type = type;
	named->next = parser->named;
	parser->named = named;
}

static AvroType *
ParseName(SchemaParser *parser, const char *name)
{
	for (size_t i = 0; i < sizeof(primitive_names) / sizeof(primitive_names[0]); i++)
		if (strcmp(primitive_names[i].name, name) == 0)
			return NewType(parser, primitive_names[i].kind);
	for (NamedType *named = parser->named; named != NULL; named = named->next)
		if (strcmp(named->name, LastPart(name)) == 0)
			return named->type;
	shard_fail(FAIL_CORRUPT, "Avro schema names an unknown type \"%s\"", name);
}

static AvroType *
ParseUnion(SchemaParser *parser, const Json *json)
{
	AvroType   *type = NewType(parser, AVRO_UNION);

	type->nbranches = JsonSize(json);
	if (type->nbranches == 0)
		shard_fail(FAIL_CORRUPT, "Avro schema has an empty union");
	type->branches = mem_alloc0(sizeof(AvroType *) * type->nbranches);
	for (int i = 0; i < type->nbranches; i++)
	{
		type->branches[i] = ParseType(parser, JsonAt(json, i));
		if (type->branches[i]->kind == AVRO_UNION)
			shard_fail(FAIL_CORRUPT, "Avro schema has a union in a union");
	}
	return type;
}

static AvroType *
ParseRecord(SchemaParser *parser, const Json *json)
{
	AvroType   *type = NewType(parser, AVRO_RECORD);
	const Json *fields = JsonGet(json, "fields");
	int			nfields = JsonSize(fields);

	RememberName(parser, json, type);
	if (!JsonIs(fields, JSON_ARRAY))
		shard_fail(FAIL_CORRUPT, "Avro schema has a record without fields");
	type->fields = mem_alloc0(sizeof(AvroField) * (nfields + 1));
	for (int i = 0; i < nfields; i++)
	{
		const Json *field = JsonAt(fields, i);
		const char *name = JsonStringValue(JsonGet(field, "name"));
		const Json *id = JsonGet(field, "field-id");

		if (name == NULL)
			shard_fail(FAIL_CORRUPT, "Avro schema has a field without a name");
		type->fields[i].name = mem_strdup(name);
		type->fields[i].id = JsonIs(id, JSON_INTEGER) ? (int) JsonIntegerValue(id) : -1;
		type->fields[i].type = ParseType(parser, JsonGet(field, "type"));
	}
	type->nfields = nfields;
	return type;
}

static AvroType *
ParseFixed(SchemaParser *parser, const Json *json)
{
	AvroType   *type = NewType(parser, AVRO_FIXED);
	const Json *size = JsonGet(json, "size");

	RememberName(parser, json, type);
	if (!JsonIs(size, JSON_INTEGER) || JsonIntegerValue(size) < 0 ||
		JsonIntegerValue(size) > 1024 * 1024)
		shard_fail(FAIL_CORRUPT, "Avro schema has a fixed type of a wrong size");
	type->size = (int) JsonIntegerValue(size);
	return type;
}

static AvroType *
ParseObject(SchemaParser *parser, const Json *json)
{
	const Json *inner = JsonGet(json, "type");
	const char *name = JsonStringValue(inner);
	const char *logical = JsonStringValue(JsonGet(json, "logicalType"));
	AvroType   *type;

	if (name == NULL)
		return ParseType(parser, inner);
	if (strcmp(name, "record") == 0)
		return ParseRecord(parser, json);
	if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0)
	{
		bool		is_array = name[0] == 'a';

		type = NewType(parser, is_array ? AVRO_ARRAY : AVRO_MAP);
		type->items = ParseType(parser, JsonGet(json, is_array ? "items" : "values"));
		return type;
	}
	if (strcmp(name, "enum") == 0)
	{
		type = NewType(parser, AVRO_ENUM);
		RememberName(parser, json, type);
		return type;
	}
	if (strcmp(name, "fixed") == 0)
		type = ParseFixed(parser, json);
	else
		type = ParseName(parser, name);
	if (logical != NULL && strcmp(logical, "decimal") == 0)
		type->decimal = true;
	return type;
}

static AvroType *
ParseType(SchemaParser *parser, const Json *json)
{
	AvroType   *type = NULL;

	if (++parser->depth > AVRO_MAX_DEPTH)
		shard_fail(FAIL_CORRUPT, "Avro schema is nested too deeply");
	if (JsonIs(json, JSON_STRING))
		type = ParseName(parser, JsonStringValue(json));
	else if (JsonIs(json, JSON_ARRAY))
		type = ParseUnion(parser, json);
	else if (JsonIs(json, JSON_OBJECT))
		type = ParseObject(parser, json);
	else
		shard_fail(FAIL_CORRUPT, "Avro schema has a type that is none");
	parser->depth--;
	return type;
}

/* ---- values ---- */

static void
Corrupt(const char *what)
{
	shard_fail(FAIL_CORRUPT, "corrupt Avro data: %s", what);
}

int64
AvroGetVarint(AvroCursor *cursor)
{
	uint64		value = 0;

	for (int shift = 0; shift < 70; shift += 7)
	{
		unsigned char byte;

		if (cursor->p >= cursor->end)
			Corrupt("number cut off");
		byte = (unsigned char) *cursor->p++;
		/* of a number beyond 64 bits, which Java's reader takes too, the rest is lost */
		if (shift == 63 && byte > 0x7f)
			break;
		value |= (uint64) (byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return (int64) (value >> 1) ^ -(int64) (value & 1);
	}
	Corrupt("number too long");
	return 0;
}

static const char *
Take(AvroCursor *cursor, int64 n)
{
	const char *p = cursor->p;

	if (n < 0 || n > cursor->end - cursor->p)
		Corrupt("value cut off");
	cursor->p += n;
	return p;
}

/* Count work, so that types of no width cannot be multiplied without end. */
static void
Step(AvroCursor *cursor)
{
	if (--cursor->work < 0)
		Corrupt("too many values for its size");
}

const AvroType *
AvroResolve(AvroCursor *cursor, const AvroType *type)
{
	int64		branch;

	if (type->kind != AVRO_UNION)
		return type;
	branch = AvroGetVarint(cursor);
	if (branch < 0 || branch >= type->nbranches)
		Corrupt("union branch out of range");
	return type->branches[branch];
}

bool
AvroGetLong(AvroCursor *cursor, const AvroType *type, int64 *value)
{
	type = AvroResolve(cursor, type);
	if (type->kind == AVRO_NULL)
		return false;
	if (type->kind == AVRO_BOOLEAN)
		*value = *Take(cursor, 1) != 0;
	else if (type->kind == AVRO_INT || type->kind == AVRO_LONG || type->kind == AVRO_ENUM)
		*value = AvroGetVarint(cursor);
	else
		Corrupt("an integer has another type");
	return true;
}

bool
AvroGetBytes(AvroCursor *cursor, const AvroType *type, IcebergBytes *value)
{
	int64		len = 0;

	type = AvroResolve(cursor, type);
	value->data = NULL;
	value->len = 0;
	if (type->kind == AVRO_NULL)
		return false;
	if (type->kind == AVRO_FIXED)
		len = type->size;
	else if (type->kind == AVRO_BYTES || type->kind == AVRO_STRING)
		len = AvroGetVarint(cursor);
	else
		Corrupt("a string has another type");
	value->data = Take(cursor, len);
	value->len = (int) len;
	return true;
}

char *
AvroGetString(AvroCursor *cursor, const AvroType *type)
{
	IcebergBytes bytes;
	char	   *string;

	if (!AvroGetBytes(cursor, type, &bytes))
		return NULL;
	if (memchr(bytes.data, '\0', bytes.len) != NULL)
		Corrupt("a string with a zero byte");
	string = mem_alloc(bytes.len + 1);
	memcpy(string, bytes.data, bytes.len);
	string[bytes.len] = '\0';
	return string;
}

/* Drop the sign bytes that a two's-complement number does not need. */
static void
TrimDecimal(IcebergBytes *bytes)
{
	while (bytes->len > 1 &&
		   ((bytes->data[0] == 0 && (bytes->data[1] & 0x80) == 0) ||
			((unsigned char) bytes->data[0] == 0xff && (bytes->data[1] & 0x80) != 0)))
	{
		bytes->data++;
		bytes->len--;
	}
}

static IcebergBytes
LittleEndian(uint64 value, int len)
{
	char	   *data = mem_alloc(8);
	IcebergBytes bytes = {data, len};

	for (int i = 0; i < len; i++)
		data[i] = (char) (value >> (8 * i));
	return bytes;
}

IcebergBytes
AvroGetSingleValue(AvroCursor *cursor, const AvroType *type)
{
	IcebergBytes bytes = {NULL, 0};

	type = AvroResolve(cursor, type);
	switch (type->kind)
	{
		case AVRO_NULL:
			break;
		case AVRO_BOOLEAN:
			bytes.data = Take(cursor, 1);
			bytes.len = 1;
			break;
		case AVRO_INT:
			bytes = LittleEndian((uint64) AvroGetVarint(cursor), 4);
			break;
		case AVRO_LONG:
			bytes = LittleEndian((uint64) AvroGetVarint(cursor), 8);
			break;
		case AVRO_FLOAT:
			bytes.data = Take(cursor, 4);
			bytes.len = 4;
			break;
		case AVRO_DOUBLE:
			bytes.data = Take(cursor, 8);
			bytes.len = 8;
			break;
		case AVRO_BYTES:
		case AVRO_STRING:
		case AVRO_FIXED:
			AvroGetBytes(cursor, type, &bytes);
			if (type->decimal)
				TrimDecimal(&bytes);
			break;
		default:
			Corrupt("a value is not of a primitive type");
	}
	return bytes;
}

bool
AvroArrayBegin(AvroCursor *cursor, const AvroType *type, AvroArray *array)
{
	type = AvroResolve(cursor, type);
	array->left = 0;
	array->done = false;
	array->items = NULL;
	if (type->kind == AVRO_NULL)
		return false;
	if (type->kind != AVRO_ARRAY)
		Corrupt("an array has another type");
	array->items = type->items;
	return true;
}

/* Begin the next run of an array or map: number of its items, 0 at the end. */
static int64
NextRun(AvroCursor *cursor)
{
	int64		count = AvroGetVarint(cursor);

	if (count < 0)
	{
		int64		size = AvroGetVarint(cursor);

		if (size < 0 || size > cursor->end - cursor->p || count == INT64_MIN)
			Corrupt("array run longer than the data");
		count = -count;
	}
	if (count > cursor->end - cursor->p)
		Corrupt("array with more items than data");
	return count;
}

bool
AvroArrayNext(AvroCursor *cursor, AvroArray *array)
{
	if (array->done)
		return false;
	Step(cursor);
	if (array->left == 0)
	{
		array->left = NextRun(cursor);
		if (array->left == 0)
		{
			array->done = true;
			return false;
		}
	}
	array->left--;
	return true;
}

const AvroType *
AvroExpectRecord(AvroCursor *cursor, const AvroType *type)
{
	type = AvroResolve(cursor, type);
	if (type->kind == AVRO_NULL)
		return NULL;
	if (type->kind != AVRO_RECORD)
		Corrupt("a record has another type");
	return type;
}

static void
SkipRuns(AvroCursor *cursor, const AvroType *type)
{
	int64		count;

	while ((count = NextRun(cursor)) > 0)
	{
		for (; count > 0; count--)
		{
			if (type->kind == AVRO_MAP)
				Take(cursor, AvroGetVarint(cursor));
			AvroSkip(cursor, type->items);
		}
	}
}

void
AvroSkip(AvroCursor *cursor, const AvroType *type)
{
	Step(cursor);
	if (++cursor->depth > AVRO_MAX_DEPTH)
		Corrupt("nested too deeply");
	type = AvroResolve(cursor, type);
	switch (type->kind)
	{
		case AVRO_NULL:
			break;
		case AVRO_BOOLEAN:
			Take(cursor, 1);
			break;
		case AVRO_INT:
		case AVRO_LONG:
		case AVRO_ENUM:
			AvroGetVarint(cursor);
			break;
		case AVRO_FLOAT:
			Take(cursor, 4);
			break;
		case AVRO_DOUBLE:
			Take(cursor, 8);
			break;
		case AVRO_BYTES:
		case AVRO_STRING:
			Take(cursor, AvroGetVarint(cursor));
			break;
		case AVRO_FIXED:
			Take(cursor, type->size);
			break;
		case AVRO_ARRAY:
		case AVRO_MAP:
			SkipRuns(cursor, type);
			break;
		case AVRO_RECORD:
			for (int i = 0; i < type->nfields; i++)
				AvroSkip(cursor, type->fields[i].type);
			break;
		case AVRO_UNION:
			Corrupt("union in a union");
	}
	cursor->depth--;
}

/* ---- container ---- */

static void
ReadHeaderMap(AvroFile *file, AvroCursor *cursor)
{
	AvroType	string = {.kind = AVRO_STRING};
	int64		count;
	int			allocated = 0;

	while ((count = NextRun(cursor)) > 0)
	{
		for (; count > 0; count--)
		{
			if (file->nmeta == allocated)
			{
				allocated = allocated == 0 ? 16 : allocated * 2;
				file->meta = allocated == 16 ?
					mem_alloc(sizeof(IcebergKeyValue) * allocated) :
					mem_realloc(file->meta, sizeof(IcebergKeyValue) * allocated);
			}
			file->meta[file->nmeta].key = AvroGetString(cursor, &string);
			file->meta[file->nmeta].value = AvroGetString(cursor, &string);
			file->nmeta++;
		}
	}
}

const char *
AvroMeta(const AvroFile *file, const char *key)
{
	for (int i = 0; i < file->nmeta; i++)
		if (strcmp(file->meta[i].key, key) == 0)
			return file->meta[i].value;
	return NULL;
}

AvroFile *
AvroOpen(const char *data, size_t len)
{
	AvroFile   *file = mem_alloc0(sizeof(AvroFile));
	AvroCursor	cursor = {.p = data,.end = data + len,.work = 64 * ((int64) len + 1024)};
	SchemaParser parser = {0};
	const char *text;

	if (len < 4 || memcmp(data, "Obj\1", 4) != 0)
		shard_fail(FAIL_CORRUPT, "not an Avro file");
	cursor.p += 4;
	ReadHeaderMap(file, &cursor);
	memcpy(file->sync, Take(&cursor, 16), 16);
	file->p = cursor.p;
	file->end = cursor.end;

	file->codec = CodecByName(AvroMeta(file, "avro.codec"));

	text = AvroMeta(file, "avro.schema");
	if (text == NULL)
		shard_fail(FAIL_CORRUPT, "Avro file without a schema");
	file->schema = ParseType(&parser, JsonParse(text, strlen(text), "Avro schema"));
	return file;
}

int64
AvroNextBlock(AvroFile *file, AvroCursor *cursor)
{
	AvroCursor	outer = {.p = file->p,.end = file->end};
	int64		count;
	int64		size;
	size_t		unpacked;
	const char *data;

	memset(cursor, 0, sizeof(*cursor));
	do
	{
		if (outer.p == outer.end)
		{
			file->p = outer.p;
			return 0;
		}
		count = AvroGetVarint(&outer);
		size = AvroGetVarint(&outer);
		if (size > INT32_MAX)
			Corrupt("block too long");
		data = Take(&outer, size);
		if (memcmp(Take(&outer, 16), file->sync, 16) != 0)
			Corrupt("block without its end mark");
	} while (count == 0);
	file->p = outer.p;

	cursor->p = CodecUnpack(file->codec, data, size, &unpacked);
	cursor->end = cursor->p + unpacked;
	if (count < 0 || count > cursor->end - cursor->p)
		Corrupt("block with more records than data");
	cursor->work = 64 * ((int64) (cursor->end - cursor->p) + 1024);
	return count;
}
