/*
 * json.h
 *		JSON documents in the current memory context.
 *
 * Our own, since the libraries for it cannot live in a backend: jansson's
 * json_object() is also the name of a function of the server, which then is
 * called in its place.  Numbers keep their spelling, so that what we do not
 * understand is written again as it was.  Of two members with one name the
 * last counts.
 */
#ifndef SHARD_ICEBERG_JSON_H
#define SHARD_ICEBERG_JSON_H

#include "base/portable.h"

typedef enum JsonKind
{
	JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INTEGER, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT
} JsonKind;

typedef struct Json Json;

typedef struct JsonItem
{
	char	   *key;			/* NULL in an array */
	Json	   *value;
} JsonItem;

struct Json
{
	JsonKind	kind;
	int64		integer;
	char	   *text;			/* of a string or a real number */
	int			n;
	int			allocated;
	JsonItem   *items;
};

/* Parse a whole text; "what" names it in errors (FAIL_CORRUPT). */
extern Json *JsonParse(const char *text, size_t len, const char *what);

/* Write without spaces. */
extern char *JsonText(const Json *json, size_t *len);

/* ---- reading; a NULL argument is as good as an absent value ---- */

extern Json *JsonGet(const Json *object, const char *key);	/* NULL */
extern Json *JsonAt(const Json *array, int i);	/* NULL */
extern int	JsonSize(const Json *json); /* elements or members; 0 for all else */
extern bool JsonIs(const Json *json, JsonKind kind);
extern const char *JsonStringValue(const Json *json);	/* NULL if it is none */
extern int64 JsonIntegerValue(const Json *json);	/* 0 if it is none */
extern bool JsonEqual(const Json *a, const Json *b);	/* order of members does not matter */

/* Walk an object's members; does nothing for NULL. */
#define JSON_FOREACH(object, key_, value_) \
	for (int i_ = 0; i_ < JsonSize(object) && \
		 ((key_) = (object)->items[i_].key, (value_) = (object)->items[i_].value, true); i_++)

/* Members of a given type; null counts as absent; FAIL_CORRUPT names the member. */
extern const Json *JsonMember(const Json *object, const char *key, JsonKind kind, bool required);
extern int64 JsonInteger(const Json *object, const char *key, bool required, int64 absent);
extern int	JsonInt(const Json *object, const char *key, bool required, int absent);
extern char *JsonString(const Json *object, const char *key, bool required);	/* copied; NULL */

/* ---- building ---- */

extern Json *JsonNew(JsonKind kind);	/* null, false, true, array, object */
extern Json *JsonNewInteger(int64 value);
extern Json *JsonNewString(const char *value);
extern void JsonAppend(Json *array, Json *value);
extern void JsonAdd(Json *object, char *key, Json *value);	/* unchecked, the key not copied */
extern void JsonSet(Json *object, const char *key, Json *value);	/* adds or replaces */
extern void JsonRemove(Json *object, const char *key);
extern Json *JsonCopy(const Json *json);	/* its own members or elements, shared values */

#endif							/* SHARD_ICEBERG_JSON_H */
