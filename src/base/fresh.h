/*
 * fresh.h
 *		A fresh snapshot for a query that is about to start.
 */
#ifndef SHARD_FRESH_H
#define SHARD_FRESH_H

#include "postgres.h"
#include "executor/execdesc.h"

/*
 * Give a query a snapshot of now; under READ COMMITTED only.  It sees no more of
 * this transaction's own commands than the old one did.
 */
extern void RefreshSnapshot(QueryDesc *query);

#endif							/* SHARD_FRESH_H */
