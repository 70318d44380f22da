/*
 * letters.c
 *		Dead letters; see letters.h.
 *
 * Letters about values are noted while rows are decoded or compared, where no
 * SQL can be run, and written with the flush that has the rows.  What is noted
 * lives in a context of its own, until the batch ends; its size is bounded.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pipeline/letters.h"
#include "pipeline/register.h"
#include "pipeline/worker.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(shard_replay_dead_letters);
PG_FUNCTION_INFO_V1(shard_resync);

/* Letters noted at a time; of more only the number is kept. */
#define MAX_NOTED 1000

/* Letters about values that a table has at most; the oldest go. */
#define MAX_KEPT 10000

typedef struct Letter
{
	Oid			relation;
	XLogRecPtr	lsn;
	int64		seq;
	char	   *reason;
	char	   *payload;		/* JSON, in the database's encoding */
} Letter;

static MemoryContext context = NULL;
static List *noted = NIL;
static int64 not_kept = 0;
static Oid	at_hand = InvalidOid;

/* ---- values ---- */

static void
AppendRow(StringInfo json, const TableLayout *layout, const AttrNumber *attnums,
		  const Datum *values, const bool *nulls)
{
	bool		first = true;

	appendStringInfoChar(json, '{');
	for (int i = 0; i < layout->ncols; i++)
	{
		const LayoutColumn *col = &layout->cols[i];
		int			at = attnums[i] - 1;
		Oid			function;
		bool		is_varlena;

		if (!nulls[at] && col->typlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[at])))
			continue;
		if (!first)
			appendStringInfoString(json, ", ");
		first = false;
		escape_json(json, col->name);
		appendStringInfoString(json, ": ");
		if (nulls[at])
		{
			appendStringInfoString(json, "null");
			continue;
		}
		getTypeOutputInfo(col->typid, &function, &is_varlena);
		escape_json(json, OidOutputFunctionCall(function, values[at]));
	}
	appendStringInfoChar(json, '}');
}

void
LettersNote(const TableLayout *layout, const AttrNumber *attnums, int col, const Datum *values,
			const bool *nulls, XLogRecPtr lsn, int64 seq)
{
	MemoryContext old;
	Letter	   *letter;
	StringInfoData json;

	if (list_length(noted) >= MAX_NOTED)
	{
		not_kept++;
		return;
	}
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "shard dead letters",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	letter = palloc(sizeof(Letter));
	letter->relation = layout->parent;
	letter->lsn = lsn;
	letter->seq = seq;
	letter->reason = psprintf("the lake cannot hold the value of column \"%s\" as %s: it has NULL there",
							  layout->cols[col].name, ValueEngineType(&layout->cols[col].codec));
	initStringInfo(&json);
	AppendRow(&json, layout, attnums, values, nulls);
	letter->payload = json.data;
	noted = lappend(noted, letter);
	MemoryContextSwitchTo(old);
}

void
LettersReset(void)
{
	noted = NIL;
	not_kept = 0;
	if (context != NULL)
		MemoryContextReset(context);
}

static void
Run(const char *sql, int nargs, Oid *types, Datum *args, const char *nulls)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args(sql, nargs, types, args, nulls, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
	PopActiveSnapshot();
	SPI_finish();
}

static void
Insert(Oid relation, const char *kind, XLogRecPtr lsn, const char *event_id, const char *reason,
	   const char *payload)
{
	Oid			types[6] = {OIDOID, TEXTOID, PG_LSNOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		args[6];
	char		nulls[7] = "      ";

	args[0] = ObjectIdGetDatum(relation);
	args[1] = CStringGetTextDatum(kind);
	args[2] = LSNGetDatum(lsn);
	args[3] = event_id != NULL ? CStringGetTextDatum(event_id) : (Datum) 0;
	args[4] = CStringGetTextDatum(reason);
	args[5] = payload != NULL ? CStringGetTextDatum(payload) : (Datum) 0;
	if (event_id == NULL)
		nulls[3] = 'n';
	if (payload == NULL)
		nulls[5] = 'n';
	Run("INSERT INTO _shard.dead_letter (relation, kind, lsn, event_id, reason, payload)"
		" VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.jsonb)", 6, types, args, nulls);
}

/*
 * A row that is updated again and again must not fill the disk with letters.
 */
static void
ForgetOldest(Oid relation)
{
	Oid			types[2] = {OIDOID, INT4OID};
	Datum		args[2];

	args[0] = ObjectIdGetDatum(relation);
	args[1] = Int32GetDatum(MAX_KEPT);
	Run("DELETE FROM _shard.dead_letter WHERE relation = $1 AND kind = 'value' AND id <="
		" (SELECT id FROM _shard.dead_letter WHERE relation = $1 AND kind = 'value'"
		" ORDER BY id DESC OFFSET $2 LIMIT 1)", 2, types, args, NULL);
}

void
LettersWrite(Oid relation, const Position *position)
{
	int64		written = 0;
	ListCell   *lc;

	foreach(lc, noted)
	{
		const Letter *letter = lfirst(lc);

		if (letter->relation != relation)
			continue;
		written++;
		Insert(relation, "value", letter->lsn,
			   letter->seq == 0 ? NULL :
			   psprintf("%u-" UINT64_FORMAT "-" INT64_FORMAT, position->timeline, letter->lsn, letter->seq),
			   letter->reason, letter->payload);
	}
	if (written == 0)
		return;
	if (not_kept > 0)
		Insert(relation, "value", position->lsn, NULL,
			   psprintf("and " INT64_FORMAT " more rows of the same flush, in any table", not_kept), NULL);
	ForgetOldest(relation);
	ereport(WARNING,
			(errmsg("the lake cannot hold a value of " INT64_FORMAT " rows of table \"%s\": it has NULL there",
					written + not_kept, get_rel_name(relation)),
			 errhint("The rows are in shard.dead_letters.")));
}

void
LettersForgetCompared(Oid relation)
{
	Oid			types[1] = {OIDOID};
	Datum		args[1];

	args[0] = ObjectIdGetDatum(relation);
	Run("DELETE FROM _shard.dead_letter WHERE relation = $1 AND kind = 'value' AND event_id IS NULL",
		1, types, args, NULL);
}

/* ---- tables ---- */

void
LettersAtHand(Oid relation)
{
	at_hand = relation;
}

Oid
LettersTableAtHand(void)
{
	return at_hand;
}

bool
LettersIsFaultOfTable(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return false;
		default:
			return sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE;	/* of a file, that is */
	}
}

