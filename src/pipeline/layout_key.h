/*
 * layout_key.h
 *		Partition keys that are expressions, evaluated over decoded rows.
 */
#ifndef SHARD_PIPELINE_LAYOUT_KEY_H
#define SHARD_PIPELINE_LAYOUT_KEY_H

#include "postgres.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"

typedef struct LayoutKey LayoutKey;

/*
 * The key of a parent that is partitioned by an expression, in the current
 * memory context; NULL if it is partitioned by a column.  *attnums: the columns
 * that it reads.
 */
extern LayoutKey *LayoutKeyBuild(Relation parent, Bitmapset **attnums);

/*
 * Begin a row, say what its columns (of the parent) hold, and get the text of
 * its key; NULL if it has none.  The text lives until the next row.
 */
extern void LayoutKeyBegin(LayoutKey *key);
extern void LayoutKeySet(LayoutKey *key, AttrNumber attnum, Datum value);
extern const char *LayoutKeyText(LayoutKey *key, size_t *len);

/*
 * The same text as an engine expression over columns <prefix><attnum>; NULL if
 * the engine would not give the same.
 */
extern char *LayoutKeySql(const LayoutKey *key, const char *prefix);

#endif							/* SHARD_PIPELINE_LAYOUT_KEY_H */
