/*
 * parts.h
 *		What the files of the table folder share with each other only.
 */
#ifndef SHARD_TABLE_PARTS_H
#define SHARD_TABLE_PARTS_H

#include "postgres.h"
#include "storage/lockdefs.h"

/* flip.c */
extern void LockRouter(const char *router, LOCKMODE mode);

/* origin.c */
extern void OriginInit(void);

#endif							/* SHARD_TABLE_PARTS_H */
