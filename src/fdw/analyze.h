/*
 * analyze.h
 *		ANALYZE of foreign tables.
 */
#ifndef SHARD_FDW_ANALYZE_H
#define SHARD_FDW_ANALYZE_H

#include "postgres.h"
#include "foreign/fdwapi.h"

extern bool LakeAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
									BlockNumber *totalpages);

#endif							/* SHARD_FDW_ANALYZE_H */
