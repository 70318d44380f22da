/*
 * origin.c
 *		The replication origin of the extension's own moves of rows.
 *
 * Rows written between TableOriginBegin() and TableOriginEnd() carry
 * SHARD_MOVE_ORIGIN in the WAL.  The session's former origin comes back at
 * TableOriginEnd(), when the (sub)transaction that began it aborts, and before
 * the commit record is written: a marked commit record would make the decoder
 * drop the whole transaction, rows of the application included.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/origin.h"
#include "table/parts.h"
#include "table/table.h"

static bool active = false;
static SubTransactionId active_in;
static RepOriginId former;

void
TableOriginBegin(void)
{
	if (active)
		elog(ERROR, "moves of rows do not nest");
	active = true;
	active_in = GetCurrentSubTransactionId();
	former = replorigin_session_origin;
	replorigin_session_origin = SHARD_MOVE_ORIGIN;
}

void
TableOriginEnd(void)
{
	if (!active)
		return;
	active = false;
	replorigin_session_origin = former;
}

static void
OriginAtXactEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			TableOriginEnd();
			break;
		default:
			break;
	}
}

static void
OriginAtSubXactEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (!active || mine != active_in)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		TableOriginEnd();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		active_in = parent;
}

void
OriginInit(void)
{
	RegisterXactCallback(OriginAtXactEnd, NULL);
	RegisterSubXactCallback(OriginAtSubXactEnd, NULL);
}
