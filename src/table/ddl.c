/*
 * ddl.c
 *		Commands that the extension itself issues.
 *
 * Distributing a table creates schemas, tables and catalog rows for which its
 * owner has no right, and deparses and parses definitions, whose meaning
 * depends on settings.  A DdlScope runs as the bootstrap superuser in a
 * security-restricted way with these settings pinned, and brings user and
 * settings back at its end; an error brings them back with the transaction.
 * Every name in a command is schema-qualified and quoted.
 *
 * Memory: results live in SPI's context of the scope, until DdlEnd().
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

/* Scopes within scopes, each with the subtransaction that it was begun in. */
#define MAX_DEPTH 32

static int	depth = 0;
static SubTransactionId begun_in[MAX_DEPTH];

static const struct
{
	const char *name;
	const char *value;
}			pinned[] =
{
	{"search_path", "pg_catalog, pg_temp"},
	{"client_min_messages", "warning"},
	{"DateStyle", "ISO"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "3"},
	{"bytea_output", "hex"},
	{"xmloption", "content"},
	{"array_nulls", "on"},
	{"transform_null_equals", "off"},
	{"default_tablespace", ""}
};

void
DdlBegin(DdlScope *scope)
{
	GetUserIdAndSecContext(&scope->user, &scope->sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   scope->sec_context | SECURITY_LOCAL_USERID_CHANGE);
	scope->nest = NewGUCNestLevel();
	for (int i = 0; i < lengthof(pinned); i++)
		(void) set_config_option(pinned[i].name, pinned[i].value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (depth == MAX_DEPTH)
		elog(ERROR, "too many commands within commands");
	scope->outer = depth;
	begun_in[depth++] = GetCurrentSubTransactionId();
}

void
DdlEnd(DdlScope *scope)
{
	depth = scope->outer;
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, scope->nest);
	SetUserIdAndSecContext(scope->user, scope->sec_context);
}

/*
 * Is a command of our own being run?  Event triggers leave those alone.
 */
bool
DdlIsOurs(void)
{
	return depth > 0;
}

/*
 * A subtransaction is aborted, and with it the scopes begun in it; with
 * InvalidSubTransactionId all.
 */
void
DdlForget(SubTransactionId aborted)
{
	while (depth > 0 && begun_in[depth - 1] >= aborted)
		depth--;
}

void
DdlRun(const char *command)
{
	int			result = SPI_execute(command, false, 0);

	if (result < 0)
		elog(ERROR, "%s: %s", SPI_result_code_string(result), command);
}

void
DdlRunf(const char *format,...)
{
	StringInfoData command;

	initStringInfo(&command);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&command, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&command, needed);
	}
	DdlRun(command.data);
	pfree(command.data);
}

void
DdlRunAll(List *commands)
{
	ListCell   *lc;

	foreach(lc, commands)
		DdlRun(lfirst(lc));
}

/*
 * First column of a query's rows as text; rows with NULL are left out.  The
 * query's parameters are $1 (oid) and $2 (integer).  It sees what is committed
 * now in every isolation level, as commands on tables do.
 */
List *
DdlTexts(const char *query, Oid relid, int number)
{
	Oid			types[2] = {OIDOID, INT4OID};
	Datum		values[2] = {ObjectIdGetDatum(relid), Int32GetDatum(number)};
	SPIPlanPtr	plan = SPI_prepare(query, 2, types);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	List	   *texts = NIL;
	int			result;

	if (plan == NULL)
		elog(ERROR, "%s: %s", SPI_result_code_string(SPI_result), query);
	result = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(snapshot);
	if (result < 0 || SPI_tuptable == NULL)
		elog(ERROR, "%s: %s", SPI_result_code_string(result), query);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *text = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (text != NULL)
			texts = lappend(texts, text);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_freeplan(plan);
	return texts;
}

/*
 * The same for a query that gives OIDs.
 */
List *
DdlOids(const char *query, Oid relid)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, DdlTexts(query, relid, 0))
		oids = lappend_oid(oids, atooid(lfirst(lc)));
	return oids;
}
