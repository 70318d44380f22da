/*
 * explain_compat.h
 *		ExplainState and ExplainProperty…(), wherever the server declares them.
 */
#ifndef SHARD_EXPLAIN_COMPAT_H
#define SHARD_EXPLAIN_COMPAT_H

#include "postgres.h"
#include "commands/explain.h"

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

#endif							/* SHARD_EXPLAIN_COMPAT_H */
