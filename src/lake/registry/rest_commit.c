/*
 * rest_commit.c
 *		Making, changing and dropping tables of a REST catalog.
 *
 * A commit takes effect when the catalog carries it out, before the transaction
 * that it belongs to: files that it names are no longer removed should that
 * abort.  Whoever commits again after a crash is recognized by the position that
 * snapshots carry in their summaries.  An answer that leaves the outcome open is
 * resolved by looking: a snapshot has an id of its own, a new table its UUID.
 *
 * Changes of several tables go to the catalog in one request if it lists that
 * endpoint, so that none is there without the others.
 */
#include "postgres.h"

#include "base/points.h"
#include "base/settings.h"
#include "lake/internal.h"
#include "lake/io/http.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "lake/registry/rest.h"
#include "mb/pg_wchar.h"

/* ---- building requests ---- */

static Json *
Action(const char *key, const char *name)
{
	Json	   *action = JsonNew(JSON_OBJECT);

	JsonSet(action, key, JsonNewString(name));
	return action;
}

static void
AddAction(Json *updates, const char *name, const char *key, Json *value)
{
	Json	   *action = Action("action", name);

	JsonSet(action, key, value);
	JsonAppend(updates, action);
}

/* The levels of a namespace, which its dots divide. */
static Json *
Levels(const char *namespace)
{
	Json	   *levels = JsonNew(JSON_ARRAY);
	char	   *rest = pstrdup(namespace);
	char	   *level;

	while ((level = strsep(&rest, ".")) != NULL)
		JsonAppend(levels, JsonNewString(level));
	return levels;
}

static Json *
Parsed(const char *text, size_t len)
{
	return JsonParse(text, len, "lake metadata");
}

/* Metadata as JSON, as they would stand in a file. */
static Json *
Document(const IcebergMetadata *metadata)
{
	size_t		len;
	char	   *text = IcebergWriteMetadata(metadata, &len);

	return Parsed(text, len);
}

/* Elements of an array of the new metadata whose number is not among the old. */
static List *
NewElements(const Json *old, const Json *new, const char *array, const char *number)
{
	const Json *before = JsonGet(old, array);
	const Json *after = JsonGet(new, array);
	List	   *elements = NIL;

	for (int i = 0; i < JsonSize(after); i++)
	{
		int64		id = JsonIntegerValue(JsonGet(JsonAt(after, i), number));
		bool		found = false;

		for (int j = 0; j < JsonSize(before); j++)
			found |= JsonIntegerValue(JsonGet(JsonAt(before, j), number)) == id;
		if (!found)
			elements = lappend(elements, JsonAt(after, i));
	}
	return elements;
}

static bool
Differs(const Json *old, const Json *new, const char *key)
{
	return !JsonEqual(JsonGet(old, key), JsonGet(new, key));
}

/* New schemas, specs and sort orders, and which of them is current. */
static void
AddShape(Json *updates, const Json *old, const Json *new)
{
	ListCell   *lc;

	foreach(lc, NewElements(old, new, "schemas", "schema-id"))
	{
		Json	   *action = Action("action", "add-schema");

		JsonSet(action, "schema", lfirst(lc));
		JsonSet(action, "last-column-id", JsonGet(new, "last-column-id"));
		JsonAppend(updates, action);
	}
	if (Differs(old, new, "current-schema-id"))
		AddAction(updates, "set-current-schema", "schema-id", JsonGet(new, "current-schema-id"));
	foreach(lc, NewElements(old, new, "partition-specs", "spec-id"))
		AddAction(updates, "add-spec", "spec", lfirst(lc));
	if (Differs(old, new, "default-spec-id"))
		AddAction(updates, "set-default-spec", "spec-id", JsonGet(new, "default-spec-id"));
	foreach(lc, NewElements(old, new, "sort-orders", "order-id"))
		AddAction(updates, "add-sort-order", "sort-order", lfirst(lc));
	if (Differs(old, new, "default-sort-order-id"))
		AddAction(updates, "set-default-sort-order", "sort-order-id",
				  JsonGet(new, "default-sort-order-id"));
}

