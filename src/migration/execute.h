/*
 * execute.h
 *		Making a migration of a plan.
 */
#ifndef SHARD_MIGRATION_EXECUTE_H
#define SHARD_MIGRATION_EXECUTE_H

#include "postgres.h"
#include "migration/sql.h"

typedef struct ExecuteOptions
{
	int			batch_size;
	SqlArg		timeout;
	bool		rollback_on_failure;
	TimestampTz start_at;
} ExecuteOptions;

/*
 * Check a plan and write the migration; its worker starts when the transaction
 * commits.  Returns its id.  ERROR if the plan cannot be executed.
 */
extern int64 MigrationExecute(int64 plan_id, const ExecuteOptions *options);

#endif							/* SHARD_MIGRATION_EXECUTE_H */