void
LettersWriteFault(Oid relation, const Position *position, const ErrorData *error)
{
	char	   *problem = psprintf("its changes cannot be written: %s", error->message);
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"sqlstate\": \"%s\", \"error\": ", unpack_sql_state(error->sqlerrcode));
	escape_json(&payload, error->message);
	if (error->detail != NULL)
	{
		appendStringInfoString(&payload, ", \"detail\": ");
		escape_json(&payload, error->detail);
	}
	if (error->hint != NULL)
	{
		appendStringInfoString(&payload, ", \"hint\": ");
		escape_json(&payload, error->hint);
	}
	if (error->context != NULL)
	{
		appendStringInfoString(&payload, ", \"context\": ");
		escape_json(&payload, error->context);
	}
	appendStringInfoChar(&payload, '}');
	RegisterProblem(relation, problem);
	Insert(relation, "table", position->lsn, NULL, problem, payload.data);
	ereport(WARNING,
			(errmsg("table \"%s\" is left out of the pipeline", get_rel_name(relation)),
			 errdetail_internal("%s", problem),
			 errhint("See shard.dead_letters; shard.replay_dead_letters() takes the table in again.")));
}

/* ---- comparing by hand ---- */

/*
 * Statements whose $1 is a table, or NULL for all, as the extension's owner: the
 * right to call the function is the right to do this.  Returns the rows of the
 * first and of the last one.
 */
static void
RunAsOwner(FunctionCallInfo fcinfo, const char *const *statements, int n, int64 *first, int64 *last)
{
	Oid			types[1] = {OIDOID};
	Datum		args[1];
	const char *nulls = PG_ARGISNULL(0) ? "n" : " ";
	Oid			user;
	int			sec_context;
	int			nest;

	args[0] = PG_ARGISNULL(0) ? (Datum) 0 : ObjectIdGetDatum(PG_GETARG_OID(0));
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	nest = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < n; i++)
	{
		if (SPI_execute_with_args(statements[i], 1, types, args, nulls, false, 0) < 0)
			elog(ERROR, "could not run: %s", statements[i]);
		*(i == 0 ? first : last) = (int64) SPI_processed;
	}
	PopActiveSnapshot();
	SPI_finish();
	AtEOXact_GUC(false, nest);
	SetUserIdAndSecContext(user, sec_context);
	WakeWorkerAtCommit();
}

/*
 * shard.replay_dead_letters(relation regclass) returns bigint
 *
 * At commit the worker compares the tables of the letters with the lake, and
 * writes what is different; what still cannot be written makes new letters.
 */
Datum
shard_replay_dead_letters(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"UPDATE _shard.lake_table t SET problem = NULL, synced = false"
		" WHERE (relation = $1 OR $1 IS NULL) AND (problem IS NOT NULL OR EXISTS"
		" (SELECT FROM _shard.dead_letter d WHERE d.relation = t.relation))",
		"DELETE FROM _shard.dead_letter WHERE relation = $1 OR $1 IS NULL"
	};
	int64		tables;
	int64		letters;

	RunAsOwner(fcinfo, statements, lengthof(statements), &tables, &letters);
	PG_RETURN_INT64(letters);
}

/*
 * shard.resync(relation regclass) returns void
 *
 * A table that was left out is taken in again.
 */
Datum
shard_resync(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"UPDATE _shard.lake_table SET problem = NULL, synced = false"
		" WHERE relation = $1 OR $1 IS NULL",
		"DELETE FROM _shard.dead_letter WHERE kind = 'table' AND (relation = $1 OR $1 IS NULL)"
	};
	int64		tables;
	int64		letters;

	RunAsOwner(fcinfo, statements, lengthof(statements), &tables, &letters);
	if (tables == 0 && !PG_ARGISNULL(0))
	{
		char	   *name = get_rel_name(PG_GETARG_OID(0));

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", PG_GETARG_OID(0))));
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is not kept in the lake", name),
				 errhint("See the view shard.tables.")));
	}
	PG_RETURN_VOID();
}
