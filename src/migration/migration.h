/*
 * migration.h
 *		Entry point of the migration folder.
 */
#ifndef SHARD_MIGRATION_H
#define SHARD_MIGRATION_H

extern void MigrationInit(void);

#endif							/* SHARD_MIGRATION_H */