/* Those that are set; NULL if none are. */
static Json *
AddProperties(Json *updates, const Json *old, const Json *new)
{
	const Json *before = JsonGet(old, "properties");
	const Json *after = JsonGet(new, "properties");
	Json	   *set = JsonNew(JSON_OBJECT);
	Json	   *removed = JsonNew(JSON_ARRAY);
	const char *key;
	Json	   *value;

	JSON_FOREACH(after, key, value)
		if (!JsonEqual(JsonGet(before, key), value))
			JsonSet(set, key, value);
	JSON_FOREACH(before, key, value)
		if (JsonGet(after, key) == NULL)
			JsonAppend(removed, JsonNewString(key));
	if (JsonSize(set) > 0)
		AddAction(updates, "set-properties", "updates", set);
	if (JsonSize(removed) > 0)
		AddAction(updates, "remove-properties", "removals", removed);
	return JsonSize(set) > 0 ? set : NULL;
}

/* Ids of those that go; NULL if none do. */
static Json *
AddSnapshots(Json *updates, const Json *old, const Json *new)
{
	Json	   *removed = JsonNew(JSON_ARRAY);
	ListCell   *lc;

	foreach(lc, NewElements(old, new, "snapshots", "snapshot-id"))
		AddAction(updates, "add-snapshot", "snapshot", lfirst(lc));
	if (Differs(old, new, "current-snapshot-id"))
	{
		Json	   *ref = Action("action", "set-snapshot-ref");

		JsonSet(ref, "ref-name", JsonNewString("main"));
		JsonSet(ref, "type", JsonNewString("branch"));
		JsonSet(ref, "snapshot-id", JsonGet(new, "current-snapshot-id"));
		JsonAppend(updates, ref);
	}
	foreach(lc, NewElements(new, old, "snapshots", "snapshot-id"))
		JsonAppend(removed, JsonGet(lfirst(lc), "snapshot-id"));
	if (JsonSize(removed) > 0)
		AddAction(updates, "remove-snapshots", "snapshot-ids", removed);
	return JsonSize(removed) > 0 ? removed : NULL;
}

static Json *
CommitBody(Json *requirements, Json *updates)
{
	Json	   *body = JsonNew(JSON_OBJECT);

	JsonSet(body, "requirements", requirements);
	JsonSet(body, "updates", updates);
	return body;
}

/* ---- commits ---- */

/* What the new snapshot is built upon must be what the table still is. */
static Json *
Requirements(const IcebergMetadata *base)
{
	Json	   *requirements = JsonNew(JSON_ARRAY);
	Json	   *uuid = Action("type", "assert-table-uuid");
	Json	   *ref = Action("type", "assert-ref-snapshot-id");
	Json	   *schema = Action("type", "assert-current-schema-id");

	JsonSet(uuid, "uuid", JsonNewString(base->table_uuid));
	JsonAppend(requirements, uuid);
	JsonSet(ref, "ref", JsonNewString("main"));
	JsonSet(ref, "snapshot-id", base->current_snapshot_id == -1 ? JsonNew(JSON_NULL) :
			JsonNewInteger(base->current_snapshot_id));
	JsonAppend(requirements, ref);
	JsonSet(schema, "current-schema-id", JsonNewInteger(base->current_schema_id));
	JsonAppend(requirements, schema);
	return requirements;
}

RestChange *
RestPrepare(LakeTable *table, const IcebergMetadata *next)
{
	const IcebergMetadata *base = table->metadata;
	Json	   *old = Document(base);
	Json	   *new = Document(next);
	RestChange *change = palloc0(sizeof(RestChange));

	change->table = table;
	change->updates = JsonNew(JSON_ARRAY);
	AddShape(change->updates, old, new);
	change->properties = AddProperties(change->updates, old, new);
	change->removed = AddSnapshots(change->updates, old, new);
	if (JsonSize(change->updates) == 0)
		return NULL;
	change->requirements = Requirements(base);
	change->snapshot_id = next->current_snapshot_id == base->current_snapshot_id ? -1 :
		next->current_snapshot_id;
	change->schema_id = next->current_schema_id;
	change->spec_id = next->default_spec_id;
	change->order_id = next->default_sort_order_id;
	return change;
}

/* Has the catalog carried out the change after all? */
static bool
IsThere(const RestChange *change, const IcebergMetadata *now)
{
	const char *key;
	Json	   *value;

	if (change->snapshot_id != -1)
		return IcebergSnapshotById(now, change->snapshot_id) != NULL;
	if (now->current_schema_id != change->schema_id || now->default_spec_id != change->spec_id ||
		now->default_sort_order_id != change->order_id)
		return false;
	for (int i = 0; i < JsonSize(change->removed); i++)
		if (IcebergSnapshotById(now, JsonIntegerValue(JsonAt(change->removed, i))) != NULL)
			return false;
	JSON_FOREACH(change->properties, key, value)
	{
		const char *found = IcebergProperty(now, key);

		if (found == NULL || strcmp(found, JsonStringValue(value)) != 0)
			return false;
	}
	return true;
}

