/*
 * rest_commit.c
 *		Making, changing and dropping tables of a REST catalog.
 *
 * A commit takes effect when the catalog carries it out, before the transaction
 * that it belongs to: files that it names are no longer removed should that
 * abort.  Whoever commits again after a crash is recognized by the position that
 * snapshots carry in their summaries.  An answer that leaves the outcome open is
 * resolved by looking: a snapshot has an id of its own, a new table its UUID.
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

static void
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
}

static void
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

/* Has the catalog carried out the commit after all? */
static bool
IsThere(const LakeTable *now, const IcebergMetadata *base, const IcebergMetadata *next)
{
	if (next->current_snapshot_id != base->current_snapshot_id)
		return IcebergSnapshotById(now->metadata, next->current_snapshot_id) != NULL;
	if (next->current_schema_id != base->current_schema_id)
		return now->metadata->current_schema_id == next->current_schema_id;
	/* snapshots were removed, or the like: doing it again does no harm */
	return false;
}

/* An answer after which a commit may or may not have been carried out? */
static bool
IsUnclear(const RestAnswer *answer)
{
	return (answer->status == 0 && !answer->unsent) || answer->status >= 500 ||
		(answer->status / 100 == 2 && JsonGet(answer->body, "metadata") == NULL);
}

LakeTable *
RestCommit(LakeTable *table, const IcebergMetadata *next)
{
	const IcebergMetadata *base = table->metadata;
	LakeAccess *access = LakeAccessById(table->access);
	char	   *path = RestTablePath(table->namespace, table->name);
	Json	   *old = Document(base);
	Json	   *new = Document(next);
	Json	   *updates = JsonNew(JSON_ARRAY);
	char	   *body;
	size_t		len;

	AddShape(updates, old, new);
	AddProperties(updates, old, new);
	AddSnapshots(updates, old, new);
	if (JsonSize(updates) == 0)
		return table;
	body = JsonText(CommitBody(Requirements(base), updates), &len);
	LakeKeepWritten();
	for (int attempt = 1;; attempt++)
	{
		RestAnswer	answer = RestAsk(access, "POST", path, body);
		LakeTable  *now;

		SHARD_POINT("lake-after-catalog");
		if (answer.status / 100 == 2 && !IsUnclear(&answer))
			return RestTableOf(access, table->namespace, table->name, answer.body);
		if (answer.status != 409 && !IsUnclear(&answer))
			RestRaise(access, &answer,
					  psprintf("commit to lake table \"%s.%s\"", table->namespace, table->name));
		now = RestOpen(access, table->namespace, table->name, false);
		if (IsThere(now, base, next))
			return now;
		if (answer.status == 409)
			return NULL;
		if (attempt > StoreMaxRetries)
			RestRaise(access, &answer,
					  psprintf("commit to lake table \"%s.%s\"", table->namespace, table->name));
		HttpPause(attempt, 0);
	}
}

/* ---- tables that come ---- */

static void
MakeNamespace(LakeAccess *access, const char *namespace)
{
	Json	   *levels = JsonNew(JSON_ARRAY);
	Json	   *body = JsonNew(JSON_OBJECT);
	char	   *rest = pstrdup(namespace);
	char	   *level;
	size_t		len;
	RestAnswer	answer;

	while ((level = strsep(&rest, ".")) != NULL)
		JsonAppend(levels, JsonNewString(level));
	JsonSet(body, "namespace", levels);
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
	AddProperties(updates, none, document);
	body = JsonText(CommitBody(requirements, updates), &len);
	for (int attempt = 1;; attempt++)
	{
		RestAnswer	answer = RestAsk(access, "POST", RestTablePath(namespace, name), body);
		LakeTable  *now;

		if (answer.status / 100 == 2 && !IsUnclear(&answer))
			return RestTableOf(access, namespace, name, answer.body);
		now = IsUnclear(&answer) || answer.status == 409 ? RestOpen(access, namespace, name, true) : NULL;
		if (now != NULL && strcmp(now->metadata->table_uuid, metadata->table_uuid) == 0)
			return now;
		if (now != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("lake table \"%s.%s\" already exists", namespace, name)));
		if (!IsUnclear(&answer) || attempt > StoreMaxRetries)
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
