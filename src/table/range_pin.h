/*
 * range_pin.h
 *		Pins of routers of strategy range.
 */
#ifndef SHARD_TABLE_RANGE_PIN_H
#define SHARD_TABLE_RANGE_PIN_H

#include "postgres.h"
#include "catalog/catalog.h"

/*
 * Refuse pins that the router's tables could not follow; returns the key as it
 * is stored.  Does nothing for other strategies.
 */
extern char *RangePinCheck(const Router *router, char *key);

/* Bring the leaves in line with pins that have changed; needs the locks of a flip. */
extern void RangePinApply(const char *router);

#endif							/* SHARD_TABLE_RANGE_PIN_H */
