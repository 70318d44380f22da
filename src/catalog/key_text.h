/*
 * key_text.h
 *		The text form of values in partition keys.
 */
#ifndef SHARD_CATALOG_KEY_TEXT_H
#define SHARD_CATALOG_KEY_TEXT_H

#include "postgres.h"
#include "lib/stringinfo.h"

/*
 * Can values of this type be (part of) a key?  Not if values that are equal
 * may differ in their text, or if the text depends on settings.
 */
extern bool KeyTextSupports(Oid type);

/* Can values of this type be given to a partition_key_fn, by _shard.key_object()? */
extern bool KeyJsonSupports(Oid type);

/* Are keys of two values of these types alike if the values are equal? */
extern bool KeyTextComparable(Oid a, Oid b);

/*
 * Append a value's text: as to_jsonb() would show it, with times in UTC, and
 * numbers without trailing zeros.  type is supported, or unknown (a literal).
 */
extern void KeyTextAppend(StringInfo buf, Oid type, Datum value);

#endif							/* SHARD_CATALOG_KEY_TEXT_H */