/* An answer after which a commit may or may not have been carried out? */
static bool
IsUnclear(const RestAnswer *answer)
{
	return (answer->status == 0 && !answer->unsent) || answer->status >= 500;
}

static LakeTable *
Now(const RestChange *change)
{
	return RestOpen(LakeAccessById(change->table->access), change->table->namespace,
					change->table->name, false);
}

LakeTable *
RestCommit(RestChange *change)
{
	LakeTable  *table = change->table;
	LakeAccess *access = LakeAccessById(table->access);
	char	   *path = RestTablePath(table->namespace, table->name);
	size_t		len;
	char	   *body = JsonText(CommitBody(change->requirements, change->updates), &len);

	LakeKeepWritten();
	SHARD_POINT("lake-before-catalog");
	for (int attempt = 1;; attempt++)
	{
		RestAnswer	answer = RestAsk(access, "POST", path, body);
		LakeTable  *now;

		SHARD_POINT("lake-after-catalog");
		if (answer.status / 100 == 2 && JsonGet(answer.body, "metadata") != NULL)
			return RestTableOf(access, table->namespace, table->name, answer.body);
		if (answer.status / 100 != 2 && answer.status != 409 && !IsUnclear(&answer))
			RestRaise(access, &answer,
					  psprintf("commit to lake table \"%s.%s\"", table->namespace, table->name));
		now = Now(change);
		if (IsThere(change, now->metadata))
			return now;
		if (answer.status == 409)
			return NULL;
		if (attempt > StoreMaxRetries)
			RestRaise(access, &answer,
					  psprintf("commit to lake table \"%s.%s\"", table->namespace, table->name));
		HttpPause(attempt, 0);
	}
}

/* ---- several tables ---- */

static char *
TransactionBody(const List *changes)
{
	Json	   *list = JsonNew(JSON_ARRAY);
	Json	   *body = JsonNew(JSON_OBJECT);
	ListCell   *lc;
	size_t		len;

	foreach(lc, changes)
	{
		const RestChange *change = lfirst(lc);
		Json	   *identifier = JsonNew(JSON_OBJECT);
		Json	   *element = CommitBody(change->requirements, change->updates);

		JsonSet(identifier, "namespace", Levels(change->table->namespace));
		JsonSet(identifier, "name", JsonNewString(change->table->name));
		JsonSet(element, "identifier", identifier);
		JsonAppend(list, element);
	}
	JsonSet(body, "table-changes", list);
	return JsonText(body, &len);
}

/* Those of the changes that the catalog has not carried out. */
static List *
NotThere(const List *changes)
{
	List	   *missing = NIL;
	ListCell   *lc;

	foreach(lc, changes)
		if (!IsThere(lfirst(lc), Now(lfirst(lc))->metadata))
			missing = lappend(missing, lfirst(lc));
	return missing;
}

static bool
CommitOneByOne(const List *changes)
{
	ListCell   *lc;

	foreach(lc, changes)
		if (RestCommit(lfirst(lc)) == NULL)
			return false;
	return true;
}

/* The endpoint is not there, whatever the catalog lists? */
static bool
IsUnknownEndpoint(const RestAnswer *answer)
{
	return answer->status == 405 || answer->status == 501 ||
		(answer->status == 404 && (answer->type == NULL || strstr(answer->type, "NoSuch") == NULL));
}

bool
RestCommitAll(const List *changes)
{
	LakeAccess *access = LakeAccessById(((RestChange *) linitial(changes))->table->access);
	char	   *body;

	if (list_length(changes) == 1)
		return CommitOneByOne(changes);
	body = TransactionBody(changes);
	LakeKeepWritten();
	SHARD_POINT("lake-before-catalog");
	for (int attempt = 1;; attempt++)
	{
		RestAnswer	answer = RestAsk(access, "POST", "transactions/commit", body);
		List	   *missing;

		SHARD_POINT("lake-after-catalog");
		if (answer.status / 100 == 2)
			return true;
		if (IsUnknownEndpoint(&answer))
		{
			RestForgetTogether(access);
			return CommitOneByOne(changes);
		}
		if (answer.status != 409 && !IsUnclear(&answer))
			RestRaise(access, &answer, "commit to several lake tables");
		missing = NotThere(changes);
		if (missing == NIL)
			return true;
		/* a catalog that does less than it says: what it left out, by itself */
		if (list_length(missing) < list_length(changes))
			return CommitOneByOne(missing);
		if (answer.status == 409)
			return false;
		if (attempt > StoreMaxRetries)
			RestRaise(access, &answer, "commit to several lake tables");
		HttpPause(attempt, 0);
	}
}

