/*
 * access.c
 *		Options of servers and user mappings as object stores and catalogs need
 *		them.
 *
 * Credentials come from the mapping of the user, else that for PUBLIC, else, for
 * the lake of this database and for members of pg_read_server_files, from where
 * the setting shard.store_credentials says.  Each pair of server and user has one
 * struct, allocated once; its contents are in a context that is replaced when the
 * catalogs say that something changed, at the next look and not before.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "base/settings.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lake/io/access.h"
#include "lake/io/sha256.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define LAKE_SERVER "lake"
#define DEFAULT_REGION "us-east-1"

static LakeAccess **accesses = NULL;
static int	naccesses = 0;

static void
Invalidate(Datum arg, int cache, uint32 hash)
{
	for (int i = 0; i < naccesses; i++)
		accesses[i]->valid = false;
}

void
LakeAccessInit(void)
{
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, Invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, Invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, Invalidate, (Datum) 0);
}

/* ---- options ---- */

static bool
OptionIsTrue(DefElem *option)
{
	bool		value;

	return parse_bool(defGetString(option), &value) && value;
}

static char *
WithoutSlash(const char *url)
{
	char	   *copy = pstrdup(url);
	size_t		len = strlen(copy);

	while (len > 0 && copy[len - 1] == '/')
		copy[--len] = '\0';
	return copy;
}

static void
ReadServer(LakeAccess *access, Oid server)
{
	ForeignServer *foreign = GetForeignServer(server);
	bool		style_given = false;
	ListCell   *lc;

	access->server_name = pstrdup(foreign->servername);
	foreach(lc, foreign->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const char *name = option->defname;

		if (strcmp(name, "catalog") == 0)
			access->catalog = pstrdup(defGetString(option));
		else if (strcmp(name, "uri") == 0)
			access->uri = WithoutSlash(defGetString(option));
		else if (strcmp(name, "warehouse") == 0)
			access->warehouse = WithoutSlash(defGetString(option));
		else if (strcmp(name, "oauth2_server_uri") == 0)
			access->oauth2_server_uri = WithoutSlash(defGetString(option));
		else if (strcmp(name, "scope") == 0)
			access->scope = pstrdup(defGetString(option));
		else if (strcmp(name, "endpoint") == 0)
			access->endpoint = WithoutSlash(defGetString(option));
		else if (strcmp(name, "region") == 0)
			access->region = pstrdup(defGetString(option));
		else if (strcmp(name, "anonymous") == 0)
			access->anonymous = OptionIsTrue(option);
		else if (strcmp(name, "path_style") == 0)
		{
			access->path_style = OptionIsTrue(option);
			style_given = true;
		}
	}
	if (!style_given)
		access->path_style = access->endpoint != NULL;
}

static void
ReadMapping(LakeAccess *access, Oid server)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(access->user),
										ObjectIdGetDatum(server));
	Datum		options;
	bool		isnull;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(server));
	if (!HeapTupleIsValid(tuple))
		return;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	foreach(lc, isnull ? NIL : untransformRelOptions(options))
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *value = pstrdup(defGetString(option));

		if (strcmp(option->defname, "access_key_id") == 0)
			access->key_id = value;
		else if (strcmp(option->defname, "secret_access_key") == 0)
			access->secret = value;
		else if (strcmp(option->defname, "session_token") == 0)
			access->session_token = value;
		else if (strcmp(option->defname, "token") == 0)
			access->token = value;
		else if (strcmp(option->defname, "credential") == 0)
			access->credential = value;
	}
	ReleaseSysCache(tuple);
	if (access->secret == NULL)
		access->key_id = NULL;
}

/* ---- shared credentials ---- */

static char *
EnvironmentValue(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : pstrdup(value);
}

/* "name = value" of the section [default]; blanks around both do not count. */
static void
ReadCredentialLine(LakeAccess *access, char *line)
{
	char	   *value = strchr(line, '=');
	size_t		len;

	if (value == NULL)
		return;
	*value++ = '\0';
	while (isspace((unsigned char) *line))
		line++;
	for (len = strlen(line); len > 0 && isspace((unsigned char) line[len - 1]);)
		line[--len] = '\0';
	while (isspace((unsigned char) *value))
		value++;
	for (len = strlen(value); len > 0 && isspace((unsigned char) value[len - 1]);)
		value[--len] = '\0';
	if (strcmp(line, "aws_access_key_id") == 0)
		access->key_id = pstrdup(value);
	else if (strcmp(line, "aws_secret_access_key") == 0)
		access->secret = pstrdup(value);
	else if (strcmp(line, "aws_session_token") == 0)
		access->session_token = pstrdup(value);
	else if (strcmp(line, "token") == 0)
		access->token = pstrdup(value);
	else if (strcmp(line, "credential") == 0)
		access->credential = pstrdup(value);
}

