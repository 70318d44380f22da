/*
 * weights.h
 *		Weights of the shards of a ring.
 */
#ifndef SHARD_TABLE_WEIGHTS_H
#define SHARD_TABLE_WEIGHTS_H

#include "postgres.h"
#include "utils/array.h"

/*
 * Give a router's shards, in the order of their indexes, these weights (of
 * float8).  Refused where rows would have to move.
 */
extern void WeightsSet(const char *router, ArrayType *weights);

#endif							/* SHARD_TABLE_WEIGHTS_H */
