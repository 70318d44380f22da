/*
 * times.c
 *		Dates, timestamps and time zones as engine SQL.
 *
 * Intervals are shipped only as constants that something is added to.  What
 * depends on a time zone gets the zone's rules from PostgreSQL, as a list of its
 * offsets (shard_zone_rules), so that the engine needs no time zones of its own;
 * the session's zone is asked for when the statement runs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fdw/shippable.h"
#include "fdw/times.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

/* What the rules of a zone are said to hold for: years 1811 to 2300, or all. */
#define ZONE_LOW INT64CONST(-5000000000)
#define ZONE_HIGH INT64CONST(10413792000)
#define ZONE_ALL INT64CONST(90000000000000)

PG_FUNCTION_INFO_V1(shard_zone_rules);

typedef enum TimeKind
{
	TIME_ADD,					/* an interval to a timestamp */
	TIME_SUBTRACT,
	TIME_DATE_ADD,				/* an interval to a date */
	TIME_DATE_SUBTRACT,
	TIME_ZONED_ADD,				/* an interval to a timestamp with time zone */
	TIME_ZONED_SUBTRACT,
	TIME_FIELD,					/* a field of a date or timestamp */
	TIME_ZONED_FIELD,
	TIME_PLAIN					/* sql alone */
} TimeKind;

#define SESSION_ZONE (-1)

typedef struct TimeRule
{
	Oid			function;
	TimeKind	kind;
	const char *sql;
	bool		whole;			/* it may fail where PostgreSQL does not */
	int			zone;			/* SESSION_ZONE, or the argument that names the zone, from 1 */
} TimeRule;

#define LOCAL "shard_zone_local(%1, %z)"
#define LOCAL_DATE "(CASE WHEN isinf(%1) THEN CASE WHEN " LOCAL " > make_timestamp(0) THEN DATE 'infinity' " \
	"ELSE DATE '-infinity' END ELSE CAST(" LOCAL " AS DATE) END)"

static const TimeRule rules[] = {
	{F_TIMESTAMP_PL_INTERVAL, TIME_ADD},
	{F_TIMESTAMP_MI_INTERVAL, TIME_SUBTRACT},
	{F_DATE_PL_INTERVAL, TIME_DATE_ADD},
	{F_DATE_MI_INTERVAL, TIME_DATE_SUBTRACT},
	{F_TIMESTAMPTZ_PL_INTERVAL, TIME_ZONED_ADD, NULL, false, SESSION_ZONE},
	{F_TIMESTAMPTZ_MI_INTERVAL, TIME_ZONED_SUBTRACT, NULL, false, SESSION_ZONE},
	{F_DATE_PLI, TIME_PLAIN, "shard_date_add(%1, %2)"},
	{F_DATE_MII, TIME_PLAIN, "shard_date_add(%1, shard_sub_int4(0, %2))", true},
	{F_DATE_MI, TIME_PLAIN, "shard_date_diff(%1, %2)"},
	{F_EXTRACT_TEXT_DATE, TIME_FIELD},
	{F_EXTRACT_TEXT_TIMESTAMP, TIME_FIELD},
	{F_DATE_PART_TEXT_TIMESTAMP, TIME_FIELD},
	{F_DATE_TRUNC_TEXT_TIMESTAMP, TIME_FIELD},
	{F_EXTRACT_TEXT_TIMESTAMPTZ, TIME_ZONED_FIELD, NULL, false, SESSION_ZONE},
	{F_DATE_PART_TEXT_TIMESTAMPTZ, TIME_ZONED_FIELD, NULL, false, SESSION_ZONE},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, TIME_ZONED_FIELD, NULL, false, SESSION_ZONE},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, TIME_ZONED_FIELD, NULL, false, 3},
	{F_DATE_TIMESTAMPTZ, TIME_PLAIN, LOCAL_DATE, false, SESSION_ZONE},
	{F_TIMESTAMP_TIMESTAMPTZ, TIME_PLAIN, LOCAL, false, SESSION_ZONE},
	{F_TIMESTAMPTZ_TIMESTAMP, TIME_PLAIN, "shard_zone_utc(%1, %z)", false, SESSION_ZONE},
	{F_TIMESTAMPTZ_DATE, TIME_PLAIN, "shard_zone_utc(CAST(%1 AS TIMESTAMP), %z)", true, SESSION_ZONE},
	{F_TIMEZONE_TEXT_TIMESTAMPTZ, TIME_PLAIN, "shard_zone_local(%2, %z)", false, 1},
	{F_TIMEZONE_TEXT_TIMESTAMP, TIME_PLAIN, "shard_zone_utc(%2, %z)", false, 1},
};

