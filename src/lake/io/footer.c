/*
 * footer.c
 *		A reader of the few parts of Parquet's metadata that tell where the
 *		columns are.
 *
 * Everything else is skipped by its type.  A column's chunk begins at its
 * dictionary or its first data page and has the length that the metadata say; the
 * bloom filter, if there is one, is part of what a reader may look at.
 */
#include "lake/io/footer.h"

#define MAX_DEPTH 16
#define MAX_ELEMENTS 1000000

/* Types of the compact protocol. */
enum
{
	THRIFT_STOP = 0, THRIFT_TRUE = 1, THRIFT_FALSE = 2, THRIFT_BYTE = 3, THRIFT_I16 = 4,
	THRIFT_I32 = 5, THRIFT_I64 = 6, THRIFT_DOUBLE = 7, THRIFT_BINARY = 8, THRIFT_LIST = 9,
	THRIFT_SET = 10, THRIFT_MAP = 11, THRIFT_STRUCT = 12
};

typedef struct Thrift
{
	const uint8 *p;
	const uint8 *end;
	bool		broken;
} Thrift;

/* A leaf of the schema belongs to a top-level column. */
typedef struct Leaves
{
	int			n;
	int			allocated;
	bool	   *wanted;
	bool		has_ids;
} Leaves;

typedef struct Reading
{
	int64		file_size;
	const int  *field_ids;
	int			nfields;
	Leaves		leaves;
	Extents    *extents;
	bool		unknown;		/* the metadata do not tell where something is */
} Reading;

int64
FooterLength(const char tail[FOOTER_TAIL])
{
	const uint8 *p = (const uint8 *) tail;

	if (memcmp(tail + 4, "PAR1", 4) != 0)
		return -1;
	return (int64) p[0] | (int64) p[1] << 8 | (int64) p[2] << 16 | (int64) p[3] << 24;
}

/* ---- the protocol ---- */

