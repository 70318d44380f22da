/*
 * keys.h
 *		Where keys are, where they go, and how a row's key is read.
 */
#ifndef SHARD_MIGRATION_KEYS_H
#define SHARD_MIGRATION_KEYS_H

#include "postgres.h"
#include "access/htup.h"
#include "catalog/catalog.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

/* The way from a router's map, with its pins, to the next one, or back. */
typedef struct KeyMoves
{
	char	   *router;
	HashFunction hash;
	RouterMap  *before;
	RouterMap  *after;
	bool		has_pins;
	bool		has_next_pins;
	bool		backward;
	int			leaving;		/* pins to this shard go; -1 = none */
	/* the last key looked up: rows of a key often follow each other */
	char	   *last_key;
	size_t		last_len;
	size_t		last_allocated;
	uint64		last_position;
	int			last_before;
	int			last_after;
} KeyMoves;

/*
 * The way to the map over the given members, in the current memory context; a
 * member that has no row yet weighs 1.  What a running migration changes of the
 * pins is taken into account, and that pins to the leaving shard (-1 = none)
 * will go.
 */
extern KeyMoves *KeyMovesCreate(const Router *router, const int *next, int nnext,
								int leaving, bool backward);
extern void KeyMovesLookup(KeyMoves *moves, const char *key, size_t len,
						   uint64 *position, int *before, int *after);

/* Position of a key in hash space. */
extern uint64 KeyMovesPosition(const KeyMoves *moves, const char *key, size_t len);

/* Reads the partition key of the rows of one leaf. */
typedef struct KeyReader
{
	AttrNumber	attnum;			/* in the leaf; 0 = expression */
	Oid			type;
	bool		is_text;
	ExprState  *expression;
	EState	   *estate;
	TupleTableSlot *slot;
	Oid			owner;			/* as whom expressions are evaluated */
} KeyReader;

extern KeyReader *KeyReaderCreate(Relation parent, Relation leaf);
extern void KeyReaderFree(KeyReader *reader);

/* Text form of a row's key, in the current context or in the row; never null. */
extern const char *KeyReaderText(KeyReader *reader, HeapTuple tuple, TupleDesc desc, size_t *len);

/* Text form of a key value. */
extern const char *KeyDatumText(Oid type, bool is_text, Datum value, size_t *len);
extern bool KeyTypeIsText(Oid type);

#endif							/* SHARD_MIGRATION_KEYS_H */
