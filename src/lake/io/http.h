/*
 * http.h
 *		HTTP requests, several at a time, that a query cancel ends at once.
 *
 * One attempt each: what is worth another is the caller's knowledge.  Redirects
 * are not followed, only http and https are spoken.
 */
#ifndef SHARD_LAKE_HTTP_H
#define SHARD_LAKE_HTTP_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef struct HttpRequest
{
	/* The request.  Memory and files must stay until it is done. */
	const char *method;
	const char *url;
	List	   *headers;		/* of char *, "name: value" */
	const char *body;			/* or NULL */
	size_t		body_len;
	int			body_fd;		/* with body NULL and body_len > 0: of this file */
	off_t		body_offset;

	/* Where the body of an answer 200 or 206 goes: a file, or memory (-1). */
	int			sink_fd;
	off_t		sink_offset;
	size_t		sink_max;		/* a longer one is an error */

	/* The answer. */
	int			status;			/* 0 = there is none: error says why */
	char	   *error;
	int			local_errno;	/* it failed at reading or writing a file here */
	bool		unsent;			/* it cannot have reached the server */
	bool		untrusted;		/* the server's certificate is not known */
	char	   *headers_in;		/* lines "name: value" */
	char	   *content;		/* in memory, with a zero after it */
	size_t		content_len;	/* also of what went to the file */
} HttpRequest;

/* An empty request. */
extern void HttpInit(HttpRequest *request, const char *method, const char *url);

/*
 * Carry out requests, at most "parallel" at a time; answers in the current
 * memory context.  Raises errors for cancel and termination only.
 */
extern void HttpRun(HttpRequest **requests, int n, int parallel);

/* A header of the answer, in the current memory context; NULL if there is none. */
extern char *HttpHeader(const HttpRequest *request, const char *name);

/* Wait before the next attempt, the first is 1: longer each time, by chance. */
extern void HttpPause(int attempt, int64 at_least_ms);

/* The percent-encoded form of a text. */
extern char *HttpEscape(const char *text);

#endif							/* SHARD_LAKE_HTTP_H */
