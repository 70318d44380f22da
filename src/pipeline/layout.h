/*
 * layout.h
 *		How the rows of a sharded table look at the moment that they are
 *		decoded: columns, key, partition key, and where each leaf keeps them.
 *
 * Layouts are read from the relation cache under the historic snapshot of the
 * change at hand, so that they fit the tuples even when the table has been
 * altered since.
 */
#ifndef SHARD_PIPELINE_LAYOUT_H
#define SHARD_PIPELINE_LAYOUT_H

#include "postgres.h"
#include "base/counters.h"
#include "client/values.h"
#include "nodes/pg_list.h"
#include "pipeline/layout_key.h"
#include "utils/relcache.h"

typedef struct LayoutColumn
{
	AttrNumber	attnum;			/* of the parent; the field id in the lake */
	char	   *name;
	Oid			typid;
	int32		typmod;
	int16		typlen;
	bool		typbyval;
	bool		is_key;
	bool		null_key;		/* a key that may be null */
	bool		has_missing;	/* added with a default that old rows have not stored */
	ValueCodec	codec;
} LayoutColumn;

typedef struct TableLayout
{
	MemoryContext context;		/* of all of this */
	Oid			parent;
	Oid			owner;			/* of the parent */
	char	   *schema_name;
	char	   *name;
	int			ncols;
	LayoutColumn *cols;
	bool		whole_row;		/* the key is the whole row: REPLICA IDENTITY FULL, no primary key */
	int			nkeys;
	int		   *keys;			/* indexes into cols, in the order of the key's index */
	int			nindexed;		/* that many are in the index; the rest tells shards apart */
	int			npartition;
	int		   *partition;		/* indexes into cols: the partition key's columns */
	LayoutKey  *expression;		/* of the partition key, or NULL */
	bool		key_logged;		/* the WAL has all of it of a deleted row */
	List	   *composites;		/* of Oid: relations of composite types in its columns */
} TableLayout;

typedef struct Leaf
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		wanted;
	int			shard;			/* -1 = not known */
	TableLayout *layout;		/* NULL unless wanted; owned by layout.c */
	AttrNumber *attnums;		/* per column of the layout: the leaf's */
	char		router[NAMEDATALEN];	/* whose shard it is in */
	CounterHandle counters;		/* that router's */
	void	   *changes;		/* for changes.c: where its rows go in this batch */
} Leaf;

extern void LayoutInit(void);

/* What is known of a relation that changed; never NULL. */
extern Leaf *LayoutLeaf(Relation rel);

/* Forget every Leaf's changes pointer, at the end of a batch. */
extern void LayoutForgetChanges(void);

/* Layout of a parent's leaf now, in the current memory context; for resync. */
extern TableLayout *LayoutBuild(Relation leaf, Relation parent);
extern AttrNumber *LayoutLeafColumns(const TableLayout *layout, Relation leaf);
extern int	LayoutLeafShard(Oid leaf);

/* Is this relation partitioned by a router's hash function? */
extern bool LayoutIsRouted(Relation parent);

extern LayoutColumn *LayoutColumnByAttnum(const TableLayout *layout, AttrNumber attnum);

#endif							/* SHARD_PIPELINE_LAYOUT_H */