static void
ReadCredentialFile(LakeAccess *access, const char *path)
{
	FILE	   *file = AllocateFile(path, "r");
	bool		ours = true;
	char		line[8192];

	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open the file of credentials \"%s\": %m", path),
				 errhint("The setting shard.store_credentials names it.")));
	while (fgets(line, sizeof(line), file) != NULL)
	{
		if (line[0] == '[')
			ours = strncmp(line, "[default]", 9) == 0;
		else if (ours && line[0] != '#' && line[0] != ';')
			ReadCredentialLine(access, line);
	}
	FreeFile(file);
	explicit_bzero(line, sizeof(line));
}

/* Who may use the server's own credentials, if only for some locations. */
static void
ReadShared(LakeAccess *access)
{
	if (StoreCredentials[0] == '\0' || access->key_id != NULL || access->token != NULL ||
		access->credential != NULL)
		return;
	if (access->server_name != NULL && strcmp(access->server_name, LAKE_SERVER) != 0 &&
		!has_privs_of_role(access->user, ROLE_PG_READ_SERVER_FILES))
		return;
	if (strcmp(StoreCredentials, "environment") == 0)
	{
		access->key_id = EnvironmentValue("AWS_ACCESS_KEY_ID");
		access->secret = EnvironmentValue("AWS_SECRET_ACCESS_KEY");
		access->session_token = EnvironmentValue("AWS_SESSION_TOKEN");
	}
	else
		ReadCredentialFile(access, StoreCredentials);
	if (access->secret == NULL)
		access->key_id = NULL;
	access->shared = access->key_id != NULL;
}

/* ---- one of them ---- */

static void
AddPart(Sha256 *sha, const char *part)
{
	if (part != NULL)
		Sha256Add(sha, part, strlen(part));
	Sha256Add(sha, "", 1);
}

/*
 * Files that one may read with the same credentials at the same place are shared
 * in caches; the digest tells them apart and gives nothing away.
 */
static void
SetIdentity(LakeAccess *access)
{
	Sha256		sha;
	uint8		digest[SHA256_BYTES];
	char		hex[SHA256_HEX];

	Sha256Begin(&sha);
	AddPart(&sha, access->endpoint);
	AddPart(&sha, access->region);
	if (access->vended_for != NULL)
	{
		/* the catalog decides anew each time the table is opened */
		AddPart(&sha, access->uri);
		AddPart(&sha, access->vended_for);
		Sha256Add(&sha, &access->user, sizeof(access->user));
	}
	else
	{
		AddPart(&sha, access->key_id);
		AddPart(&sha, access->secret);
	}
	Sha256End(&sha, digest);
	Sha256Hex(digest, hex);
	strlcpy(access->identity, hex, ACCESS_IDENTITY);
}

/* Forget what is between the fixed members and what was learnt. */
static void
Clear(LakeAccess *access)
{
	access->server_name = access->catalog = access->uri = access->warehouse = NULL;
	access->oauth2_server_uri = access->scope = access->token = access->credential = NULL;
	access->endpoint = access->region = NULL;
	access->path_style = access->anonymous = access->shared = false;
	access->key_id = access->secret = access->session_token = NULL;
}

