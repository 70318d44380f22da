/*
 * xml.h
 *		The answers of an S3 service: elements with text, and nothing else of XML.
 *
 * Pure; malformed input ends the walk, never in a crash.
 */
#ifndef SHARD_LAKE_XML_H
#define SHARD_LAKE_XML_H

#include "base/portable.h"

typedef enum XmlEvent
{
	XML_BEGIN,					/* <name ...> */
	XML_TEXT,					/* between two tags, entities resolved */
	XML_CLOSE,					/* </name>, also after <name/> */
	XML_DONE,					/* the end of the text */
	XML_BROKEN					/* not well-formed */
} XmlEvent;

#define XML_MAX_DEPTH 32

typedef struct XmlReader
{
	const char *p;
	const char *end;
	int			depth;
	char	   *open[XML_MAX_DEPTH];	/* names of open elements, without prefixes */
	bool		empty;			/* the element just begun is closed already */
	char	   *name;			/* of XML_BEGIN and XML_CLOSE */
	char	   *text;			/* of XML_TEXT */
} XmlReader;

extern void XmlBegin(XmlReader *reader, const char *text, size_t len);
extern XmlEvent XmlNext(XmlReader *reader);

/* Text of the first element of this name anywhere; NULL if there is none. */
extern char *XmlFind(const char *text, size_t len, const char *name);

/* A text with what XML would take for markup escaped. */
extern char *XmlEscape(const char *text);

#endif							/* SHARD_LAKE_XML_H */
