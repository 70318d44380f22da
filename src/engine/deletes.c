/*
 * deletes.c
 *		Bitmaps of deleted rows, and their cache.
 *
 * A bitmap has pages of 65,536 rows, allocated where a row is deleted.  It is
 * known by its data file and the set of delete files in it.  When a flush has
 * added a delete file, the bitmap of the files before is copied and only the new
 * file is read.  Bitmaps are complete before they enter the cache and never
 * change afterwards, so that they are read without a lock.
 */
#include "engine/deletes.h"

#include <pthread.h>
#include <stdio.h>

#include "engine/fail.h"
#include "engine/roaring.h"
#include "engine/statement.h"
#include "wire/path_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PAGE_WORDS (DELETE_PAGE_ROWS / 64)
#define MAX_ROW ((int64) 1 << 40)
#define NBUCKETS 4096
#define MAX_PATHS_IN_FILTER 200

struct DeleteBitmap
{
	char	   *data_file;
	int			nfiles;
	char	  **files;			/* sorted */
	uint64	  **pages;
	int64		npages;
	size_t		bytes;			/* memory */
	int			refs;			/* sets that use it, and the cache */
	bool		cached;
	DeleteBitmap *chain;		/* of its bucket */
	DeleteBitmap *newer;		/* by last use */
	DeleteBitmap *older;
};

