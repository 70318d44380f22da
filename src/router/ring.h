/*
 * ring.h
 *		The consistent-hash circle.
 */
#ifndef SHARD_ROUTER_RING_H
#define SHARD_ROUTER_RING_H

#include "router/map.h"

/* The most virtual nodes of all members together. */
#define RING_MAX_NODES 500000

typedef struct Ring
{
	int			npoints;
	uint64	   *points;			/* ascending; see ring.c */
} Ring;

extern void RingBuild(Ring *ring, const MapDefinition *def);

/* The member whose point follows this position on the circle. */
extern int	RingLookup(const Ring *ring, uint64 position);

#endif							/* SHARD_ROUTER_RING_H */
