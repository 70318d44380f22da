/*
 * rest.c
 *		Requests to an Iceberg REST catalog.
 *
 * The catalog's configuration and the token are kept for the process, by server
 * and user, until the options change, the token expires or the catalog says 401.
 * Only requests that change nothing are repeated after an answer that leaves open
 * whether they were carried out; the others' callers look at what became of them.
 */
#include "postgres.h"

#include <time.h>

#include "base/settings.h"
#include "common/hashfn.h"
#include "lake/internal.h"
#include "lake/io/http.h"
#include "lake/io/io.h"
#include "lake/registry/rest.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* A token is renewed so many seconds before its end. */
#define TOKEN_MARGIN 30

/* What is known of the catalog of one access. */
typedef struct RestState
{
	int			access;			/* its id */
	MemoryContext of;			/* the access's context when this was learnt */
	MemoryContext mcxt;			/* of the following */
	bool		configured;
	char	   *prefix;			/* "" or "prefix/" */
	bool		together;		/* it commits changes of several tables at once */
	char	   *token;			/* secret; NULL = none yet */
	int64		expires;		/* Unix time; 0 = unknown */
} RestState;

static List *states = NIL;		/* of RestState *, in TopMemoryContext */

static RestState *
StateOf(const LakeAccess *access)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	RestState  *state = NULL;
	ListCell   *lc;

	foreach(lc, states)
		if (((RestState *) lfirst(lc))->access == access->id)
			state = lfirst(lc);
	if (state == NULL)
	{
		state = palloc0(sizeof(RestState));
		state->access = access->id;
		states = lappend(states, state);
	}
	if (state->of != access->mcxt)
	{
		if (state->mcxt != NULL)
			MemoryContextDelete(state->mcxt);
		state->mcxt = AllocSetContextCreate(TopMemoryContext, "shard REST catalog",
											ALLOCSET_SMALL_SIZES);
		state->configured = false;
		state->token = NULL;
		state->of = access->mcxt;
	}
	MemoryContextSwitchTo(old);
	return state;
}

/* ---- answers ---- */

