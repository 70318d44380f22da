/*
 * import.h
 *		IMPORT FOREIGN SCHEMA.
 */
#ifndef SHARD_FDW_IMPORT_H
#define SHARD_FDW_IMPORT_H

#include "postgres.h"
#include "nodes/parsenodes.h"

extern List *LakeImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server);

#endif							/* SHARD_FDW_IMPORT_H */
