/*
 * retry.h
 *		A router's retry configuration: how often, when and after which errors a
 *		forwarded command is tried again.
 *
 * A JSON object with the elements
 *		max_retries		attempts after the first, 3
 *		retry_delay_ms	before the second attempt, 100
 *		backoff			factor from one delay to the next, 2
 *		timeout_ms		for all attempts and delays together, 0 = no limit
 *		retry_on		SQLSTATEs and classes of them, see RetryDefaults
 */
#ifndef SHARD_CATALOG_RETRY_H
#define SHARD_CATALOG_RETRY_H

#include "postgres.h"
#include "utils/jsonb.h"

#define RETRY_STATES_MAX 32

typedef struct RetryConfig
{
	int			max_retries;
	double		delay_ms;
	double		backoff;
	int64		timeout_ms;
	int			nstates;
	char		states[RETRY_STATES_MAX][6];	/* "40" or "55P03" */
} RetryConfig;

/* Read a configuration; ERROR 22023 names what is wrong with it. */
extern RetryConfig RetryRead(Jsonb *json);

/* Is a command that failed with this SQLSTATE to be tried again? */
extern bool RetryApplies(const RetryConfig *config, int sqlerrcode);

#endif							/* SHARD_CATALOG_RETRY_H */
