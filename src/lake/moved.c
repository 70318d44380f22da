/*
 * moved.c
 *		Tables whose files are elsewhere than their metadata say.
 *
 * A table that was copied or is mounted at another place keeps the paths that
 * its writer knew.  A foreign table's options say what those are now: location,
 * where the table's own location is, and path_map for what lies outside of it.
 * Metadata so read has the paths as they are now; position deletes go by the
 * written ones.
 */
#include "postgres.h"

#include "lake/internal.h"
#include "lib/stringinfo.h"
#include "wire/path_key.h"

static void
AddMove(IcebergMetadata *metadata, const char *from, const char *to)
{
	IcebergKeyValue *move = &metadata->moves[metadata->nmoves++];
	size_t		len = strlen(to);

	while (len > 1 && to[len - 1] == '/')
		len--;
	move->key = pstrdup(from);
	move->value = pnstrdup(to, len);
	for (len = strlen(from); len > 1 && from[len - 1] == '/';)
		move->key[--len] = '\0';
}

/* The next "from=to" of a list divided by commas; false at its end. */
static bool
NextPair(const char **text, char **from, char **to)
{
	const char *p = *text;
	size_t		len = strcspn(p, ",");
	char	   *pair;

	if (*p == '\0')
		return false;
	pair = pnstrdup(p, len);
	*text = p + len + (p[len] == ',');
	*from = pair + strspn(pair, " ");
	*to = strchr(*from, '=');
	if (*to != NULL)
		*(*to)++ = '\0';
	return true;
}

bool
LakePathMapValid(const char *text)
{
	char	   *from;
	char	   *to;

	while (NextPair(&text, &from, &to))
		if (to == NULL || from[0] == '\0' || to[0] == '\0')
			return false;
	return true;
}

void
LakeSetMoves(IcebergMetadata *metadata, const char *location, const char *path_map)
{
	int			n = 1;
	char	   *from;
	char	   *to;

	for (const char *p = path_map; p != NULL && *p != '\0'; p++)
		n += *p == ',';
	metadata->moves = palloc0(sizeof(IcebergKeyValue) * (n + 1));
	if (location != NULL)
		AddMove(metadata, metadata->location, location);
	while (path_map != NULL && NextPair(&path_map, &from, &to))
		if (to != NULL)
			AddMove(metadata, from, to);
	for (int i = 0; i < metadata->nsnapshots; i++)
		if (metadata->snapshots[i].manifest_list != NULL)
			metadata->snapshots[i].manifest_list =
				LakeMoved(metadata, metadata->snapshots[i].manifest_list);
}

/* What follows a prefix in a path; NULL if the path does not lie below it. */
static const char *
Below(const char *path, const char *prefix)
{
	size_t		len;
	size_t		prefix_len;

	path = PathKey(path, strlen(path), &len);
	prefix = PathKey(prefix, strlen(prefix), &prefix_len);
	if (len > prefix_len && strncmp(path, prefix, prefix_len) == 0 && path[prefix_len] == '/')
		return path + prefix_len;
	return NULL;
}

/*
 * Where a file is now; the longest prefix decides.
 */
char *
LakeMoved(const IcebergMetadata *metadata, char *path)
{
	const IcebergKeyValue *best = NULL;

	for (int i = 0; i < metadata->nmoves; i++)
	{
		const IcebergKeyValue *move = &metadata->moves[i];

		if (Below(path, move->key) != NULL &&
			(best == NULL || strlen(move->key) > strlen(best->key)))
			best = move;
	}
	if (best == NULL)
		return path;
	return psprintf("%s%s", best->value, Below(path, best->key));
}
