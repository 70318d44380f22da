/*
 * json.c
 *		jansson within our rules.
 *
 * jansson allocates by malloc(), and its hooks are global to a process that we
 * share with other extensions, so they are left alone: a document is tied to a
 * memory context by a reset callback instead.
 */
#include "lake/iceberg/json.h"

#include <limits.h>

#ifndef SHARD_STANDALONE

#include "utils/memutils.h"
#include "utils/palloc.h"

static void
JsonRelease(void *arg)
{
	json_decref((json_t *) arg);
}

json_t *
JsonKeep(json_t *json)
{
	MemoryContextCallback *callback;

	if (json == NULL)
		shard_fail(FAIL_INTERNAL, "out of memory for JSON");
	callback = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(*callback),
										  MCXT_ALLOC_NO_OOM);
	if (callback == NULL)
	{
		json_decref(json);
		shard_fail(FAIL_INTERNAL, "out of memory for JSON");
	}
	callback->func = JsonRelease;
	callback->arg = json;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return json;
}

#else

/* Without memory contexts, documents live as long as the program. */
static json_t *kept = NULL;

json_t *
JsonKeep(json_t *json)
{
	if (json == NULL)
		shard_fail(FAIL_INTERNAL, "out of memory for JSON");
	if (kept == NULL)
		kept = json_array();
	json_array_append_new(kept, json);
	return json;
}

#endif

json_t *
JsonParse(const char *text, size_t len, const char *what)
{
	json_error_t error;
	json_t	   *json = json_loadb(text, len, 0, &error);

	if (json == NULL)
		shard_fail(FAIL_CORRUPT, "%s is not JSON: %s (line %d)", what, error.text, error.line);
	return JsonKeep(json);
}

char *
JsonText(const json_t *json, size_t *len)
{
	size_t		flags = JSON_COMPACT | JSON_ENCODE_ANY;
	size_t		size = json_dumpb(json, NULL, 0, flags);
	char	   *text;

	if (size == 0)
		shard_fail(FAIL_INTERNAL, "cannot write JSON");
	text = mem_alloc(size + 1);
	json_dumpb(json, text, size, flags);
	text[size] = '\0';
	if (len != NULL)
		*len = size;
	return text;
}

/*
 * A member of the given type; null counts as absent.
 */
const json_t *
JsonMember(const json_t *object, const char *key, json_type type, bool required)
{
	const json_t *member = json_object_get(object, key);

	if (member == NULL || json_is_null(member))
	{
		if (required)
			shard_fail(FAIL_CORRUPT, "\"%s\" is missing in Iceberg metadata", key);
		return NULL;
	}
	if (json_typeof(member) != type)
		shard_fail(FAIL_CORRUPT, "\"%s\" in Iceberg metadata has a wrong type", key);
	return member;
}

int64
JsonInteger(const json_t *object, const char *key, bool required, int64 absent)
{
	const json_t *member = JsonMember(object, key, JSON_INTEGER, required);

	return member == NULL ? absent : (int64) json_integer_value(member);
}

int
JsonInt(const json_t *object, const char *key, bool required, int absent)
{
	int64		value = JsonInteger(object, key, required, absent);

	if (value < INT_MIN || value > INT_MAX)
		shard_fail(FAIL_CORRUPT, "\"%s\" in Iceberg metadata is out of range", key);
	return (int) value;
}

char *
JsonString(const json_t *object, const char *key, bool required)
{
	const json_t *member = JsonMember(object, key, JSON_STRING, required);

	return member == NULL ? NULL : mem_strdup(json_string_value(member));
}
