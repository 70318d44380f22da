/*
 * extent.c
 *		Sets of byte ranges.
 */
#include "lake/io/extent.h"

static void
Insert(Extents *extents, int at, Extent extent)
{
	if (extents->n == extents->allocated)
	{
		extents->allocated = extents->allocated == 0 ? 8 : 2 * extents->allocated;
		extents->items = extents->items == NULL
			? mem_alloc(sizeof(Extent) * extents->allocated)
			: mem_realloc(extents->items, sizeof(Extent) * extents->allocated);
	}
	memmove(&extents->items[at + 1], &extents->items[at], sizeof(Extent) * (extents->n - at));
	extents->items[at] = extent;
	extents->n++;
}

static void
Delete(Extents *extents, int at, int n)
{
	memmove(&extents->items[at], &extents->items[at + n],
			sizeof(Extent) * (extents->n - at - n));
	extents->n -= n;
}

void
ExtentsAdd(Extents *extents, int64 start, int64 end)
{
	int			first = 0;
	int			last;

	if (end <= start)
		return;
	while (first < extents->n && extents->items[first].end < start)
		first++;
	last = first;
	while (last < extents->n && extents->items[last].start <= end)
	{
		if (extents->items[last].start < start)
			start = extents->items[last].start;
		if (extents->items[last].end > end)
			end = extents->items[last].end;
		last++;
	}
	Delete(extents, first, last - first);
	Insert(extents, first, (Extent) {start, end});
}

bool
ExtentsHold(const Extents *extents, int64 start, int64 end)
{
	for (int i = 0; i < extents->n; i++)
		if (extents->items[i].start <= start && end <= extents->items[i].end)
			return true;
	return end <= start;
}

int64
ExtentsBytes(const Extents *extents)
{
	int64		bytes = 0;

	for (int i = 0; i < extents->n; i++)
		bytes += extents->items[i].end - extents->items[i].start;
	return bytes;
}

Extents
ExtentsMissing(const Extents *wanted, const Extents *have)
{
	Extents		missing = {0};
	int			h = 0;

	for (int i = 0; i < wanted->n; i++)
	{
		int64		start = wanted->items[i].start;
		int64		end = wanted->items[i].end;

		while (h < have->n && have->items[h].end <= start)
			h++;
		for (int j = h; j < have->n && have->items[j].start < end; j++)
		{
			ExtentsAdd(&missing, start, have->items[j].start);
			start = have->items[j].end;
		}
		ExtentsAdd(&missing, start, end);
	}
	return missing;
}

void
ExtentsJoin(Extents *extents, int64 gap)
{
	int			n = 0;

	for (int i = 1; i < extents->n; i++)
	{
		if (extents->items[i].start - extents->items[n].end <= gap)
			extents->items[n].end = extents->items[i].end;
		else
			extents->items[++n] = extents->items[i];
	}
	if (extents->n > 0)
		extents->n = n + 1;
}
