/*
 * rest.h
 *		An Iceberg REST catalog: tokens, namespaces, tables, commits.
 *
 * Source: the Iceberg REST catalog specification.
 */
#ifndef SHARD_LAKE_REST_H
#define SHARD_LAKE_REST_H

#include "postgres.h"
#include "base/compat.h"
#include "lake/iceberg/json.h"
#include "lake/io/access.h"
#include "lake/lake.h"

/* What a catalog answered. */
typedef struct RestAnswer
{
	int			status;			/* 0 = nothing: error says why */
	Json	   *body;			/* NULL if it is none, or no JSON */
	char	   *error;			/* a description; NULL for 2xx */
	char	   *type;			/* of an error, or NULL */
	bool		unsent;			/* the request cannot have been carried out */
	bool		untrusted;		/* since the certificate is not known */
} RestAnswer;

/*
 * One request below /v1/PREFIX/ (path without a slash at its begin; body as
 * JSON text or NULL).  Asked again as long as that is safe; tokens are renewed.
 */
extern RestAnswer RestAsk(LakeAccess *access, const char *method, const char *path,
						  const char *body);

/* The catalog does not have the endpoint for several tables after all. */
extern void RestForgetTogether(LakeAccess *access);

/* Raise an answer that is none of those expected: "could not <what>: ...". */
pg_noreturn extern void RestRaise(const LakeAccess *access, const RestAnswer *answer, const char *what);

/* "namespaces/NS/tables/T"; the namespace's levels are divided by dots. */
extern char *RestTablePath(const char *namespace, const char *name);

/* A table as it is now; NULL if missing_ok and not there, else ERROR 42P01. */
extern LakeTable *RestOpen(LakeAccess *access, const char *namespace, const char *name,
						   bool missing_ok);

/* The table that an answer to load, create or commit describes. */
extern LakeTable *RestTableOf(LakeAccess *access, const char *namespace, const char *name,
							  const Json *body);

/* A change of a table, as a request, and how to tell that it was carried out. */
typedef struct RestChange
{
	LakeTable  *table;			/* as it was */
	Json	   *requirements;
	Json	   *updates;
	int64		snapshot_id;	/* the new current one, or -1: there is none */
	int			schema_id;		/* these are current afterwards */
	int			spec_id;
	int			order_id;
	Json	   *properties;		/* that are set, or NULL */
	Json	   *removed;		/* ids of snapshots that go, or NULL */
} RestChange;

/*
 * What takes a table from what it is to what next says: schemas, specs,
 * properties, snapshots.  NULL if that is the same.
 */
extern RestChange *RestPrepare(LakeTable *table, const IcebergMetadata *next);

/* NULL if somebody else's commit came first. */
extern LakeTable *RestCommit(RestChange *change);

/* Does the catalog commit changes of several tables at once? */
extern bool RestCommitsTogether(LakeAccess *access);

/* All changes (RestChange *) at once; false if somebody else's commit to one of them came first. */
extern bool RestCommitAll(const List *changes);

/*
 * Make a table in the catalog of this database's lake; its location is filled in
 * if it is NULL.
 */
extern LakeTable *RestCreate(const char *namespace, const char *name, IcebergMetadata *metadata);

/* Drop a table, if it is the one of this UUID; its files stay.  False: not now. */
extern bool RestDrop(const char *namespace, const char *name, const char *uuid);

/* Names of the tables in a namespace, of char *, sorted. */
extern List *RestListTables(LakeAccess *access, const char *namespace);

#endif							/* SHARD_LAKE_REST_H */
