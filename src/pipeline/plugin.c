/*
 * plugin.c
 *		The output plugin: picks the changes of sharded tables' leaves out of
 *		decoded transactions and puts them into the batch at hand.
 *
 * It writes nothing to the decoding context: the worker that decodes is also
 * the consumer.  Another process that opens a slot with this plugin gets an
 * error.  Callbacks run in commit order, under a historic snapshot.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/origin.h"
#include "catalog/pg_inherits.h"
#include "pipeline/changes.h"
#include "pipeline/emitted.h"
#include "pipeline/layout.h"
#include "pipeline/message.h"
#include "pipeline/plugin.h"
#include "replication/logical.h"
#include "utils/rel.h"

static bool enabled = false;
static ChangeTxn current;
static int64 rows = 0;

void
PluginEnable(void)
{
	enabled = true;
}

int64
PluginRows(void)
{
	return rows;
}

static void
Startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	if (!enabled)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output plugin \"shard\" works inside the pipeline worker only"),
				 errhint("The extension makes its slot by itself; query the lake instead.")));
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	options->receive_rewrites = false;
}

static void
Begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	current.xid = txn->xid;
	current.commit_lsn = txn->final_lsn;
	current.commit_time = txn->xact_time.commit_time;
	current.seq = 0;
}

static void
Change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation rel,
	   ReorderBufferChange *change)
{
	Leaf	   *leaf;

	if (!rel->rd_rel->relispartition)
		return;
	leaf = LayoutLeaf(rel);
	if (!leaf->wanted)
		return;
	rows++;
	switch (change->action)
	{
		case REORDER_BUFFER_CHANGE_INSERT:
			if (change->data.tp.newtuple != NULL)
				ChangesInsert(leaf, rel, &current, ChangeTuple(change->data.tp.newtuple));
			break;
		case REORDER_BUFFER_CHANGE_UPDATE:
			if (change->data.tp.newtuple != NULL)
				ChangesUpdate(leaf, rel, &current, ChangeTuple(change->data.tp.oldtuple),
							  ChangeTuple(change->data.tp.newtuple));
			break;
		case REORDER_BUFFER_CHANGE_DELETE:
			ChangesDelete(leaf, rel, &current, ChangeTuple(change->data.tp.oldtuple));
			break;
		default:
			break;
	}
}

static bool
IsAmong(Oid relid, int nrelations, Relation relations[])
{
	for (int i = 0; i < nrelations; i++)
		if (RelationGetRelid(relations[i]) == relid)
			return true;
	return false;
}

/*
 * TRUNCATE names the parent and all its leaves, or single leaves.
 */
static void
Truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
		 Relation relations[], ReorderBufferChange *change)
{
	List	   *done = NIL;

	for (int i = 0; i < nrelations; i++)
	{
		Leaf	   *leaf;
		bool		whole;

		if (!relations[i]->rd_rel->relispartition)
			continue;
		leaf = LayoutLeaf(relations[i]);
		if (!leaf->wanted || list_member_oid(done, leaf->layout->parent))
			continue;
		whole = IsAmong(leaf->layout->parent, nrelations, relations);
		if (whole)
			done = lappend_oid(done, leaf->layout->parent);
		rows++;
		ChangesTruncate(leaf, &current, whole);
	}
	list_free(done);
}

/*
 * A table was altered: note its layout here, in the order of the WAL.  All its
 * leaves look alike; any will do.
 */
static void
NoteLayout(const LayoutMessage *message)
{
	List	   *leaves = find_inheritance_children(message->parent, NoLock);
	Relation	rel = leaves == NIL ? NULL : RelationIdGetRelation(linitial_oid(leaves));
	Leaf	   *leaf;

	if (!RelationIsValid(rel))
		return;
	leaf = LayoutLeaf(rel);
	if (leaf->wanted)
		ChangesNoteLayout(leaf, &current, message->rewritten);
	RelationClose(rel);
}

/*
 * Messages of ours; markers of shard.flush() and messages of others pass by.
 */
static void
Message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr message_lsn,
		bool transactional, const char *prefix, Size size, const char *data)
{
	if (!transactional)
		return;
	if (strcmp(prefix, EVENT_MESSAGE_PREFIX) == 0)
	{
		rows++;
		EmittedAdd(&current, data, size);
	}
	else if (strcmp(prefix, LAYOUT_MESSAGE_PREFIX) == 0 && size == sizeof(LayoutMessage))
	{
		LayoutMessage message;

		memcpy(&message, data, sizeof(message));
		NoteLayout(&message);
	}
}

static void
Commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
}

/*
 * Leave out moves of rows between shards, and this worker's own writes.
 */
static bool
FilterOrigin(LogicalDecodingContext *ctx, RepOriginId origin)
{
	return origin == SHARD_MOVE_ORIGIN;
}

static void
Shutdown(LogicalDecodingContext *ctx)
{
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = Startup;
	cb->begin_cb = Begin;
	cb->change_cb = Change;
	cb->truncate_cb = Truncate;
	cb->message_cb = Message;
	cb->commit_cb = Commit;
	cb->filter_by_origin_cb = FilterOrigin;
	cb->shutdown_cb = Shutdown;
}
