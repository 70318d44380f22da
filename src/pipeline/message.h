/*
 * message.h
 *		What travels in the WAL from sessions to the pipeline besides rows, as
 *		transactional logical messages: custom events, and that a table was
 *		altered.
 */
#ifndef SHARD_PIPELINE_MESSAGE_H
#define SHARD_PIPELINE_MESSAGE_H

#include "postgres.h"

#define EVENT_MESSAGE_PREFIX "shard.emit"
#define LAYOUT_MESSAGE_PREFIX "shard.layout"

/* A sharded table looks different from here on. */
typedef struct LayoutMessage
{
	Oid			parent;
	bool		rewritten;		/* its rows may have other values */
} LayoutMessage;

/* Text is UTF-8, with its length; data NULL = SQL null. */
typedef struct MessageText
{
	const char *data;
	size_t		len;
} MessageText;

typedef struct EventMessage
{
	int32		shard;			/* -1 = none */
	bool		keyed;			/* the id is an idempotency key of the user's */
	MessageText id;
	MessageText router;
	MessageText verb;
	MessageText store;
	MessageText payload;		/* JSON */
	MessageText key;
} EventMessage;

/* Write a message that belongs to the current transaction. */
extern void LogTransactional(const char *prefix, const char *data, size_t len);

/* False if the bytes are not a message of ours; the texts point into them. */
extern bool EventMessageDecode(const char *data, size_t len, EventMessage *message);

#endif							/* SHARD_PIPELINE_MESSAGE_H */