/* ---- tables that come ---- */

static void
MakeNamespace(LakeAccess *access, const char *namespace)
{
	Json	   *body = JsonNew(JSON_OBJECT);
	size_t		len;
	RestAnswer	answer;

	JsonSet(body, "namespace", Levels(namespace));
	JsonSet(body, "properties", JsonNew(JSON_OBJECT));
	answer = RestAsk(access, "POST", "namespaces", JsonText(body, &len));
	if (answer.status / 100 != 2 && answer.status != 409)
		RestRaise(access, &answer, psprintf("make namespace \"%s\"", namespace));
}

/*
 * Have the catalog say where the table's files are to be, unless the setting
 * shard.warehouse does; it may give credentials for them along.
 */
static void
Stage(LakeAccess *access, const char *namespace, const char *name, IcebergMetadata *metadata)
{
	Json	   *body = JsonNew(JSON_OBJECT);
	char	   *schema = IcebergSchemaText(IcebergCurrentSchema(metadata));
	char	   *path = RestTablePath(namespace, name);
	size_t		len;
	RestAnswer	answer;

	JsonSet(body, "name", JsonNewString(name));
	JsonSet(body, "schema", Parsed(schema, strlen(schema)));
	JsonSet(body, "stage-create", JsonNew(JSON_TRUE));
	if (metadata->location != NULL)
		JsonSet(body, "location", JsonNewString(metadata->location));
	*strrchr(path, '/') = '\0';
	answer = RestAsk(access, "POST", path, JsonText(body, &len));
	if (answer.status / 100 != 2 || JsonGet(answer.body, "metadata") == NULL)
		RestRaise(access, &answer, psprintf("make lake table \"%s.%s\"", namespace, name));
	metadata->location = RestTableOf(access, namespace, name, answer.body)->metadata->location;
}

LakeTable *
RestCreate(const char *namespace, const char *name, IcebergMetadata *metadata)
{
	LakeAccess *access = LakeAccessOf(InvalidOid);
	Json	   *updates = JsonNew(JSON_ARRAY);
	Json	   *requirements = JsonNew(JSON_ARRAY);
	Json	   *none = JsonNew(JSON_OBJECT);
	Json	   *document;
	char	   *body;
	size_t		len;

	MakeNamespace(access, namespace);
	Stage(access, namespace, name, metadata);
	document = Document(metadata);
	JsonAppend(requirements, Action("type", "assert-create"));
	AddAction(updates, "assign-uuid", "uuid", JsonNewString(metadata->table_uuid));
	AddAction(updates, "upgrade-format-version", "format-version", JsonNewInteger(metadata->format_version));
	AddShape(updates, none, document);
	AddAction(updates, "set-location", "location", JsonNewString(metadata->location));
	(void) AddProperties(updates, none, document);
	body = JsonText(CommitBody(requirements, updates), &len);
	for (int attempt = 1;; attempt++)
	{
		RestAnswer	answer = RestAsk(access, "POST", RestTablePath(namespace, name), body);
		LakeTable  *now;

		if (answer.status / 100 == 2 && JsonGet(answer.body, "metadata") != NULL)
			return RestTableOf(access, namespace, name, answer.body);
		now = IsUnclear(&answer) || answer.status / 100 == 2 || answer.status == 409 ? RestOpen(access, namespace, name, true) : NULL;
		if (now != NULL && strcmp(now->metadata->table_uuid, metadata->table_uuid) == 0)
			return now;
		if (now != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("lake table \"%s.%s\" already exists", namespace, name)));
		if (!(IsUnclear(&answer) || answer.status / 100 == 2) || attempt > StoreMaxRetries)
			RestRaise(access, &answer, psprintf("make lake table \"%s.%s\"", namespace, name));
		HttpPause(attempt, 0);
	}
}

/* ---- tables that go ---- */

bool
RestDrop(const char *namespace, const char *name, const char *uuid)
{
	LakeAccess *access = LakeAccessOf(InvalidOid);
	LakeTable  *table = RestOpen(access, namespace, name, true);
	RestAnswer	answer;

	if (table == NULL || strcmp(table->metadata->table_uuid, uuid) != 0)
		return true;
	answer = RestAsk(access, "DELETE", psprintf("%s?purgeRequested=false", RestTablePath(namespace, name)), NULL);
	return answer.status / 100 == 2 || answer.status == 404;
}
