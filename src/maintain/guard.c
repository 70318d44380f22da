/*
 * guard.c
 *		The lock that keeps two sessions from compacting the same files; see
 *		guard.h.  Writers do not take it.
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "common/hashfn.h"
#include "maintain/guard.h"
#include "miscadmin.h"
#include "storage/lock.h"

bool
MaintenanceLock(const char *namespace, const char *name, bool wait)
{
	uint32		hash = hash_combine(hash_bytes((const unsigned char *) namespace, strlen(namespace)),
									hash_bytes((const unsigned char *) name, strlen(name)));
	LOCKTAG		tag;

	/* number 2 of what the extension locks by such tags; tables that share a hash wait in vain */
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, hash, 2);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}
