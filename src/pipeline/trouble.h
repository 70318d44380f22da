/*
 * trouble.h
 *		What keeps the lake behind its tables.
 */
#ifndef SHARD_PIPELINE_TROUBLE_H
#define SHARD_PIPELINE_TROUBLE_H

#include "postgres.h"

/* Why the pipeline leaves out the sharded table of a lake table; NULL if it does not. */
extern char *TroubleOfTable(const char *namespace, const char *name);

/*
 * Why the pipeline of this database, which has run, does not get on; NULL if it
 * does, or may after another try.
 */
extern char *TroubleOfPipeline(void);

/* The sharded table of which a lake table has the rows or events; InvalidOid if none. */
extern Oid	RelationOfLakeTable(const char *namespace, const char *name);

#endif							/* SHARD_PIPELINE_TROUBLE_H */
