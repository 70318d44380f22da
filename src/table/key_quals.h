/*
 * key_quals.h
 *		Pruning of tables whose partition key is an expression.
 */
#ifndef SHARD_TABLE_KEY_QUALS_H
#define SHARD_TABLE_KEY_QUALS_H

extern void KeyQualsInit(void);

#endif							/* SHARD_TABLE_KEY_QUALS_H */
