/*
 * route.c
 *		From a key to its shard: pins first, then the map, both through the
 *		frontier if the router is in motion.
 */
#include "postgres.h"

#include "catalog/internal.h"
#include "mb/pg_wchar.h"

/*
 * The hash is over the UTF-8 bytes, whatever the database's encoding.
 */
static inline char *
AsUtf8(const char *key, size_t *len)
{
	char	   *utf8;

	if (likely(GetDatabaseEncoding() == PG_UTF8))
		return unconstify(char *, key);
	utf8 = pg_server_to_any(key, *len, PG_UTF8);
	if (utf8 != key)
		*len = strlen(utf8);
	return utf8;
}

uint64
CatalogKeyHash(const Router *router, const char *key, size_t len)
{
	char	   *utf8 = AsUtf8(key, &len);

	return KeyHash(router->hash, utf8, len);
}

uint64
CatalogKeyPosition(const Router *router, const char *key, size_t len)
{
	return HashPosition(router->hash, CatalogKeyHash(router, key, len));
}

int
CatalogRouteUnpinned(const Router *router, const char *key, size_t len)
{
	char	   *utf8;

	if (router->ranges != NULL)
		return RouteByRange(router, key, len);
	utf8 = AsUtf8(key, &len);

	return MapRouteFrontier(router->map, router->next_map, router->frontier, utf8, len);
}

/*
 * Is the key below the frontier of a migration that changes its pin?
 */
static bool
NextPin(const Router *router, const char *key, size_t len, int *shard_index)
{
	return router->migrating && CatalogKeyPosition(router, key, len) < router->frontier &&
		CatalogNextPin(router->name, key, len, shard_index);
}

int
CatalogRoute(const Router *router, const char *key, size_t len)
{
	int			shard_index;

	if (unlikely((router->has_pins || router->has_next_pins) && router->ranges != NULL))
		key = CatalogKeyPinned(router, key, &len);
	if (unlikely(router->has_next_pins) && NextPin(router, key, len, &shard_index))
	{
		if (shard_index != PIN_REMOVED)
			return shard_index;
	}
	else if (unlikely(router->has_pins) && CatalogPin(router->name, key, len, &shard_index))
		return shard_index;
	return CatalogRouteUnpinned(router, key, len);
}
