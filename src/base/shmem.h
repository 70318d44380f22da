/*
 * shmem.h
 *		One place for the shared-memory hooks: a folder registers the piece it
 *		needs, and finds it initialized when the server runs.
 */
#ifndef SHARD_SHMEM_H
#define SHARD_SHMEM_H

#include "postgres.h"

typedef void (*ShmemPieceInit) (void *piece);

/*
 * To be called from a folder's Init function.  *piece is set in every process
 * once shared memory is there, and stays NULL when the library was not
 * preloaded.  init runs once, on zeroed memory.
 */
extern void ShmemRegister(const char *name, Size size, void **piece, ShmemPieceInit init);

/* To be called when all pieces are there, with every start of shared memory. */
extern void ShmemAtStart(void (*starter) (void));

/* Install the hooks; after the last ShmemRegister(). */
extern void ShmemInstall(void);

/* Was the library loaded by shared_preload_libraries? */
extern bool ShardPreloaded(void);

/* ERROR 55000 with a hint if not. */
extern void RequirePreloaded(void);

#endif							/* SHARD_SHMEM_H */
