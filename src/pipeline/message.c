/*
 * message.c
 *		shard.emit(): a custom event, as a transactional message in the WAL.
 *
 * The message is part of the transaction like a row: it reaches the pipeline if
 * and when the transaction commits, in commit order, and not if it or the
 * subtransaction is rolled back.  Nothing is written to a table, so emitting
 * takes no lock and leaves nothing to be vacuumed.
 *
 * Format: int32 shard, uint8 keyed, then id, router, verb, store, payload and
 * key, each as uint32 length (NO_TEXT = null) and bytes, in the machine's byte
 * order: WAL does not move between machines either.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pipeline/decode.h"
#include "pipeline/message.h"
#include "pipeline/status.h"
#include "pipeline/wait.h"
#include "pipeline/worker.h"
#include "replication/message.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(shard_emit);

#define NO_TEXT PG_UINT32_MAX
#define READY_TIMEOUT_MS 30000

/* ---- the format ---- */

static void
PutText(StringInfo buf, const char *text)
{
	uint32		len = text == NULL ? NO_TEXT : (uint32) strlen(text);

	appendBinaryStringInfo(buf, (char *) &len, sizeof(len));
	if (text != NULL)
		appendBinaryStringInfo(buf, text, len);
}

static bool
TakeBytes(const char **p, size_t *left, void *out, size_t len)
{
	if (*left < len)
		return false;
	memcpy(out, *p, len);
	*p += len;
	*left -= len;
	return true;
}

static bool
TakeText(const char **p, size_t *left, MessageText *text)
{
	uint32		len;

	if (!TakeBytes(p, left, &len, sizeof(len)))
		return false;
	*text = (MessageText) {NULL, 0};
	if (len == NO_TEXT)
		return true;
	if (len > *left)
		return false;
	*text = (MessageText) {*p, len};
	*p += len;
	*left -= len;
	return true;
}

bool
EventMessageDecode(const char *data, size_t len, EventMessage *message)
{
	uint8		keyed;

	if (!TakeBytes(&data, &len, &message->shard, sizeof(message->shard)) ||
		!TakeBytes(&data, &len, &keyed, sizeof(keyed)) ||
		!TakeText(&data, &len, &message->id) ||
		!TakeText(&data, &len, &message->router) ||
		!TakeText(&data, &len, &message->verb) ||
		!TakeText(&data, &len, &message->store) ||
		!TakeText(&data, &len, &message->payload) ||
		!TakeText(&data, &len, &message->key) || len != 0)
		return false;
	message->keyed = keyed != 0;
	return message->id.data != NULL && message->router.data != NULL &&
		message->verb.data != NULL && message->store.data != NULL && message->payload.data != NULL;
}

void
LogTransactional(const char *prefix, const char *data, size_t len)
{
#if PG_VERSION_NUM >= 170000
	(void) LogLogicalMessage(prefix, data, len, true, false);
#else
	(void) LogLogicalMessage(prefix, data, len, true);
#endif
}

/* ---- the function ---- */

static char *
TextArgument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static char *
RequiredArgument(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *text = TextArgument(fcinfo, n);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	if (text[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be empty", name)));
	return text;
}

/*
 * The pipeline holds text as UTF-8; what is not text at all is refused here,
 * where the user sees it.
 */
static char *
Utf8(char *text)
{
	return text == NULL ? NULL : pg_server_to_any(text, strlen(text), PG_UTF8);
}

static char *
NewId(void)
{
	pg_uuid_t	uuid;

	if (!pg_strong_random(uuid.data, UUID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	uuid.data[6] = (uuid.data[6] & 0x0f) | 0x40;	/* version 4 */
	uuid.data[8] = (uuid.data[8] & 0x3f) | 0x80;	/* variant of RFC 4122 */
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
}

static int32
ShardOfKey(const Router *router, const char *key)
{
	if (key == NULL)
		return -1;
	if (key[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty"),
				 errhint("Give a key of at least one character, or null for none.")));
	return CatalogRoute(router, key, strlen(key));
}

/*
 * An event that is written before the slot exists would never be read.
 */
static void
RequirePipeline(void)
{
	char	   *problem;

	if (SlotIsKept())
		return;
	problem = PipelineWaitReady(READY_TIMEOUT_MS);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pipeline does not take events"),
				 errdetail_internal("%s%s", "Reason: ", problem),
				 errhint("See the view shard.pipeline_status.")));
}

/*
 * shard.emit(router text, verb text, store text, payload jsonb, key text,
 *		idempotency_key text) returns text
 */
Datum
shard_emit(PG_FUNCTION_ARGS)
{
	char	   *router = RequiredArgument(fcinfo, 0, "router");
	char	   *verb = RequiredArgument(fcinfo, 1, "verb");
	char	   *store = RequiredArgument(fcinfo, 2, "store");
	char	   *key = TextArgument(fcinfo, 4);
	char	   *id;
	char	   *payload;
	Jsonb	   *json;
	int32		shard;
	uint8		keyed = !PG_ARGISNULL(5);
	StringInfoData buf;

	PreventCommandIfReadOnly("shard.emit()");
	PreventCommandIfParallelMode("shard.emit()");
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"payload\" must not be null"),
				 errhint("Use 'null'::jsonb or '{}'::jsonb for an event without one.")));
	json = PG_GETARG_JSONB_P(3);
	shard = ShardOfKey(CatalogRouter(router, false), key);
	id = keyed ? RequiredArgument(fcinfo, 5, "idempotency_key") : NewId();
	payload = JsonbToCString(NULL, &json->root, VARSIZE(json));
	RequirePipeline();

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) &shard, sizeof(shard));
	appendBinaryStringInfo(&buf, (char *) &keyed, sizeof(keyed));
	PutText(&buf, Utf8(id));
	PutText(&buf, Utf8(router));
	PutText(&buf, Utf8(verb));
	PutText(&buf, Utf8(store));
	PutText(&buf, Utf8(payload));
	PutText(&buf, Utf8(key));
	LogTransactional(EVENT_MESSAGE_PREFIX, buf.data, buf.len);
	PG_RETURN_TEXT_P(cstring_to_text(id));
}
