/*
 * json.c
 *		Documents, their parts, and their text form; see json.h.
 */
#include "lake/iceberg/json.h"

#include <limits.h>

#include "lake/iceberg/buffer.h"

/* ---- building ---- */

Json *
JsonNew(JsonKind kind)
{
	Json	   *json = mem_alloc0(sizeof(Json));

	json->kind = kind;
	return json;
}

Json *
JsonNewInteger(int64 value)
{
	Json	   *json = JsonNew(JSON_INTEGER);

	json->integer = value;
	return json;
}

Json *
JsonNewString(const char *value)
{
	Json	   *json = JsonNew(JSON_STRING);

	json->text = mem_strdup(value);
	return json;
}

void
JsonAdd(Json *json, char *key, Json *value)
{
	if (json->n == json->allocated)
	{
		json->allocated = json->allocated == 0 ? 8 : json->allocated * 2;
		json->items = json->n == 0 ? mem_alloc(sizeof(JsonItem) * json->allocated) :
			mem_realloc(json->items, sizeof(JsonItem) * json->allocated);
	}
	json->items[json->n].key = key;
	json->items[json->n].value = value;
	json->n++;
}

void
JsonAppend(Json *array, Json *value)
{
	JsonAdd(array, NULL, value);
}

/* Where a member is; -1 = not there. */
static int
Find(const Json *object, const char *key)
{
	if (object == NULL || object->kind != JSON_OBJECT)
		return -1;
	for (int i = object->n - 1; i >= 0; i--)
		if (strcmp(object->items[i].key, key) == 0)
			return i;
	return -1;
}

void
JsonSet(Json *object, const char *key, Json *value)
{
	int			at = Find(object, key);

	if (at >= 0)
		object->items[at].value = value;
	else
		JsonAdd(object, mem_strdup(key), value);
}

void
JsonRemove(Json *object, const char *key)
{
	int			at;

	while ((at = Find(object, key)) >= 0)
	{
		memmove(&object->items[at], &object->items[at + 1],
				sizeof(JsonItem) * (object->n - at - 1));
		object->n--;
	}
}

Json *
JsonCopy(const Json *json)
{
	Json	   *copy = mem_alloc(sizeof(Json));

	*copy = *json;
	copy->items = NULL;
	copy->allocated = json->n;
	if (json->n > 0)
	{
		copy->items = mem_alloc(sizeof(JsonItem) * json->n);
		memcpy(copy->items, json->items, sizeof(JsonItem) * json->n);
	}
	return copy;
}

/* ---- reading ---- */

Json *
JsonGet(const Json *object, const char *key)
{
	int			at = Find(object, key);

	return at < 0 ? NULL : object->items[at].value;
}

Json *
JsonAt(const Json *array, int i)
{
	return i >= 0 && i < JsonSize(array) ? array->items[i].value : NULL;
}

int
JsonSize(const Json *json)
{
	return json == NULL ? 0 : json->n;
}

bool
JsonIs(const Json *json, JsonKind kind)
{
	return json != NULL && json->kind == kind;
}

const char *
JsonStringValue(const Json *json)
{
	return JsonIs(json, JSON_STRING) ? json->text : NULL;
}

int64
JsonIntegerValue(const Json *json)
{
	return JsonIs(json, JSON_INTEGER) ? json->integer : 0;
}

bool
JsonEqual(const Json *a, const Json *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->kind != b->kind || a->n != b->n || a->integer != b->integer)
		return false;
	if (a->text != NULL && strcmp(a->text, b->text) != 0)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		const Json *other = a->kind == JSON_OBJECT ? JsonGet(b, a->items[i].key) :
			b->items[i].value;

		if (!JsonEqual(a->items[i].value, other))
			return false;
	}
	return true;
}

const Json *
JsonMember(const Json *object, const char *key, JsonKind kind, bool required)
{
	const Json *member = JsonGet(object, key);

	if (member == NULL || member->kind == JSON_NULL)
	{
		if (required)
			shard_fail(FAIL_CORRUPT, "\"%s\" is missing in Iceberg metadata", key);
		return NULL;
	}
	if (member->kind != kind)
		shard_fail(FAIL_CORRUPT, "\"%s\" in Iceberg metadata has a wrong type", key);
	return member;
}

/*
 * A number without sign that takes all 64 bits, as some program numbered its
 * snapshots: what counts of those is that they differ.
 */
static bool
IsUnsigned(const Json *json)
{
	return JsonIs(json, JSON_REAL) && strspn(json->text, "0123456789") == strlen(json->text) &&
		(strlen(json->text) < 20 ||
		 (strlen(json->text) == 20 && strcmp(json->text, "18446744073709551615") <= 0));
}

int64
JsonInteger(const Json *object, const char *key, bool required, int64 absent)
{
	const Json *member = JsonGet(object, key);

	if (IsUnsigned(member))
		return (int64) strtoull(member->text, NULL, 10);
	member = JsonMember(object, key, JSON_INTEGER, required);
	return member == NULL ? absent : member->integer;
}

int
JsonInt(const Json *object, const char *key, bool required, int absent)
{
	int64		value = JsonInteger(object, key, required, absent);

	if (value < INT_MIN || value > INT_MAX)
		shard_fail(FAIL_CORRUPT, "\"%s\" in Iceberg metadata is out of range", key);
	return (int) value;
}

char *
JsonString(const Json *object, const char *key, bool required)
{
	const Json *member = JsonMember(object, key, JSON_STRING, required);

	return member == NULL ? NULL : mem_strdup(member->text);
}

/* ---- writing ---- */

static void
WriteValue(Buffer *out, const Json *json)
{
	switch (json->kind)
	{
		case JSON_NULL:
			BufferPutString(out, "null");
			break;
		case JSON_FALSE:
			BufferPutString(out, "false");
			break;
		case JSON_TRUE:
			BufferPutString(out, "true");
			break;
		case JSON_INTEGER:
			BufferPrintf(out, "%lld", (long long) json->integer);
			break;
		case JSON_REAL:
			BufferPutString(out, json->text);
			break;
		case JSON_STRING:
			BufferPutJsonString(out, json->text);
			break;
		case JSON_ARRAY:
		case JSON_OBJECT:
			BufferPut(out, json->kind == JSON_ARRAY ? "[" : "{", 1);
			for (int i = 0; i < json->n; i++)
			{
				if (i > 0)
					BufferPut(out, ",", 1);
				if (json->kind == JSON_OBJECT)
				{
					BufferPutJsonString(out, json->items[i].key);
					BufferPut(out, ":", 1);
				}
				WriteValue(out, json->items[i].value);
			}
			BufferPut(out, json->kind == JSON_ARRAY ? "]" : "}", 1);
			break;
	}
}

char *
JsonText(const Json *json, size_t *len)
{
	Buffer		out;

	BufferInit(&out);
	WriteValue(&out, json);
	if (len != NULL)
		*len = out.len;
	BufferPut(&out, "", 1);
	return out.data;
}