static uint64
Varint(Thrift *t)
{
	uint64		value = 0;

	for (int shift = 0; shift < 64 && t->p < t->end; shift += 7)
	{
		uint8		byte = *t->p++;

		value |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	t->broken = true;
	return 0;
}

static int64
Zigzag(Thrift *t)
{
	uint64		value = Varint(t);

	return (int64) (value >> 1) ^ -(int64) (value & 1);
}

static void
SkipBytes(Thrift *t, uint64 n)
{
	if (n > (uint64) (t->end - t->p))
		t->broken = true;
	else
		t->p += n;
}

static uint8
Byte(Thrift *t)
{
	if (t->p < t->end)
		return *t->p++;
	t->broken = true;
	return 0;
}

/* The header of a list: its elements' type. */
static uint64
ListHeader(Thrift *t, int *type)
{
	uint8		byte = Byte(t);
	uint64		n = byte >> 4;

	*type = byte & 15;
	if (n == 15)
		n = Varint(t);
	if (n > MAX_ELEMENTS)
		t->broken = true;
	return t->broken ? 0 : n;
}

static bool
NextField(Thrift *t, int *id, int *type)
{
	uint8		byte = Byte(t);

	*type = byte & 15;
	if (t->broken || *type == THRIFT_STOP)
		return false;
	*id = byte >> 4 != 0 ? *id + (byte >> 4) : (int) Zigzag(t);
	return !t->broken;
}

static void
Skip(Thrift *t, int type, int depth)
{
	int			id = 0;
	int			inner;
	uint64		n;

	if (depth > MAX_DEPTH)
		t->broken = true;
	if (t->broken)
		return;
	switch (type)
	{
		case THRIFT_TRUE:
		case THRIFT_FALSE:
			break;
		case THRIFT_BYTE:
			SkipBytes(t, 1);
			break;
		case THRIFT_I16:
		case THRIFT_I32:
		case THRIFT_I64:
			(void) Varint(t);
			break;
		case THRIFT_DOUBLE:
			SkipBytes(t, 8);
			break;
		case THRIFT_BINARY:
			SkipBytes(t, Varint(t));
			break;
		case THRIFT_LIST:
		case THRIFT_SET:
			n = ListHeader(t, &inner);
			for (uint64 i = 0; i < n && !t->broken; i++)
				if (inner == THRIFT_TRUE || inner == THRIFT_FALSE)
					SkipBytes(t, 1);
				else
					Skip(t, inner, depth + 1);
			break;
		case THRIFT_MAP:
			n = Varint(t);
			if (n > MAX_ELEMENTS)
				t->broken = true;
			inner = n > 0 && !t->broken ? Byte(t) : 0;
			for (uint64 i = 0; i < n && !t->broken; i++)
			{
				Skip(t, inner >> 4, depth + 1);
				Skip(t, inner & 15, depth + 1);
			}
			break;
		case THRIFT_STRUCT:
			while (NextField(t, &id, &inner))
				Skip(t, inner, depth + 1);
			break;
		default:
			t->broken = true;
	}
}

/* ---- the schema ---- */

typedef struct Element
{
	int64		children;
	int64		field_id;		/* -1 = none */
} Element;

static Element
ReadElement(Thrift *t)
{
	Element		element = {0, -1};
	int			id = 0;
	int			type;

	while (NextField(t, &id, &type))
	{
		if (id == 5 && type == THRIFT_I32)
			element.children = Zigzag(t);
		else if (id == 9 && type == THRIFT_I32)
			element.field_id = Zigzag(t);
		else
			Skip(t, type, 0);
	}
	if (element.children < 0 || element.children > MAX_ELEMENTS)
		t->broken = true;
	return element;
}

static bool
IsWanted(const Reading *reading, int64 field_id)
{
	for (int i = 0; i < reading->nfields; i++)
		if (reading->field_ids[i] == field_id)
			return true;
	return false;
}

static void
AddLeaf(Leaves *leaves, bool wanted)
{
	if (leaves->n == leaves->allocated)
	{
		leaves->allocated = leaves->allocated == 0 ? 64 : 2 * leaves->allocated;
		leaves->wanted = leaves->wanted == NULL ? mem_alloc(leaves->allocated)
			: mem_realloc(leaves->wanted, leaves->allocated);
	}
	leaves->wanted[leaves->n++] = wanted;
}

/*
 * The schema is a tree in depth-first order, its root first.
 */
static void
ReadSchema(Thrift *t, Reading *reading)
{
	int			type;
	uint64		n = ListHeader(t, &type);
	int64		pending = 0;	/* elements to come below the current top-level column */
	bool		wanted = false;

	for (uint64 i = 0; i < n && !t->broken; i++)
	{
		Element		element = ReadElement(t);

		if (i == 0)
			continue;			/* the root */
		if (pending == 0)
		{
			wanted = IsWanted(reading, element.field_id);
			reading->leaves.has_ids |= element.field_id >= 0;
		}
		else
			pending--;
		pending += element.children;
		if (element.children == 0)
			AddLeaf(&reading->leaves, wanted);
	}
}

/* ---- row groups ---- */

typedef struct ChunkPlace
{
	int64		data;
	int64		dictionary;
	int64		index;
	int64		length;
	int64		bloom;
	int64		bloom_length;
} ChunkPlace;

static void
ReadPlace(Thrift *t, ChunkPlace *place)
{
	int			id = 0;
	int			type;

	while (NextField(t, &id, &type))
	{
		bool		number = type == THRIFT_I64 || type == THRIFT_I32;

		if (!number)
			Skip(t, type, 0);
		else if (id == 7)
			place->length = Zigzag(t);
		else if (id == 9)
			place->data = Zigzag(t);
		else if (id == 10)
			place->index = Zigzag(t);
		else if (id == 11)
			place->dictionary = Zigzag(t);
		else if (id == 14)
			place->bloom = Zigzag(t);
		else if (id == 15)
			place->bloom_length = Zigzag(t);
		else
			(void) Varint(t);
	}
}

static void
AddPlace(Reading *reading, const ChunkPlace *place)
{
	int64		start = place->data;

	if (place->dictionary > 0 && place->dictionary < start)
		start = place->dictionary;
	if (place->index > 0 && place->index < start)
		start = place->index;
	if (start <= 0 || place->length < 0 || start > reading->file_size ||
		place->length > reading->file_size - start ||
		(place->bloom > 0 && (place->bloom_length <= 0 || place->bloom > reading->file_size ||
							  place->bloom_length > reading->file_size - place->bloom)))
	{
		reading->unknown = true;
		return;
	}
	ExtentsAdd(reading->extents, start, start + place->length);
	if (place->bloom > 0)
		ExtentsAdd(reading->extents, place->bloom, place->bloom + place->bloom_length);
}

static void
ReadChunk(Thrift *t, Reading *reading, uint64 leaf)
{
	ChunkPlace	place = {0};
	int			id = 0;
	int			type;

	while (NextField(t, &id, &type))
	{
		if (id == 3 && type == THRIFT_STRUCT)
			ReadPlace(t, &place);
		else
		{
			reading->unknown |= id == 1;	/* the column is in another file */
			Skip(t, type, 0);
		}
	}
	if (t->broken || leaf >= (uint64) reading->leaves.n)
		t->broken = true;
	else if (reading->leaves.wanted[leaf])
		AddPlace(reading, &place);
}

static void
ReadRowGroup(Thrift *t, Reading *reading)
{
	int			id = 0;
	int			type;

	while (NextField(t, &id, &type))
	{
		uint64		n;

		if (id != 1 || type != THRIFT_LIST)
		{
			Skip(t, type, 0);
			continue;
		}
		n = ListHeader(t, &type);
		for (uint64 i = 0; i < n && !t->broken; i++)
			ReadChunk(t, reading, i);
	}
}

bool
FooterColumns(const char *metadata, size_t len, int64 file_size,
			  const int *field_ids, int nfields, Extents *extents)
{
	Thrift		t = {(const uint8 *) metadata, (const uint8 *) metadata + len, false};
	Reading		reading = {file_size, field_ids, nfields, {0}, extents, false};
	int			id = 0;
	int			type;

	while (NextField(&t, &id, &type))
	{
		uint64		n;

		if (id == 2 && type == THRIFT_LIST)
			ReadSchema(&t, &reading);
		else if (id == 4 && type == THRIFT_LIST)
		{
			n = ListHeader(&t, &type);
			for (uint64 i = 0; i < n && !t.broken; i++)
				ReadRowGroup(&t, &reading);
		}
		else
			Skip(&t, type, 0);
	}
	return !t.broken && !reading.unknown && reading.leaves.has_ids;
}
