/*
 * key_order.h
 *		How a router of strategy range compares keys, and its ranges.
 *
 * Keys are values of the router's key type, in the order of its B-tree; text
 * in the order of its bytes.  Values of a set live in the memory context in
 * which it was made.
 */
#ifndef SHARD_CATALOG_KEY_ORDER_H
#define SHARD_CATALOG_KEY_ORDER_H

#include "postgres.h"
#include "fmgr.h"
#include "router/range.h"
#include "utils/jsonb.h"

typedef struct KeyOrder
{
	Oid			type;
	int16		len;
	bool		byval;
	Oid			ioparam;
	FmgrInfo	compare;
	FmgrInfo	input;
	FmgrInfo	output;
} KeyOrder;

/* What a key type may be, for hints. */
#define KEY_TYPES_HINT \
	"Keys are ordered as text, smallint, integer, bigint, numeric, date, timestamp, timestamptz or uuid."

/* NULL if keys of this type cannot be compared. */
extern KeyOrder *KeyOrderCreate(Oid type);

extern RangeOrder KeyOrderRange(KeyOrder *order);

/* A value from its text, with the type's own error; palloc'd. */
extern Datum KeyOrderRead(KeyOrder *order, const char *text);

/*
 * The same for a key that may be of a wider type of integer, as a table's column
 * may be.  Above the greatest value of the order's type there is no bound, so a
 * key from there is taken for that; false if it is below the least.
 */
extern bool KeyOrderReadWide(KeyOrder *order, const char *text, Datum *value);

/* Its text, the same under all settings, and readable under all; palloc'd. */
extern char *KeyOrderText(KeyOrder *order, Datum value);

/* The least value above this one; false if there is none or the type has none. */
extern bool KeyOrderNext(KeyOrder *order, Datum value, Datum *next);

/*
 * Ranges from [{"start": ..., "end": ..., "shard": n}, ...], sorted; ERROR 22023
 * if they are not such an array, empty, overlap, or name a shard above
 * MAX_SHARDS.
 */
extern RangeSet *RangesRead(KeyOrder *order, Jsonb *json);

/* As they are stored: sorted, both bounds in each, null for unbounded. */
extern Jsonb *RangesWrite(KeyOrder *order, const RangeSet *set);

/* "[a, b)", "(unbounded)"; for messages. */
extern char *RangeText(KeyOrder *order, const Range *range);

#endif							/* SHARD_CATALOG_KEY_ORDER_H */
