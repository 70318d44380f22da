/*
 * opclass.h
 *		A router's operator family: what makes a partitioned table routed.
 */
#ifndef SHARD_TABLE_OPCLASS_H
#define SHARD_TABLE_OPCLASS_H

#include "postgres.h"

/* Create the operator classes and hash functions of a router; drop them. */
extern void OpclassCreate(const char *router);
extern void OpclassDrop(const char *router);

/*
 * Name of the operator class for a partition key of this type, quoted and
 * qualified: _shard.app_text; NULL if keys of this type cannot be routed.
 */
extern char *OpclassForType(const char *router, Oid type);

/* Let DROP EXTENSION take families along that no table uses. */
extern void OpclassFollowExtension(void);

#endif							/* SHARD_TABLE_OPCLASS_H */
