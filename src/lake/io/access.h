/*
 * access.h
 *		On whose word, and with which credentials, files and catalogs are used.
 *
 * What a foreign server's options and a user's mapping say, kept for the life of
 * the process and read again when they change.  Secrets stay in here: they go
 * into signatures and tokens, never into a message.
 */
#ifndef SHARD_LAKE_ACCESS_H
#define SHARD_LAKE_ACCESS_H

#include "postgres.h"

#define ACCESS_IDENTITY 33

typedef struct LakeAccess
{
	int			id;				/* from 1; the same for the life of the process */
	Oid			server;			/* InvalidOid = server "lake", whether it is there or not */
	Oid			user;
	char	   *vended_for;		/* location for which a catalog gave the credentials; else NULL */
	bool		valid;
	MemoryContext mcxt;			/* of the following, replaced when they change */

	char	   *server_name;
	char	   *catalog;		/* postgres or rest */
	char	   *uri;			/* of the REST catalog */
	char	   *warehouse;		/* option, or NULL */
	char	   *oauth2_server_uri;
	char	   *scope;
	char	   *token;			/* secret: bearer token */
	char	   *credential;		/* secret: OAuth2 client id and secret */

	char	   *endpoint;		/* without a slash at its end; NULL = by region */
	char	   *region;
	bool		path_style;
	bool		anonymous;
	char	   *key_id;			/* NULL = no credentials */
	char	   *secret;
	char	   *session_token;	/* or NULL */
	bool		shared;			/* they are those of shard.store_credentials */
	char		identity[ACCESS_IDENTITY];	/* stands for endpoint and credentials */

	/* What the store taught us. */
	int64		clock_offset;	/* seconds to add to our clock */
	bool		no_conditional_put;
} LakeAccess;

/* For the current user; InvalidOid = the server "lake". */
extern LakeAccess *LakeAccessOf(Oid server);

/* By id; 0 = LakeAccessOf(InvalidOid). */
extern LakeAccess *LakeAccessById(int id);

/*
 * Credentials that a catalog gave for a location: a copy of base with what is not
 * NULL replaced.
 */
typedef struct LakeVended
{
	const char *endpoint;
	const char *region;
	const char *key_id;
	const char *secret;
	const char *session_token;
	int			path_style;		/* -1 = not said */
} LakeVended;

/* The access of this database's lake to a file: vended for what contains it, if any. */
extern LakeAccess *LakeAccessOfLake(const char *uri);

extern LakeAccess *LakeAccessVended(const LakeAccess *base, const char *location,
									const LakeVended *vended);

/* Read the credentials again; false if they are the same as before. */
extern bool LakeAccessRenew(LakeAccess *access);

/* Can requests to a store be made at all? */
extern bool LakeAccessHasCredentials(const LakeAccess *access);

/* ERROR 42501 unless these credentials may be used for a location. */
extern void LakeAccessCheck(const LakeAccess *access, const char *uri);

/* A URI without what differs between names of the same object: s3a and s3n are s3. */
extern const char *LakePlace(const char *uri);

/* Does a URI lie below another one? */
extern bool LakeIsBelow(const char *uri, const char *directory);

extern void LakeAccessInit(void);

#endif							/* SHARD_LAKE_ACCESS_H */
