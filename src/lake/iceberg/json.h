/*
 * json.h
 *		jansson within our rules: documents belong to a memory context, and what
 *		is missing or of a wrong type is an error that names it.
 */
#ifndef SHARD_ICEBERG_JSON_H
#define SHARD_ICEBERG_JSON_H

#include "base/portable.h"

#include <jansson.h>

/*
 * The server exports a function json_object() of its own, and its symbol comes
 * before jansson's: make new objects in another way.
 */
#define json_object() json_pack("{}")

/* Hand a reference over to the current memory context. */
extern json_t *JsonKeep(json_t *json);

extern json_t *JsonParse(const char *text, size_t len, const char *what);

/* Dump into the current memory context. */
extern char *JsonText(const json_t *json, size_t *len);

extern const json_t *JsonMember(const json_t *object, const char *key, json_type type,
								bool required);
extern int64 JsonInteger(const json_t *object, const char *key, bool required, int64 absent);
extern int	JsonInt(const json_t *object, const char *key, bool required, int absent);
extern char *JsonString(const json_t *object, const char *key, bool required);	/* copied; NULL */

#endif							/* SHARD_ICEBERG_JSON_H */