static void
Resolve(LakeAccess *access)
{
	MemoryContext old_mcxt = access->mcxt;
	MemoryContext fresh = AllocSetContextCreate(TopMemoryContext, "shard lake access",
												ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(fresh);
	Oid			server = OidIsValid(access->server) ? access->server :
		get_foreign_server_oid(LAKE_SERVER, true);
	LakeAccess	next = *access;

	/* an error in here leaves what was there, still to be read anew */
	MemoryContextSetParent(fresh, caller);
	Clear(&next);
	if (OidIsValid(server))
	{
		ReadServer(&next, server);
		ReadMapping(&next, server);
	}
	ReadShared(&next);
	if (next.catalog == NULL)
		next.catalog = pstrdup("postgres");
	if (next.region == NULL)
		next.region = pstrdup(DEFAULT_REGION);
	SetIdentity(&next);
	next.mcxt = fresh;
	next.valid = true;
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(fresh, TopMemoryContext);
	*access = next;
	if (old_mcxt != NULL)
		MemoryContextDelete(old_mcxt);
}

static LakeAccess *
Find(Oid server, Oid user, const char *vended_for)
{
	MemoryContext old;
	LakeAccess *access;

	for (int i = 0; i < naccesses; i++)
	{
		access = accesses[i];
		if (access->server == server && access->user == user &&
			(vended_for == NULL ? access->vended_for == NULL :
			 access->vended_for != NULL && strcmp(access->vended_for, vended_for) == 0))
			return access;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	access = palloc0(sizeof(LakeAccess));
	access->server = server;
	access->user = user;
	access->vended_for = vended_for == NULL ? NULL : pstrdup(vended_for);
	accesses = accesses == NULL ? palloc(sizeof(LakeAccess *)) :
		repalloc(accesses, sizeof(LakeAccess *) * (naccesses + 1));
	accesses[naccesses++] = access;
	access->id = naccesses;
	MemoryContextSwitchTo(old);
	return access;
}

LakeAccess *
LakeAccessOf(Oid server)
{
	LakeAccess *access;

	if (OidIsValid(server) && server == get_foreign_server_oid(LAKE_SERVER, true))
		server = InvalidOid;
	access = Find(server, GetUserId(), NULL);

	if (!access->valid)
		Resolve(access);
	return access;
}

LakeAccess *
LakeAccessById(int id)
{
	LakeAccess *access;

	if (id == 0)
		return LakeAccessOf(InvalidOid);
	Assert(id > 0 && id <= naccesses);
	access = accesses[id - 1];
	if (!access->valid && access->vended_for == NULL)
		Resolve(access);
	return access;
}

static char *
CopyOr(const char *text, const char *otherwise)
{
	if (text == NULL)
		text = otherwise;
	return text == NULL ? NULL : pstrdup(text);
}

LakeAccess *
LakeAccessVended(const LakeAccess *base, const char *location, const LakeVended *vended)
{
	LakeAccess *access = Find(base->server, base->user, location);
	MemoryContext old_mcxt = access->mcxt;
	MemoryContext caller;

	access->mcxt = AllocSetContextCreate(TopMemoryContext, "shard lake access",
										 ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(access->mcxt);
	Clear(access);
	access->server_name = CopyOr(base->server_name, "lake");
	access->catalog = pstrdup(base->catalog);
	access->uri = CopyOr(base->uri, NULL);
	access->endpoint = vended->endpoint != NULL ? WithoutSlash(vended->endpoint) :
		CopyOr(base->endpoint, NULL);
	access->region = CopyOr(vended->region, base->region);
	access->path_style = vended->path_style >= 0 ? vended->path_style != 0 : base->path_style;
	access->key_id = CopyOr(vended->key_id, base->key_id);
	access->secret = CopyOr(vended->secret, base->secret);
	access->session_token = CopyOr(vended->session_token,
								   vended->key_id == NULL ? base->session_token : NULL);
	SetIdentity(access);
	access->valid = true;
	MemoryContextSwitchTo(caller);
	if (old_mcxt != NULL)
		MemoryContextDelete(old_mcxt);
	return access;
}

/*
 * The longest vended location that holds the file, of those of the lake's server
 * and the current user.
 */
LakeAccess *
LakeAccessOfLake(const char *uri)
{
	LakeAccess *best = LakeAccessOf(InvalidOid);

	for (int i = 0; i < naccesses; i++)
	{
		LakeAccess *access = accesses[i];

		if (!OidIsValid(access->server) && access->user == best->user &&
			access->vended_for != NULL &&
			(LakeIsBelow(uri, access->vended_for) ||
			 strcmp(LakePlace(uri), LakePlace(access->vended_for)) == 0) &&
			(best->vended_for == NULL || strlen(access->vended_for) > strlen(best->vended_for)))
			best = access;
	}
	return best;
}

static bool
SameText(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
LakeAccessRenew(LakeAccess *access)
{
	char	   *key_id = access->key_id == NULL ? NULL : pstrdup(access->key_id);
	char	   *secret = access->secret == NULL ? NULL : pstrdup(access->secret);
	char	   *token = access->session_token == NULL ? NULL : pstrdup(access->session_token);
	bool		same;

	if (access->vended_for != NULL)
		return false;
	AcceptInvalidationMessages();
	Resolve(access);
	same = SameText(key_id, access->key_id) && SameText(secret, access->secret) &&
		SameText(token, access->session_token);
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	return !same;
}

/* ---- the gate ---- */

const char *
LakePlace(const char *uri)
{
	if (strncmp(uri, "s3://", 5) == 0)
		return uri + 2;
	if (strncmp(uri, "s3a://", 6) == 0 || strncmp(uri, "s3n://", 6) == 0)
		return uri + 3;
	return uri;
}

bool
LakeIsBelow(const char *uri, const char *directory)
{
	const char *place = LakePlace(uri);
	const char *above = LakePlace(directory);
	size_t		len = strlen(above);

	return strncmp(place, above, len) == 0 && place[len] == '/';
}

bool
LakeAccessHasCredentials(const LakeAccess *access)
{
	return access->key_id != NULL || access->anonymous;
}

void
LakeAccessCheck(const LakeAccess *access, const char *uri)
{
	if ((access->anonymous && access->key_id == NULL) || access->vended_for != NULL)
		return;
	if (access->key_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("no credentials for lake file \"%s\"", uri),
				 errhint("Set access_key_id and secret_access_key in a user mapping for server \"%s\".",
						 access->server_name != NULL ? access->server_name : LAKE_SERVER)));
	if (access->shared && !LakeIsBelow(uri, LakeWarehouse()) &&
		!has_privs_of_role(access->user, ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for lake file \"%s\"", uri),
				 errdetail("Outside the warehouse, only members of pg_read_server_files may use the credentials of setting shard.store_credentials."),
				 errhint("Set access_key_id and secret_access_key in a user mapping for server \"%s\".",
						 access->server_name != NULL ? access->server_name : LAKE_SERVER)));
}
