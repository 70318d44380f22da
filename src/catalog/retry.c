/*
 * retry.c
 *		Reading retry configurations: see retry.h.
 */
#include "postgres.h"

#include "catalog/retry.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/*
 * What may go well at the next attempt: serialization failures and deadlocks,
 * locks that were not to be had, servers that are starting or not reached.
 */
static const char *const RetryDefaults[] = {"40", "08", "55P03", "57P03", "53300"};

static double
Number(const char *name, const JsonbValue *value, double max)
{
	double		number = -1;

	if (value->type == jbvNumeric)
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
													NumericGetDatum(value->val.numeric)));
	if (number < 0 || number > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 number > max ? errmsg("retry setting \"%s\" is above %.0f", name, max) :
				 errmsg("retry setting \"%s\" must be a number that is not negative", name)));
	return number;
}

static void
AddState(RetryConfig *config, const char *state, int len)
{
	bool		valid = len == 2 || len == 5;

	for (int i = 0; i < len; i++)
		valid = valid && ((state[i] >= '0' && state[i] <= '9') || (state[i] >= 'A' && state[i] <= 'Z'));
	if (!valid || config->nstates == RETRY_STATES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 valid ? errmsg("retry_on holds more than %d SQLSTATEs", RETRY_STATES_MAX) :
				 errmsg("\"%s\" in retry_on is no SQLSTATE", pnstrdup(state, len)),
				 errhint("Give classes of two and SQLSTATEs of five characters, as in [\"40\", \"55P03\"].")));
	memcpy(config->states[config->nstates], state, len);
	config->states[config->nstates++][len] = '\0';
}

static void
ReadStates(RetryConfig *config, const JsonbValue *value)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;

	config->nstates = 0;
	if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
	{
		it = JsonbIteratorInit(value->val.binary.data);
		while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
		{
			if (token == WJB_ELEM && element.type == jbvString)
				AddState(config, element.val.string.val, element.val.string.len);
			else if (token == WJB_ELEM)
				break;
		}
		if (token == WJB_DONE)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("retry setting \"retry_on\" must be an array of strings"),
			 errhint("Give SQLSTATEs or classes of them, as in [\"40\", \"55P03\"].")));
}

static void
ReadElement(RetryConfig *config, const char *name, const JsonbValue *value)
{
	if (strcmp(name, "max_retries") == 0)
		config->max_retries = (int) Number(name, value, 1000000);
	else if (strcmp(name, "retry_delay_ms") == 0)
		config->delay_ms = Number(name, value, 3600.0 * 1000);
	else if (strcmp(name, "backoff") == 0)
		config->backoff = Number(name, value, 1000);
	else if (strcmp(name, "timeout_ms") == 0)
		config->timeout_ms = (int64) Number(name, value, PG_INT32_MAX);
	else if (strcmp(name, "retry_on") == 0)
		ReadStates(config, value);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown retry setting \"%s\"", name),
				 errhint("Valid retry settings are max_retries, retry_delay_ms, backoff, timeout_ms and retry_on.")));
}

RetryConfig
RetryRead(Jsonb *json)
{
	RetryConfig config = {3, 100, 2};
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retry is not a JSON object"),
				 errhint("Give an object such as {\"max_retries\": 3, \"retry_delay_ms\": 100, \"backoff\": 2}.")));
	for (int i = 0; i < lengthof(RetryDefaults); i++)
		AddState(&config, RetryDefaults[i], (int) strlen(RetryDefaults[i]));
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		ReadElement(&config, pnstrdup(key.val.string.val, key.val.string.len), &value);
	}
	return config;
}

bool
RetryApplies(const RetryConfig *config, int sqlerrcode)
{
	const char *state = unpack_sql_state(sqlerrcode);

	for (int i = 0; i < config->nstates; i++)
		if (strncmp(state, config->states[i], strlen(config->states[i])) == 0)
			return true;
	return false;
}
