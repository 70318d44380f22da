/*
 * job.h
 *		A migration as the journal has it, and the changes of its state.
 *
 * Every function here works within the caller's transaction.
 */
#ifndef SHARD_MIGRATION_JOB_H
#define SHARD_MIGRATION_JOB_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* Failures in a row after which a migration gives up. */
#define JOB_MAX_FAILURES 5

typedef enum PlanType
{
	PLAN_ADD_SHARD,
	PLAN_REMOVE_SHARD,
	PLAN_REBALANCE,
	PLAN_ISOLATE,
	PLAN_RANGES
} PlanType;

typedef struct MigrationPlan
{
	int64		id;
	char	   *type;
	char	   *router;
	PlanType	kind;
	int			shard_index;	/* that joins or leaves; -1 = none */
	char	   *shard_name;
	char	   *server;			/* NULL = here */
	bool		has_pins;		/* keys are pinned as they move */
	bool		evacuate;		/* the leaving shard is not to be read */
	int			nmembers;
	int		   *members;
	int			nnext;
	int		   *next_members;
	char	   *ranges;			/* JSON, for strategy range; else NULL */
	int			default_shard;	/* with ranges */
	List	   *warnings;		/* of char * */
} MigrationPlan;

typedef struct MigrationJob
{
	int64		id;
	MigrationPlan *plan;
	char	   *router;
	char	   *state;
	char	   *phase;
	bool		unfinished;
	int			direction;		/* 1 forward, -1 rolling back */
	char	   *requested;		/* JOB_CANCEL and so on, or NULL */
	int			batch_size;
	bool		rollback_on_failure;
	TimestampTz start_at;
	TimestampTz deadline;		/* 0 = none */
	int			failures;
	int64		keys_done;
	int64		keys_total;
	int64		rows_done;
	int64		rows_total;
	char	   *error;
	char	   *turned_back;	/* the error for which it goes back; NULL = cancelled */
} MigrationJob;

/* What users ask of a job. */
#define JOB_PAUSE	"pause"
#define JOB_CANCEL	"cancel"	/* goes back or stays, as it was started */
#define JOB_BACK	"back"		/* cancel: what was moved goes back */
#define JOB_STAY	"stay"		/* cancel: what was moved stays */

/* What a committed batch did. */
typedef struct BatchReport
{
	uint64		low,
				high;			/* positions, both included */
	bool		last;
	int64		keys;
	int64		rows;
	int64		from_lake;
	int64		from_source;
	int64		under_lock;
	uint64		checksum;
	int			lock_attempts;
	TimestampTz started;
	TimestampTz locked;			/* when the locks were had */
} BatchReport;

/* Positions of hash space as the journal's signed "place" and back. */
#define PLACE_OF(position)	((int64) ((position) ^ (UINT64CONST(1) << 63)))

/* Does the plan make a shard? */
#define PLAN_JOINS(plan) \
	((plan)->kind == PLAN_ADD_SHARD || (plan)->kind == PLAN_ISOLATE)

/* Does the map over the members stay as it is? */
extern bool PlanKeepsMembers(const MigrationPlan *plan);

extern MigrationPlan *PlanRead(int64 id);	/* ERROR 42704 if there is none */
extern MigrationJob *JobRead(int64 id); /* NULL if there is none */

extern void JobLog(int64 id, const char *phase, const char *fmt,...) pg_attribute_printf(3, 4);
extern void JobStarted(int64 id);
extern void JobPhase(int64 id, const char *phase);
extern void JobBatch(const MigrationJob *job, const BatchReport *report);
extern void JobTurnBack(int64 id, const char *error);	/* NULL = cancelled */
extern void JobEnd(int64 id, const char *state, bool unfinished, bool rolled_back,
				   const char *error);
extern int	JobFailure(int64 id, const char *error);	/* returns failures in a row */

/* Is this job at its last step, when all keys have moved? */
extern bool JobIsFlushing(const MigrationJob *job);

/* Can a request still be acted upon?  Has one been made that can? */
extern bool JobHeeds(const MigrationJob *job, const char *request);
extern bool JobIsRequested(const MigrationJob *job);
extern void JobDropRequest(int64 id);

/* Is a worker at it?  Take the lock that says so, for the life of the session. */
extern bool JobClaim(int64 id);
extern bool JobIsClaimed(int64 id);

#endif							/* SHARD_MIGRATION_JOB_H */