/* JSON of a body; NULL if it is none. */
static Json *
ParseBody(const HttpRequest *request)
{
	Json	   *volatile body = NULL;
	MemoryContext context = CurrentMemoryContext;

	if (request->content == NULL || request->content_len == 0)
		return NULL;
	PG_TRY();
	{
		body = JsonParse(request->content, request->content_len, "answer of the catalog");
	}
	PG_CATCH();
	{
		/* pages of proxies and the like: the status says enough */
		if (geterrcode() != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return body;
}

static RestAnswer
ReadAnswer(const HttpRequest *request)
{
	RestAnswer	answer = {request->status};
	const Json *error;

	answer.unsent = request->status == 0 && request->unsent;
	answer.untrusted = request->status == 0 && request->untrusted;
	answer.body = ParseBody(request);
	if (request->status / 100 == 2)
		return answer;
	error = JsonGet(answer.body, "error");
	if (JsonStringValue(JsonGet(error, "message")) != NULL)
		answer.error = pstrdup(JsonStringValue(JsonGet(error, "message")));
	else if (JsonStringValue(JsonGet(answer.body, "error_description")) != NULL)
		answer.error = pstrdup(JsonStringValue(JsonGet(answer.body, "error_description")));
	else
		answer.error = request->status == 0 ? request->error : pstrdup("no message");
	if (JsonStringValue(JsonGet(error, "type")) != NULL)
		answer.type = pstrdup(JsonStringValue(JsonGet(error, "type")));
	return answer;
}

static int
SqlState(const RestAnswer *answer)
{
	switch (answer->status)
	{
		case 0:
			return ERRCODE_CONNECTION_FAILURE;
		case 401:
		case 419:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case 403:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case 404:
			return ERRCODE_UNDEFINED_OBJECT;
		case 409:
			return ERRCODE_T_R_SERIALIZATION_FAILURE;
		default:
			return answer->status / 100 == 2 ? ERRCODE_PROTOCOL_VIOLATION : ERRCODE_FDW_ERROR;
	}
}

static char *
Hint(const LakeAccess *access, const RestAnswer *answer)
{
	if (answer->untrusted)
		return pstrdup("The setting shard.store_ca_file names the certificates by which catalogs are known.");
	if (answer->status == 0)
		return psprintf("Check option uri of server \"%s\", and that the catalog runs.",
						access->server_name);
	if (answer->status == 401 || answer->status == 403 || answer->status == 419)
		return psprintf("Check option token or credential in the user mapping for server \"%s\".",
						access->server_name);
	if (answer->status == 404)
		return psprintf("Check options uri and warehouse of server \"%s\".", access->server_name);
	return NULL;
}

void
RestRaise(const LakeAccess *access, const RestAnswer *answer, const char *what)
{
	char	   *hint = Hint(access, answer);

	if (answer->status == 0)
		ereport(ERROR,
				(errcode(SqlState(answer)),
				 errmsg("could not %s: the catalog does not answer: %s", what, answer->error),
				 hint != NULL ? errhint("%s", hint) : 0));
	ereport(ERROR,
			(errcode(SqlState(answer)),
			 errmsg("could not %s: the catalog answers %d", what, answer->status),
			 answer->error != NULL ? errdetail("It says: %s", answer->error) :
			 errdetail("The answer is not what the specification of REST catalogs says."),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* ---- requests ---- */

static bool
IsTransient(const HttpRequest *request, bool repeatable)
{
	if (request->status == 0)
		return !request->untrusted && (request->unsent || repeatable);
	if (request->status == 429 || request->status == 503)
		return true;
	return repeatable && request->status >= 500 && request->status != 501;
}

/* One request, again as long as it is safe and may help. */
static HttpRequest
Send(const char *method, const char *url, List *headers, const char *body, bool repeatable)
{
	for (int attempt = 1;; attempt++)
	{
		HttpRequest request;
		HttpRequest *requests[1] = {&request};
		char	   *after;

		HttpInit(&request, method, url);
		request.headers = headers;
		request.body = body;
		request.body_len = body == NULL ? 0 : strlen(body);
		HttpRun(requests, 1, 1);
		if (!IsTransient(&request, repeatable) || attempt > StoreMaxRetries)
			return request;
		after = request.status == 0 ? NULL : HttpHeader(&request, "retry-after");
		HttpPause(attempt, after == NULL ? 0 : (int64) atoi(after) * 1000);
	}
}

/* ---- tokens ---- */

static void
FetchToken(const LakeAccess *access, RestState *state)
{
	const char *colon = strchr(access->credential, ':');
	char	   *id = colon == NULL ? NULL : pnstrdup(access->credential, colon - access->credential);
	const char *url = access->oauth2_server_uri != NULL ? access->oauth2_server_uri :
		psprintf("%s/v1/oauth/tokens", access->uri);
	StringInfoData form;
	HttpRequest request;
	RestAnswer	answer;
	const char *token;
	int64		lifetime;

	initStringInfo(&form);
	appendStringInfo(&form, "grant_type=client_credentials&client_secret=%s&scope=%s",
					 HttpEscape(colon == NULL ? access->credential : colon + 1),
					 HttpEscape(access->scope != NULL ? access->scope : "catalog"));
	if (id != NULL)
		appendStringInfo(&form, "&client_id=%s", HttpEscape(id));
	request = Send("POST", url,
				   list_make2("Content-Type: application/x-www-form-urlencoded", "Accept: application/json"),
				   form.data, true);
	explicit_bzero(form.data, form.len);
	answer = ReadAnswer(&request);
	token = JsonStringValue(JsonGet(answer.body, "access_token"));
	if (answer.status != 200 || token == NULL)
	{
		/* OAuth's own word for credentials that are wrong */
		if (answer.status == 400)
			answer.status = 401;
		RestRaise(access, &answer, "get a token for the catalog");
	}
	lifetime = JsonIntegerValue(JsonGet(answer.body, "expires_in"));
	if (state->token != NULL)
		explicit_bzero(state->token, strlen(state->token));
	state->token = MemoryContextStrdup(state->mcxt, token);
	state->expires = lifetime > 0 ? (int64) time(NULL) + lifetime : 0;
}

static const char *
Token(const LakeAccess *access, RestState *state)
{
	if (access->token != NULL)
		return access->token;
	if (access->credential == NULL)
		return NULL;
	if (state->token == NULL ||
		(state->expires != 0 && (int64) time(NULL) >= state->expires - TOKEN_MARGIN))
		FetchToken(access, state);
	return state->token;
}

/* The catalog does not accept the token: get another, or read the options again. */
static bool
RenewToken(LakeAccess *access, RestState *state)
{
	char	   *before = access->token == NULL ? NULL : pstrdup(access->token);

	if (access->credential != NULL)
	{
		state->token = NULL;
		return true;
	}
	(void) LakeAccessRenew(access);
	return access->token != NULL && (before == NULL || strcmp(before, access->token) != 0);
}

static List *
Headers(const LakeAccess *access, RestState *state)
{
	const char *token = Token(access, state);
	List	   *headers = list_make3("Content-Type: application/json", "Accept: application/json",
									 "X-Iceberg-Access-Delegation: vended-credentials");

	if (token != NULL)
		headers = lappend(headers, psprintf("Authorization: Bearer %s", token));
	return headers;
}

static RestAnswer
AskUrl(LakeAccess *access, const char *method, const char *url, const char *body)
{
	bool		repeatable = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	HttpRequest request;

	for (int attempt = 1;; attempt++)
	{
		RestState  *state = StateOf(access);

		request = Send(method, url, Headers(access, state), body, repeatable);
		if ((request.status != 401 && request.status != 419) || attempt > 1 ||
			!RenewToken(access, state))
			return ReadAnswer(&request);
	}
}

/* ---- configuration ---- */

static const char *
Configured(const Json *config, const char *key)
{
	const char *value = JsonStringValue(JsonGet(JsonGet(config, "overrides"), key));

	return value != NULL ? value : JsonStringValue(JsonGet(JsonGet(config, "defaults"), key));
}

/* The catalog lists what it can do; what is not listed is not asked for. */
static bool
Lists(const Json *config, const char *endpoint)
{
	const Json *endpoints = JsonGet(config, "endpoints");

	for (int i = 0; i < JsonSize(endpoints); i++)
	{
		const char *listed = JsonStringValue(JsonAt(endpoints, i));

		if (listed != NULL && strcmp(listed, endpoint) == 0)
			return true;
	}
	return false;
}

static void
Configure(LakeAccess *access)
{
	RestState  *state = StateOf(access);
	RestAnswer	answer;
	const char *prefix;

	if (access->uri == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("server \"%s\" has a REST catalog without an address", access->server_name),
				 errhint("Set option uri of the server.")));
	if (state->configured)
		return;
	answer = AskUrl(access, "GET", access->warehouse == NULL
					? psprintf("%s/v1/config", access->uri)
					: psprintf("%s/v1/config?warehouse=%s", access->uri, HttpEscape(access->warehouse)),
					NULL);
	if (answer.status != 200 || !JsonIs(answer.body, JSON_OBJECT))
		RestRaise(access, &answer, "read the catalog's configuration");
	state = StateOf(access);
	prefix = Configured(answer.body, "prefix");
	state->prefix = MemoryContextStrdup(state->mcxt, prefix == NULL || prefix[0] == '\0' ? ""
										: psprintf("%s/", prefix));
	state->together = Lists(answer.body, "POST /v1/{prefix}/transactions/commit");
	state->configured = true;
}

bool
RestCommitsTogether(LakeAccess *access)
{
	Configure(access);
	return StateOf(access)->together;
}

void
RestForgetTogether(LakeAccess *access)
{
	StateOf(access)->together = false;
}

RestAnswer
RestAsk(LakeAccess *access, const char *method, const char *path, const char *body)
{
	const char *sent = body;

	Configure(access);
	if (body != NULL)
		sent = pg_server_to_any(body, strlen(body), PG_UTF8);
	return AskUrl(access, method, psprintf("%s/v1/%s%s", access->uri, StateOf(access)->prefix, path),
				  sent);
}

/* ---- tables ---- */

/* The levels of a namespace, which its dots divide, joined by a unit separator. */
static char *
NamespacePath(const char *namespace)
{
	char	   *levels = pstrdup(namespace);

	for (char *p = levels; *p != '\0'; p++)
		if (*p == '.')
			*p = '\x1f';
	return psprintf("namespaces/%s", HttpEscape(pg_server_to_any(levels, strlen(levels), PG_UTF8)));
}

char *
RestTablePath(const char *namespace, const char *name)
{
	return psprintf("%s/tables/%s", NamespacePath(namespace),
					HttpEscape(pg_server_to_any(name, strlen(name), PG_UTF8)));
}

static const char *
Property(const Json *config, const char *key, const char *other_key)
{
	const char *value = JsonStringValue(JsonGet(config, key));

	return value != NULL || other_key == NULL ? value : JsonStringValue(JsonGet(config, other_key));
}

/*
 * The configuration for a location: of the storage credentials the one with the
 * longest prefix, else what is there for the whole table.
 */
static const Json *
ConfigFor(const Json *body, const char *location)
{
	const Json *list = JsonGet(body, "storage-credentials");
	const Json *best = JsonGet(body, "config");
	size_t		longest = 0;

	for (int i = 0; i < JsonSize(list); i++)
	{
		const char *prefix = JsonStringValue(JsonGet(JsonAt(list, i), "prefix"));

		if (prefix == NULL || strlen(prefix) < longest ||
			strncmp(LakePlace(location), LakePlace(prefix), strlen(LakePlace(prefix))) != 0)
			continue;
		longest = strlen(prefix);
		best = JsonGet(JsonAt(list, i), "config");
	}
	return best;
}

/*
 * With which credentials the table's files are read: those that the catalog gave
 * along, if it did.  An endpoint of the server's options outranks the catalog's.
 */
static LakeAccess *
FileAccess(LakeAccess *access, const Json *body, const char *location)
{
	const Json *config = ConfigFor(body, location);
	const char *style = Property(config, "s3.path-style-access", NULL);
	LakeVended	vended = {0};

	vended.key_id = Property(config, "s3.access-key-id", NULL);
	vended.secret = Property(config, "s3.secret-access-key", NULL);
	vended.session_token = Property(config, "s3.session-token", NULL);
	vended.region = Property(config, "client.region", "s3.region");
	vended.endpoint = access->endpoint != NULL ? NULL : Property(config, "s3.endpoint", NULL);
	vended.path_style = style == NULL ? -1 : strcmp(style, "true") == 0;
	if (vended.endpoint != NULL && strncmp(vended.endpoint, "http://", 7) != 0 &&
		strncmp(vended.endpoint, "https://", 8) != 0)
		vended.endpoint = NULL;
	if (vended.path_style == -1 && vended.endpoint != NULL)
		vended.path_style = 1;
	if (vended.key_id == NULL || vended.secret == NULL)
		return access;
	return LakeAccessVended(access, location, &vended);
}

LakeTable *
RestTableOf(LakeAccess *access, const char *namespace, const char *name, const Json *body)
{
	const Json *metadata = JsonGet(body, "metadata");
	const char *location = JsonStringValue(JsonGet(metadata, "location"));
	const char *file = JsonStringValue(JsonGet(body, "metadata-location"));
	LakeTable  *table = palloc0(sizeof(LakeTable));
	LakeAccess *files;
	char	   *text;
	size_t		len;

	if (location == NULL)
	{
		RestAnswer	answer = {200};

		RestRaise(access, &answer, psprintf("load lake table \"%s.%s\"", namespace, name));
	}
	text = JsonText(metadata, &len);
	/* a table that has no file yet is known by what it is */
	if (file == NULL)
		file = psprintf("%s/metadata/%08x.uncommitted", location, hash_bytes((const unsigned char *) text, (int) len));
	files = FileAccess(access, body, LakeCanonical(location));
	LakeCacheMetadataOf(files, file, text, len);
	table->server = access->server;
	table->access = access->id;
	table->namespace = pstrdup(namespace);
	table->name = pstrdup(name);
	table->metadata_location = pstrdup(file);
	table->metadata = LakeCachedMetadata(files, file);
	return table;
}

LakeTable *
RestOpen(LakeAccess *access, const char *namespace, const char *name, bool missing_ok)
{
	RestAnswer	answer = RestAsk(access, "GET", RestTablePath(namespace, name), NULL);

	if (answer.status == 404 && missing_ok &&
		(answer.type == NULL || strstr(answer.type, "NoSuch") != NULL))
		return NULL;
	if (answer.status == 404)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("lake table \"%s.%s\" does not exist", namespace, name),
				 errdetail("The catalog says: %s", answer.error)));
	if (answer.status != 200 || answer.body == NULL)
		RestRaise(access, &answer, psprintf("load lake table \"%s.%s\"", namespace, name));
	return RestTableOf(access, namespace, name, answer.body);
}

static int
CompareNames(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
RestListTables(LakeAccess *access, const char *namespace)
{
	char	   *path = psprintf("%s/tables", NamespacePath(namespace));
	const char *page = "";
	List	   *names = NIL;

	do
	{
		RestAnswer	answer = RestAsk(access, "GET", psprintf("%s?pageToken=%s", path, HttpEscape(page)), NULL);
		const Json *identifiers;

		if (answer.status == 404 && answer.type != NULL &&
			strcmp(answer.type, "NoSuchNamespaceException") == 0)
			return NIL;
		if (answer.status != 200 || answer.body == NULL)
			RestRaise(access, &answer, psprintf("list the lake tables of namespace \"%s\"", namespace));
		identifiers = JsonGet(answer.body, "identifiers");
		for (int i = 0; i < JsonSize(identifiers); i++)
		{
			const char *name = JsonStringValue(JsonGet(JsonAt(identifiers, i), "name"));

			if (name != NULL)
				names = lappend(names, pg_any_to_server(name, strlen(name), PG_UTF8));
		}
		page = JsonStringValue(JsonGet(answer.body, "next-page-token"));
	} while (page != NULL && page[0] != '\0');
	list_sort(names, CompareNames);
	return names;
}
