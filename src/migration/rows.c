/*
 * rows.c
 *		Mapping rows between a leaf and its parent, and hashing them.
 *
 * The hash is what a migration compares by: a row in the target is right if and
 * only if a row of the same hash is in the source.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "migration/rows.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static AttrNumber
FindColumn(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	elog(ERROR, "column \"%s\" is missing in a shard", name);
	return 0;
}

RowMap *
RowMapCreate(TupleDesc parent, TupleDesc leaf)
{
	RowMap	   *map = palloc0(sizeof(RowMap));

	map->nparent = parent->natts;
	map->nleaf = leaf->natts;
	map->leaf_of = palloc0(sizeof(AttrNumber) * Max(parent->natts, 1));
	map->leaf_values = palloc0(sizeof(Datum) * Max(leaf->natts, 1));
	map->leaf_nulls = palloc(sizeof(bool) * Max(leaf->natts, 1));
	memset(map->leaf_nulls, true, leaf->natts);
	for (int i = 0; i < parent->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(parent, i);

		if (!att->attisdropped)
			map->leaf_of[i] = FindColumn(leaf, NameStr(att->attname));
	}
	return map;
}

void
RowFromLeaf(RowMap *map, HeapTuple tuple, TupleDesc leaf, Datum *values, bool *nulls)
{
	heap_deform_tuple(tuple, leaf, map->leaf_values, map->leaf_nulls);
	for (int i = 0; i < map->nparent; i++)
	{
		AttrNumber	a = map->leaf_of[i];

		values[i] = a == 0 ? (Datum) 0 : map->leaf_values[a - 1];
		nulls[i] = a == 0 ? true : map->leaf_nulls[a - 1];
	}
}

void
RowToLeaf(RowMap *map, const Datum *values, const bool *nulls)
{
	memset(map->leaf_nulls, true, map->nleaf);
	for (int i = 0; i < map->nparent; i++)
	{
		AttrNumber	a = map->leaf_of[i];

		if (a == 0)
			continue;
		map->leaf_values[a - 1] = values[i];
		map->leaf_nulls[a - 1] = nulls[i];
	}
}

static void
AppendValue(StringInfo out, Form_pg_attribute att, Datum value)
{
	if (att->attbyval)
	{
		char		buf[sizeof(Datum)];

		store_att_byval(buf, value, att->attlen);
		appendBinaryStringInfo(out, buf, att->attlen);
	}
	else if (att->attlen > 0)
		appendBinaryStringInfo(out, DatumGetPointer(value), att->attlen);
	else if (att->attlen == -2)
		appendBinaryStringInfo(out, DatumGetCString(value), strlen(DatumGetCString(value)) + 1);
	else
	{
		struct varlena *given = (struct varlena *) DatumGetPointer(value);
		struct varlena *v = pg_detoast_datum_packed(given);
		uint32		len = VARSIZE_ANY_EXHDR(v);

		appendBinaryStringInfo(out, (char *) &len, sizeof(len));
		appendBinaryStringInfo(out, VARDATA_ANY(v), len);
		if (v != given)
			pfree(v);
	}
}

uint64
RowHash(TupleDesc parent, const Datum *values, const bool *nulls, uint64 seed, StringInfo scratch)
{
	resetStringInfo(scratch);
	for (int i = 0; i < parent->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(parent, i);

		if (att->attisdropped)
			continue;
		appendStringInfoCharMacro(scratch, nulls[i] ? '\0' : '\1');
		if (!nulls[i])
			AppendValue(scratch, att, values[i]);
	}
	return XXH3_64bits_withSeed(scratch->data, scratch->len, seed);
}