static const TimeRule *
RuleOf(Oid function)
{
	for (int i = 0; i < lengthof(rules); i++)
		if (rules[i].function == function)
			return &rules[i];
	return NULL;
}

bool
IsTimeFunction(Oid function)
{
	return RuleOf(function) != NULL;
}

/* ---- the rules of a zone ---- */

/*
 * "low,high,offset,transition,offset ...": see engine/dates.h.
 */
static char *
ZoneRules(pg_tz *zone)
{
	StringInfoData rules_text;
	pg_time_t	at = -ZONE_ALL / 900;
	pg_time_t	boundary;
	long		before;
	long		after;
	int			dst;
	int			found = pg_next_dst_boundary(&at, &before, &dst, &boundary, &after, &dst, zone);
	bool		since_ever = found == 0 || boundary > ZONE_LOW;
	int64		high = ZONE_ALL;

	if (!since_ever)
	{
		at = ZONE_LOW;
		found = pg_next_dst_boundary(&at, &before, &dst, &boundary, &after, &dst, zone);
	}
	initStringInfo(&rules_text);
	appendStringInfo(&rules_text, ",%ld", before);
	while (found == 1)
	{
		if (boundary > ZONE_HIGH)
		{
			high = ZONE_HIGH;
			break;
		}
		appendStringInfo(&rules_text, "," INT64_FORMAT ",%ld", (int64) boundary, after);
		at = boundary;
		found = pg_next_dst_boundary(&at, &before, &dst, &boundary, &after, &dst, zone);
	}
	return psprintf(INT64_FORMAT "," INT64_FORMAT "%s", since_ever ? -ZONE_ALL : ZONE_LOW, high, rules_text.data);
}