struct DeleteSet
{
	int			refs;
	int			n;
	struct DeleteSetEntry
	{
		char	   *data_file;	/* the bitmap's */
		size_t		len;
		DeleteBitmap *bitmap;
	}			entries[];		/* sorted by file */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static DeleteBitmap *buckets[NBUCKETS];
static DeleteBitmap *newest = NULL;
static DeleteBitmap *oldest = NULL;
static int64 cache_bytes = 0;
static int64 cache_limit = 64 * 1024 * 1024;

/*
 * Memory that outlives the request, so not mem_alloc()'s.
 */
static void *
Allocate(size_t n)
{
	void	   *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		Fail("53200", "out of memory");
	return p;
}

static char *
Copy(const char *s)
{
	size_t		size = strlen(s) + 1;

	return memcpy(Allocate(size), s, size);
}

/* ---- one bitmap ---- */

static DeleteBitmap *
BitmapCreate(const DeleteRequest *request)
{
	DeleteBitmap *bitmap = Allocate(sizeof(DeleteBitmap));

	bitmap->refs = 1;
	bitmap->data_file = Copy(request->data_file);
	bitmap->files = Allocate(sizeof(char *) * request->nfiles);
	bitmap->nfiles = request->nfiles;
	bitmap->bytes = sizeof(DeleteBitmap) + strlen(request->data_file);
	for (int i = 0; i < request->nfiles; i++)
	{
		bitmap->files[i] = Copy(request->files[i]);
		bitmap->bytes += strlen(request->files[i]) + sizeof(char *);
	}
	return bitmap;
}

static void
BitmapFree(DeleteBitmap *bitmap)
{
	for (int64 i = 0; i < bitmap->npages; i++)
		free(bitmap->pages[i]);
	for (int i = 0; i < bitmap->nfiles; i++)
		free(bitmap->files[i]);
	free(bitmap->pages);
	free(bitmap->files);
	free(bitmap->data_file);
	free(bitmap);
}

static uint64 *
BitmapPage(DeleteBitmap *bitmap, int64 page)
{
	if (page >= bitmap->npages)
	{
		int64		npages = page + 1 > bitmap->npages * 2 ? page + 1 : bitmap->npages * 2;
		uint64	  **pages = realloc(bitmap->pages, sizeof(uint64 *) * npages);

		if (pages == NULL)
			Fail("53200", "out of memory");
		memset(pages + bitmap->npages, 0, sizeof(uint64 *) * (npages - bitmap->npages));
		bitmap->bytes += sizeof(uint64 *) * (npages - bitmap->npages);
		bitmap->pages = pages;
		bitmap->npages = npages;
	}
	if (bitmap->pages[page] == NULL)
	{
		bitmap->pages[page] = Allocate(sizeof(uint64) * PAGE_WORDS);
		bitmap->bytes += sizeof(uint64) * PAGE_WORDS;
	}
	return bitmap->pages[page];
}

static void
BitmapAdd(DeleteBitmap *bitmap, int64 row)
{
	uint64	   *page;
	int			bit;

	if (row < 0 || row >= MAX_ROW)
		Fail("XX001", "a delete file for \"%s\" holds the invalid position %lld",
			 bitmap->data_file, (long long) row);
	bit = (int) (row % DELETE_PAGE_ROWS);
	page = BitmapPage(bitmap, row / DELETE_PAGE_ROWS);
	page[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void
BitmapCopyRows(DeleteBitmap *to, const DeleteBitmap *from)
{
	for (int64 i = 0; i < from->npages; i++)
		if (from->pages[i] != NULL)
			memcpy(BitmapPage(to, i), from->pages[i], sizeof(uint64) * PAGE_WORDS);
}

const uint64 *
DeleteBitmapPage(const DeleteBitmap *bitmap, int64 number)
{
	return number >= 0 && number < bitmap->npages ? bitmap->pages[number] : NULL;
}

/* ---- the cache; the lock is held ---- */

static DeleteBitmap **
Bucket(const char *data_file)
{
	return &buckets[XXH3_64bits(data_file, strlen(data_file)) % NBUCKETS];
}

static void
UnlinkByUse(DeleteBitmap *bitmap)
{
	*(bitmap->newer ? &bitmap->newer->older : &newest) = bitmap->older;
	*(bitmap->older ? &bitmap->older->newer : &oldest) = bitmap->newer;
	bitmap->newer = bitmap->older = NULL;
}

static void
LinkAsNewest(DeleteBitmap *bitmap)
{
	bitmap->older = newest;
	*(newest ? &newest->newer : &oldest) = bitmap;
	newest = bitmap;
}

/*
 * Give a reference back.
 */
static void
BitmapRelease(DeleteBitmap *bitmap)
{
	if (--bitmap->refs == 0)
		BitmapFree(bitmap);
}

static void
CacheRemove(DeleteBitmap *bitmap)
{
	DeleteBitmap **p = Bucket(bitmap->data_file);

	while (*p != bitmap)
		p = &(*p)->chain;
	*p = bitmap->chain;
	UnlinkByUse(bitmap);
	cache_bytes -= bitmap->bytes;
	bitmap->cached = false;
	BitmapRelease(bitmap);
}

static void
CacheAdd(DeleteBitmap *bitmap)
{
	DeleteBitmap **bucket = Bucket(bitmap->data_file);

	bitmap->chain = *bucket;
	*bucket = bitmap;
	LinkAsNewest(bitmap);
	bitmap->cached = true;
	bitmap->refs++;
	cache_bytes += bitmap->bytes;
	while (cache_bytes > cache_limit && oldest != NULL)
		CacheRemove(oldest);
}

/*
 * Does a bitmap hold only delete files of the request?  Both are sorted.
 */
static bool
IsPartOf(const DeleteBitmap *bitmap, const DeleteRequest *request)
{
	int			i = 0;

	for (int j = 0; j < request->nfiles && i < bitmap->nfiles; j++)
		if (strcmp(bitmap->files[i], request->files[j]) == 0)
			i++;
	return i == bitmap->nfiles;
}

/*
 * The cached bitmap with most of the request's delete files and no other; with
 * a reference for the caller.
 */
static DeleteBitmap *
CacheFind(const DeleteRequest *request)
{
	DeleteBitmap *best = NULL;

	for (DeleteBitmap *b = *Bucket(request->data_file); b != NULL; b = b->chain)
		if (strcmp(b->data_file, request->data_file) == 0 &&
			(best == NULL || b->nfiles > best->nfiles) && IsPartOf(b, request))
			best = b;
	if (best != NULL)
	{
		best->refs++;
		UnlinkByUse(best);
		LinkAsNewest(best);
	}
	return best;
}

void
DeleteCacheLimit(int64 bytes)
{
	pthread_mutex_lock(&lock);
	cache_limit = bytes;
	pthread_mutex_unlock(&lock);
}

int64
DeleteCacheBytes(void)
{
	int64		bytes;

	pthread_mutex_lock(&lock);
	bytes = cache_bytes;
	pthread_mutex_unlock(&lock);
	return bytes;
}

/* ---- reading delete files ---- */

/* A data file whose bitmap lacks some delete files. */
typedef struct Missing
{
	DeleteRequest *request;
	DeleteBitmap *bitmap;		/* being made */
	const DeleteBitmap *base;	/* what it was copied from, or NULL */
	bool		wanted;			/* rows of the delete file being read are for it */
} Missing;

/* A deletion vector to be read. */
typedef struct Vector
{
	Missing    *missing;
	int64		offset;
	int64		bytes;
	int64		rows;
	const char *path;
} Vector;

typedef struct Loader
{
	Missing    *missing;		/* sorted by key */
	int			n;
	char	  **files;			/* to read; sorted, without duplicates */
	int			nfiles;
	Vector	   *vectors;		/* to read; sorted by path */
	int			nvectors;
} Loader;

static int
CompareStrings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int
CompareMissing(const void *a, const void *b)
{
	return strcmp(((const Missing *) a)->request->key, ((const Missing *) b)->request->key);
}

static int
CompareName(const char *name, size_t len, const char *other)
{
	int			result = strncmp(name, other, len);

	return result != 0 ? result : other[len] == '\0' ? 0 : -1;
}

static bool
HasFile(char **files, int n, const char *name, size_t len)
{
	int			low = 0;

	while (low < n)
	{
		int			middle = (low + n) / 2;
		int			order = CompareName(name, len, files[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			n = middle;
		else
			low = middle + 1;
	}
	return false;
}

/*
 * The bitmaps of a data file: the first of them, and their number.
 */
static Missing *
FindMissing(Loader *loader, const char *path, size_t len, int *n)
{
	int			low = 0;
	int			high = loader->n;

	path = PathKey(path, len, &len);
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (CompareName(path, len, loader->missing[middle].request->key) <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	for (*n = 0; low + *n < loader->n; (*n)++)
		if (CompareName(path, len, loader->missing[low + *n].request->key) != 0)
			break;
	return &loader->missing[low];
}

static bool
IsVector(const char *file)
{
	return strncmp(file, "dv:", 3) == 0;
}

static void
AddVector(Loader *loader, Missing *missing, const char *file)
{
	Vector	   *vector = &loader->vectors[loader->nvectors++];
	long long	offset;
	long long	bytes;
	long long	rows;
	int			path = 0;

	if (sscanf(file, "dv:%lld:%lld:%lld:%n", &offset, &bytes, &rows, &path) != 3 || path == 0)
		Fail("08P01", "malformed deletion vector \"%s\"", file);
	*vector = (Vector) {missing, offset, bytes, rows, file + path};
}

static int
CompareVectors(const void *a, const void *b)
{
	return strcmp(((const Vector *) a)->path, ((const Vector *) b)->path);
}

/*
 * All delete files that some bitmap lacks, once each, and all deletion vectors.
 */
static void
CollectFiles(Loader *loader)
{
	int			total = 0;
	int			unique = 0;

	for (int i = 0; i < loader->n; i++)
		total += loader->missing[i].request->nfiles;
	loader->files = mem_alloc(sizeof(char *) * (total + 1));
	loader->vectors = mem_alloc(sizeof(Vector) * (total + 1));
	for (int i = 0; i < loader->n; i++)
	{
		Missing    *m = &loader->missing[i];

		for (int j = 0; j < m->request->nfiles; j++)
		{
			char	   *file = m->request->files[j];

			if (m->base != NULL && HasFile(m->base->files, m->base->nfiles, file, strlen(file)))
				continue;
			if (IsVector(file))
				AddVector(loader, m, file);
			else
				loader->files[loader->nfiles++] = file;
		}
	}
	qsort(loader->vectors, loader->nvectors, sizeof(Vector), CompareVectors);
	qsort(loader->files, loader->nfiles, sizeof(char *), CompareStrings);
	for (int i = 0; i < loader->nfiles; i++)
		if (i == 0 || strcmp(loader->files[i], loader->files[unique - 1]) != 0)
			loader->files[unique++] = loader->files[i];
	loader->nfiles = unique;
}

static void
PutLiteral(FrameBuffer *sql, const char *s)
{
	for (FramePutU8(sql, '\''); *s != '\0'; s++)
	{
		if (*s == '\'')
			FramePutU8(sql, '\'');
		FramePutU8(sql, (uint8) *s);
	}
	FramePutU8(sql, '\'');
}

static void
PutText(FrameBuffer *sql, const char *s)
{
	for (; *s != '\0'; s++)
		FramePutU8(sql, (uint8) *s);
}

/*
 * Are all rows of interest found by the paths as they are written?
 */
static bool
CanFilter(const Loader *loader)
{
	for (int i = 0; i < loader->n; i++)
		if (loader->missing[i].request->loose)
			return false;
	return loader->n <= MAX_PATHS_IN_FILTER;
}

static char *
LoaderSql(Loader *loader)
{
	FrameBuffer sql = {NULL, 0, 0};

	PutText(&sql, "SELECT file_path, pos, filename FROM read_parquet([");
	for (int i = 0; i < loader->nfiles; i++)
	{
		PutText(&sql, i > 0 ? "," : "");
		PutLiteral(&sql, loader->files[i]);
	}
	PutText(&sql, "], filename = true, hive_partitioning = " ENGINE_FALSE ")");
	if (CanFilter(loader))
	{
		PutText(&sql, " WHERE file_path IN (");
		for (int i = 0; i < loader->n; i++)
		{
			PutText(&sql, i > 0 ? "," : "");
			PutLiteral(&sql, loader->missing[i].request->iceberg_path);
		}
		PutText(&sql, ")");
	}
	FramePutU8(&sql, '\0');
	return sql.data;
}

static bool
SameString(duckdb_string_t *a, duckdb_string_t *b)
{
	uint32		len = duckdb_string_t_length(*a);

	return len == duckdb_string_t_length(*b) &&
		memcmp(duckdb_string_t_data(a), duckdb_string_t_data(b), len) == 0;
}

/*
 * The bitmaps of a path, with those marked that a delete file is for.
 */
static Missing *
TargetsOf(Loader *loader, duckdb_string_t *path, duckdb_string_t *file, int *n)
{
	Missing    *first = FindMissing(loader, duckdb_string_t_data(path),
									duckdb_string_t_length(*path), n);

	for (int i = 0; i < *n; i++)
		first[i].wanted = HasFile(first[i].request->files, first[i].request->nfiles,
								  duckdb_string_t_data(file), duckdb_string_t_length(*file));
	return first;
}

static void
LoadChunk(Loader *loader, duckdb_data_chunk chunk)
{
	duckdb_vector vectors[3];
	duckdb_string_t *paths;
	duckdb_string_t *files;
	int64	   *rows;
	Missing    *targets = NULL;
	int			ntargets = 0;
	uint64		n = duckdb_data_chunk_get_size(chunk);

	for (int i = 0; i < 3; i++)
		vectors[i] = duckdb_data_chunk_get_vector(chunk, i);
	paths = duckdb_vector_get_data(vectors[0]);
	rows = duckdb_vector_get_data(vectors[1]);
	files = duckdb_vector_get_data(vectors[2]);
	for (uint64 i = 0; i < n; i++)
	{
		uint64_t   *path_validity = duckdb_vector_get_validity(vectors[0]);
		uint64_t   *row_validity = duckdb_vector_get_validity(vectors[1]);

		if ((path_validity && !duckdb_validity_row_is_valid(path_validity, i)) ||
			(row_validity && !duckdb_validity_row_is_valid(row_validity, i)))
			Fail("XX001", "a delete file holds null");
		if (i == 0 || !SameString(&paths[i], &paths[i - 1]) || !SameString(&files[i], &files[i - 1]))
			targets = TargetsOf(loader, &paths[i], &files[i], &ntargets);
		for (int t = 0; t < ntargets; t++)
			if (targets[t].wanted)
				BitmapAdd(targets[t].bitmap, rows[i]);
	}
}

/*
 * Fill the bitmaps from their delete files.
 */
static void
LoadFiles(duckdb_connection con, Loader *loader)
{
	Statement	statement = {0};
	Statement  *volatile kept = &statement;
	jmp_buf    *outer = fail_target;
	jmp_buf		target;

	fail_target = &target;
	if (setjmp(target) != 0)
	{
		fail_target = outer;
		StatementDestroy(kept);
		FailAgain();
	}
	StatementStart(kept, con, LoaderSql(loader), true);
	if (duckdb_column_type(&kept->result, 0) != DUCKDB_TYPE_VARCHAR ||
		duckdb_column_type(&kept->result, 1) != DUCKDB_TYPE_BIGINT)
		Fail("XX001", "a delete file has columns of other types than string and long");
	while (StatementFetch(kept) != NULL)
		LoadChunk(loader, kept->chunk);
	fail_target = outer;
	StatementDestroy(kept);
}

/* ---- reading deletion vectors ---- */

typedef struct VectorRows
{
	DeleteBitmap *bitmap;
	int64		n;
} VectorRows;

static bool
AddVectorRow(void *arg, int64 row)
{
	VectorRows *rows = arg;

	if (row < 0 || row >= MAX_ROW)
		return false;
	BitmapAdd(rows->bitmap, row);
	rows->n++;
	return true;
}

static void
LoadVector(const Vector *vector, const char *file, size_t len)
{
	VectorRows	rows = {vector->missing->bitmap, 0};
	const char *fault = "it is beyond the end of the file";

	if (vector->offset >= 0 && vector->bytes >= 0 && (uint64) vector->offset <= len &&
		(uint64) vector->bytes <= len - (uint64) vector->offset)
		fault = DeletionVectorRead(file + vector->offset, vector->bytes, AddVectorRow, &rows);
	if (fault == NULL && rows.n != vector->rows)
		fault = "it has another number of rows than the manifest says";
	if (fault != NULL)
		Fail("XX001", "deletion vector at %lld of \"%s\" cannot be read: %s",
			 (long long) vector->offset, vector->path, fault);
}

/*
 * The vectors in one Puffin file.
 */
static void
LoadPuffin(Statement *statement, duckdb_connection con, const Vector *vectors, int n)
{
	FrameBuffer sql = {NULL, 0, 0};
	duckdb_string_t *content;

	PutText(&sql, "SELECT content FROM read_blob(");
	PutLiteral(&sql, vectors[0].path);
	PutText(&sql, ")");
	FramePutU8(&sql, '\0');
	StatementStart(statement, con, sql.data, true);
	if (StatementFetch(statement) == NULL)
		Fail("XX001", "deletion vectors of \"%s\" are not there", vectors[0].path);
	content = duckdb_vector_get_data(duckdb_data_chunk_get_vector(statement->chunk, 0));
	for (int i = 0; i < n; i++)
		LoadVector(&vectors[i], duckdb_string_t_data(content), duckdb_string_t_length(*content));
}

static void
LoadVectors(duckdb_connection con, Loader *loader)
{
	Statement	statement = {0};
	Statement  *volatile kept = &statement;
	jmp_buf    *outer = fail_target;
	jmp_buf		target;
	int			n;

	fail_target = &target;
	if (setjmp(target) != 0)
	{
		fail_target = outer;
		StatementDestroy(kept);
		FailAgain();
	}
	for (int i = 0; i < loader->nvectors; i += n)
	{
		for (n = 1; i + n < loader->nvectors; n++)
			if (strcmp(loader->vectors[i].path, loader->vectors[i + n].path) != 0)
				break;
		LoadPuffin(kept, con, &loader->vectors[i], n);
		StatementDestroy(kept);
	}
	fail_target = outer;
}

/* ---- the set of a request ---- */

static int
CompareEntries(const void *a, const void *b)
{
	return strcmp(((const struct DeleteSetEntry *) a)->data_file,
				  ((const struct DeleteSetEntry *) b)->data_file);
}

DeleteRequest *
DeleteRequestsRead(FrameReader *reader, int *n)
{
	DeleteRequest *requests;

	*n = (int) FrameGetCount(reader, 3 * sizeof(uint32) + 1);
	requests = mem_alloc0(sizeof(DeleteRequest) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		DeleteRequest *r = &requests[i];
		size_t		len;

		r->data_file = FrameGetString(reader);
		r->iceberg_path = FrameGetString(reader);
		r->key = PathKey(r->iceberg_path, strlen(r->iceberg_path), &len);
		r->loose = FrameGetU8(reader) != 0;
		r->nfiles = (int) FrameGetCount(reader, sizeof(uint32));
		r->files = mem_alloc0(sizeof(char *) * (r->nfiles + 1));
		for (int j = 0; j < r->nfiles; j++)
			r->files[j] = FrameGetString(reader);
		qsort(r->files, r->nfiles, sizeof(char *), CompareStrings);
	}
	return requests;
}

static int
CompareRequests(const void *a, const void *b)
{
	return strcmp(((const DeleteRequest *) a)->data_file, ((const DeleteRequest *) b)->data_file);
}

static bool
SameFiles(const DeleteRequest *a, const DeleteRequest *b)
{
	if (a->nfiles != b->nfiles || strcmp(a->key, b->key) != 0)
		return false;
	for (int i = 0; i < a->nfiles; i++)
		if (strcmp(a->files[i], b->files[i]) != 0)
			return false;
	return true;
}

/*
 * A query may scan one table twice, but not in two states: the functions know a
 * row by the name of its file alone.
 */
static int
DropDuplicates(DeleteRequest *requests, int n)
{
	int			unique = 0;

	qsort(requests, n, sizeof(DeleteRequest), CompareRequests);
	for (int i = 0; i < n; i++)
	{
		if (unique == 0 || strcmp(requests[i].data_file, requests[unique - 1].data_file) != 0)
			requests[unique++] = requests[i];
		else if (!SameFiles(&requests[i], &requests[unique - 1]))
			Fail("0A000", "data file \"%s\" is read with two different sets of deletes",
				 requests[i].data_file);
	}
	return unique;
}

/*
 * Take what the cache has; note what is missing.
 */
static void
LookUp(DeleteSet *set, DeleteRequest *requests, int n, Loader *loader)
{
	for (int i = 0; i < n; i++)
	{
		DeleteBitmap *found;
		DeleteBitmap *bitmap;

		pthread_mutex_lock(&lock);
		found = CacheFind(&requests[i]);
		pthread_mutex_unlock(&lock);
		if (found != NULL && found->nfiles == requests[i].nfiles)
			bitmap = found;
		else
		{
			bitmap = BitmapCreate(&requests[i]);
			loader->missing[loader->n++] = (Missing) {&requests[i], bitmap, found};
		}
		set->entries[set->n].data_file = bitmap->data_file;
		set->entries[set->n].len = strlen(bitmap->data_file);
		set->entries[set->n].bitmap = bitmap;
		set->n++;
		if (found != NULL && bitmap != found)
			BitmapCopyRows(bitmap, found);
	}
}

static void
ReleaseBases(Loader *loader)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < loader->n; i++)
		if (loader->missing[i].base != NULL)
			BitmapRelease((DeleteBitmap *) loader->missing[i].base);
	pthread_mutex_unlock(&lock);
	loader->n = 0;
}

static void
LoadSet(duckdb_connection con, DeleteSet *set, DeleteRequest *requests, int n, Loader *loader)
{
	n = DropDuplicates(requests, n);
	loader->missing = mem_alloc0(sizeof(Missing) * (n + 1));
	LookUp(set, requests, n, loader);
	if (loader->n > 0)
	{
		qsort(loader->missing, loader->n, sizeof(Missing), CompareMissing);
		CollectFiles(loader);
		if (loader->nfiles > 0)
			LoadFiles(con, loader);
		if (loader->nvectors > 0)
			LoadVectors(con, loader);
		pthread_mutex_lock(&lock);
		for (int i = 0; i < loader->n; i++)
			CacheAdd(loader->missing[i].bitmap);
		pthread_mutex_unlock(&lock);
	}
	qsort(set->entries, set->n, sizeof(set->entries[0]), CompareEntries);
}

DeleteSet *
DeleteSetLoad(duckdb_connection con, DeleteRequest *requests, int n)
{
	DeleteSet  *volatile set;
	Loader		loader = {0};
	Loader	   *volatile kept = &loader;
	jmp_buf    *outer = fail_target;
	jmp_buf		target;

	set = Allocate(sizeof(DeleteSet) + sizeof(struct DeleteSetEntry) * n);
	set->refs = 1;
	fail_target = &target;
	if (setjmp(target) != 0)
	{
		fail_target = outer;
		ReleaseBases(kept);
		DeleteSetRelease(set);
		FailAgain();
	}
	LoadSet(con, set, requests, n, kept);
	fail_target = outer;
	ReleaseBases(kept);
	return set;
}

DeleteSet *
DeleteSetRetain(DeleteSet *set)
{
	pthread_mutex_lock(&lock);
	set->refs++;
	pthread_mutex_unlock(&lock);
	return set;
}

void
DeleteSetRelease(DeleteSet *set)
{
	pthread_mutex_lock(&lock);
	if (--set->refs == 0)
	{
		for (int i = 0; i < set->n; i++)
			BitmapRelease(set->entries[i].bitmap);
		free(set);
	}
	pthread_mutex_unlock(&lock);
}

const DeleteBitmap *
DeleteSetFind(const DeleteSet *set, const char *file, size_t len)
{
	int			low = 0;
	int			high = set->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = CompareName(file, len, set->entries[middle].data_file);

		if (order == 0)
			return set->entries[middle].bitmap;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
