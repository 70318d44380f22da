/*
 * compat.h
 *		Differences between PostgreSQL 15 to 18, in one place.
 */
#ifndef SHARD_COMPAT_H
#define SHARD_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "shard needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* The process of a virtual transaction, or NULL; needs storage/procarray.h. */
#if PG_VERSION_NUM >= 170000
#define VirtualTransactionProc(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define VirtualTransactionProc(vxid) BackendIdGetProc((vxid).backendId)
#endif

/* May a role do this with a function?  Needs utils/acl.h and catalog/pg_proc.h. */
#if PG_VERSION_NUM >= 160000
#define FunctionAclCheck(function, role, mode) \
	object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define FunctionAclCheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

/* A wait event set that lives until it is freed, in TopMemoryContext. */
#if PG_VERSION_NUM >= 170000
#define CompatCreateWaitEventSet(nevents) CreateWaitEventSet(NULL, (nevents))
#else
#define CompatCreateWaitEventSet(nevents) CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

/* Does a role own a relation?  Needs utils/acl.h and catalog/pg_class.h. */
#if PG_VERSION_NUM >= 160000
#define RelationOwnedBy(relid, role) object_ownercheck(RelationRelationId, (relid), (role))
#else
#define RelationOwnedBy(relid, role) pg_class_ownercheck((relid), (role))
#endif

#endif							/* SHARD_COMPAT_H */
