/*
 * fdw.h
 *		Entry point of the fdw folder.
 */
#ifndef SHARD_FDW_H
#define SHARD_FDW_H

extern void FdwInit(void);

#endif							/* SHARD_FDW_H */