Datum
shard_zone_rules(PG_FUNCTION_ARGS)
{
	pg_tz	   *zone = PG_ARGISNULL(0) ? session_timezone : pg_tzset(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	PG_RETURN_TEXT_P(cstring_to_text(ZoneRules(zone)));
}

/*
 * Is a name one of a zone, whatever abbreviations there are?
 */
static bool
IsZoneName(const char *name)
{
	return (pg_strcasecmp(name, "UTC") == 0 || strchr(name, '/') != NULL) && pg_tzset(name) != NULL;
}

/*
 * An expression for the rules of a zone, which PostgreSQL computes when the
 * statement runs.
 */
static Expr *
ZoneExpr(DeparseContext *cx, List *args, int zone)
{
	Oid			type = TEXTOID;
	Oid			function = LookupFuncName(list_make2(makeString("_shard"), makeString("zone_rules")), 1, &type, true);
	char	   *name = NULL;
	Expr	   *arg;

	if (!OidIsValid(function))
	{
		(void) Obstacle(cx, "time zone");
		return NULL;
	}
	if (zone > 0 && (!TextArgument(args, zone - 1, &name) || !IsZoneName(name)))
	{
		(void) Obstacle(cx, "time zone that is not a constant name");
		return NULL;
	}
	if (zone > 0)
		arg = (Expr *) copyObject(list_nth(args, zone - 1));
	else
		arg = (Expr *) makeConst(TEXTOID, -1, InvalidOid, -1, (Datum) 0, true, false);
	return (Expr *) makeFuncExpr(function, TEXTOID, list_make1(arg), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* ---- writing ---- */

/*
 * SQL with %1, %2 for arguments and %z for the rules of a zone; local: %2 is that
 * argument as a local time.
 */
static bool
DeparseZoned(DeparseContext *cx, const char *sql, List *args, Expr *zone, bool local)
{
	for (const char *p = sql; *p != '\0'; p++)
	{
		if (p[0] != '%' || strchr("12z", p[1]) == NULL)
		{
			appendStringInfoChar(&cx->buf, *p);
			continue;
		}
		p++;
		if (*p == 'z')
		{
			DeparseMark(cx, DeparseParam(cx, zone));
			continue;
		}
		if (local)
			DeparseText(cx, "shard_zone_local(");
		if (!DeparseExpr(cx, list_nth(args, *p - '1')))
			return false;
		if (local)
		{
			DeparseText(cx, ", ");
			DeparseMark(cx, DeparseParam(cx, zone));
			DeparseText(cx, ")");
		}
	}
	return true;
}

static bool
IntervalArgument(DeparseContext *cx, List *args, bool negative, Interval *interval)
{
	Const	   *value;

	if (!ConstArgument(args, 1, &value) || value->consttype != INTERVALOID)
		return Obstacle(cx, "interval that is not a constant");
	*interval = *DatumGetIntervalP(value->constvalue);
	if (interval->month == PG_INT32_MIN || interval->day == PG_INT32_MIN || interval->time == PG_INT64_MIN ||
		interval->month == PG_INT32_MAX || interval->day == PG_INT32_MAX || interval->time == PG_INT64_MAX)
		return Obstacle(cx, "interval out of range");
	if (negative)
	{
		interval->month = -interval->month;
		interval->day = -interval->day;
		interval->time = -interval->time;
	}
	return true;
}

static bool
DeparseAdd(DeparseContext *cx, List *args, bool negative, bool date)
{
	Interval	interval;

	if (!IntervalArgument(cx, args, negative, &interval))
		return false;
	DeparseText(cx, date ? "shard_ts_add(CAST(" : "shard_ts_add(");
	if (!DeparseExpr(cx, linitial(args)))
		return false;
	DeparseText(cx, date ? " AS TIMESTAMP)" : "");
	DeparsePrintf(cx, ", %d, %d, CAST('" INT64_FORMAT "' AS BIGINT))", interval.month, interval.day, interval.time);
	return true;
}

/*
 * Months and days are added to the local time, one after the other, the rest to
 * the point in time.
 */
static bool
DeparseZonedAdd(DeparseContext *cx, List *args, bool negative, Expr *zone)
{
	Interval	interval;
	StringInfoData sql;

	if (!IntervalArgument(cx, args, negative, &interval))
		return false;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "%1");
	if (interval.month != 0)
	{
		char	   *inner = pstrdup(sql.data);

		resetStringInfo(&sql);
		appendStringInfo(&sql, "shard_zone_utc(shard_ts_add(shard_zone_local(%s, %%z), %d, 0, CAST(0 AS BIGINT)), %%z)",
						 inner, interval.month);
	}
	if (interval.day != 0)
	{
		char	   *inner = pstrdup(sql.data);

		resetStringInfo(&sql);
		appendStringInfo(&sql, "shard_zone_utc(shard_ts_add(shard_zone_local(%s, %%z), 0, %d, CAST(0 AS BIGINT)), %%z)",
						 inner, interval.day);
	}
	return DeparseZoned(cx, psprintf("shard_tz_add(%s, CAST('" INT64_FORMAT "' AS BIGINT))", sql.data, interval.time),
						args, zone, false);
}

static bool
IsTrunc(Oid function)
{
	return function == F_DATE_TRUNC_TEXT_TIMESTAMP || function == F_DATE_TRUNC_TEXT_TIMESTAMPTZ ||
		function == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT;
}

/*
 * date_trunc() in a zone: the time of day is cut off as it is, so that an hour
 * that is there twice stays what it is; days and more begin anew.
 */
static bool
DeparseZonedTrunc(DeparseContext *cx, const FieldRule *rule, List *args, Expr *zone)
{
	List	   *of = list_make1(lsecond(args));

	DeparseText(cx, rule->of_day ? "shard_zone_utc(" : "shard_tz_add(");
	if (!rule->of_day)
	{
		if (!DeparseExpr(cx, lsecond(args)))
			return false;
		DeparseText(cx, ", shard_tz_diff(");
	}
	if (!DeparseZoned(cx, rule->sql, args, zone, true))
		return false;
	DeparseText(cx, ", ");
	if (rule->of_day)
		DeparseMark(cx, DeparseParam(cx, zone));
	else if (!DeparseZoned(cx, LOCAL ")", of, zone, false))
		return false;
	DeparseText(cx, ")");
	return true;
}

static const FieldRule *
FieldRuleOf(Oid function, List *args)
{
	char	   *field;

	if (!TextArgument(args, 0, &field))
		return NULL;
	return IsTrunc(function) ? TruncRuleOf(field) : ExtractRuleOf(field, function == F_EXTRACT_TEXT_DATE);
}

bool
ExtractShape(List *args, DecimalShape *shape)
{
	const FieldRule *rule = FieldRuleOf(F_EXTRACT_TEXT_TIMESTAMP, args);

	if (rule == NULL)
		return false;
	*shape = (DecimalShape) {rule->digits, rule->scale};
	return true;
}

/*
 * extract(), date_part() and date_trunc(); zone: NULL, or what local times are of.
 */
static bool
DeparseField(DeparseContext *cx, Oid function, List *args, Expr *zone)
{
	const FieldRule *rule = FieldRuleOf(function, args);
	bool		as_double = function == F_DATE_PART_TEXT_TIMESTAMP || function == F_DATE_PART_TEXT_TIMESTAMPTZ;
	bool		guard;

	if (rule == NULL || (as_double && rule->scale > 0))
		return Obstacle(cx, "field of a date that is not on the list");
	guard = rule->finite && !TakeAsFinite(cx, lsecond(args));
	if (guard && !cx->whole)
		return Obstacle(cx, "field of a date that may be infinite");
	if (IsTrunc(function))
		return zone != NULL ? DeparseZonedTrunc(cx, rule, args, zone) : DeparseTemplate(cx, rule->sql, args);
	DeparseText(cx, "CAST(");
	if (guard && !DeparseTemplate(cx, "CASE WHEN isinf(%2) THEN error('0A000:field of an infinite date') ELSE ",
								  args))
		return false;
	if (!DeparseZoned(cx, rule->sql, args, zone, zone != NULL && !rule->absolute))
		return false;
	DeparseText(cx, guard ? " END" : "");
	if (as_double)
		DeparseText(cx, " AS DOUBLE)");
	else
		DeparsePrintf(cx, " AS DECIMAL(%d,%d))", rule->digits, rule->scale);
	return true;
}

bool
DeparseTimeFunction(DeparseContext *cx, Oid function, List *args)
{
	const TimeRule *rule = RuleOf(function);
	Expr	   *zone = NULL;

	if (rule->whole && !cx->whole)
		return Obstacle(cx, "dates that may be out of the engine's range");
	if (rule->zone != 0)
	{
		zone = ZoneExpr(cx, args, rule->zone);
		if (zone == NULL)
			return false;
	}
	switch (rule->kind)
	{
		case TIME_ADD:
		case TIME_SUBTRACT:
			return DeparseAdd(cx, args, rule->kind == TIME_SUBTRACT, false);
		case TIME_DATE_ADD:
		case TIME_DATE_SUBTRACT:
			if (!cx->whole)
				return Obstacle(cx, "dates that may be out of the engine's range");
			return DeparseAdd(cx, args, rule->kind == TIME_DATE_SUBTRACT, true);
		case TIME_ZONED_ADD:
		case TIME_ZONED_SUBTRACT:
			return DeparseZonedAdd(cx, args, rule->kind == TIME_ZONED_SUBTRACT, zone);
		case TIME_FIELD:
		case TIME_ZONED_FIELD:
			return DeparseField(cx, function, args, zone);
		default:
			return DeparseZoned(cx, rule->sql, args, zone, false);
	}
}
