/*
 * keys.h
 *		Telling the lake which keys a join with a small local table looks for.
 */
#ifndef SHARD_FDW_KEYS_H
#define SHARD_FDW_KEYS_H

#include "postgres.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"

/* More keys than these are not sent. */
#define MAX_JOIN_KEYS 10000

/*
 * To a query that joins lake tables with local ones of few rows, add conditions
 * _shard.is_key(lake column, ARRAY(SELECT local column ...)).
 */
extern void AddJoinKeys(Query *query, ParamListInfo params);

/* Is a function that one? */
extern bool IsKeyFunction(Oid function);

#endif							/* SHARD_FDW_KEYS_H */
