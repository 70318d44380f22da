/*
 * filecache.c
 *		Copies of remote files in shard/pgsql_tmp_cache (base backups leave out
 *		what is called pgsql_tmp...).
 *
 * A copy FILE has a companion FILE.map that tells which bytes of it are here, of
 * which version of the file (ETag), and for which inode and start of the machine
 * this is true: a copy that was copied, or that lived through a crash of the
 * machine, counts as empty.  A map is replaced by rename after its bytes have been
 * written.  Two processes that fetch parts of one file write the same bytes; the
 * map of one of them may get lost, and then its part is fetched again.
 *
 * When the copies take more than shard.file_cache_size, those that have not been
 * used for longest go.  One that a running transaction uses stays: each process
 * notes in shared memory since when it uses copies, and every use is noted by the
 * time stamp of the map.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "access/xact.h"
#include "base/compat.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "common/file_perm.h"
#include "lake/io/extent.h"
#include "lake/io/filecache.h"
#include "lake/io/footer.h"
#include "lake/io/s3.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#define CACHE_DIRECTORY "shard/pgsql_tmp_cache"
#define MAP_MAGIC UINT64_C(0x53484d4150303031)
#define MAP_SUFFIX ".map"
#define MAX_ETAG 128
#define MAX_MAP (16 * 1024 * 1024)

/* Files up to this size are fetched whole. */
#define WHOLE_FILE ((int64) 1024 * 1024)
/* Of others, first this much of their end, which mostly holds the metadata. */
#define TAIL ((int64) 128 * 1024)
/* Gaps that are fetched along, and what one request fetches at most. */
#define GAP ((int64) 128 * 1024)
#define PIECE ((int64) 8 * 1024 * 1024)
/* Files that are open at the same time. */
#define FILES_AT_ONCE 16
#define MAX_USERS 1024

/* What a map begins with; then n extents and a checksum of all. */
typedef struct MapHeader
{
	uint64		magic;
	char		boot[40];
	uint64		device;
	uint64		inode;
	int64		size;
	char		etag[MAX_ETAG];
	int64		n;
} MapHeader;

/* A file being looked at. */
typedef struct Copy
{
	const CacheWant *want;
	char	   *path;
	char	   *map_path;
	int			fd;				/* -1 = not open */
	int64		size;			/* -1 = not known */
	char		etag[MAX_ETAG];
	Extents		have;
	Extents		fetching;
	bool		whole;			/* all of it is wanted */
	bool		fresh;			/* nothing of it is here yet */
} Copy;

/* Who uses copies since when; in shared memory. */
typedef struct CacheUser
{
	int			pid;
	int64		since;			/* ns, 0 = does not */
} CacheUser;

typedef struct CacheShared
{
	slock_t		lock;
	int64		bytes;			/* -1 = not counted yet */
	int			nusers;			/* ever in use */
	CacheUser	users[MAX_USERS];
} CacheShared;

static CacheShared *shared = NULL;
static CacheUser *my_use = NULL;

/* ---- who uses copies ---- */

static int64
NowNs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64) now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
StopUsing(int code, Datum arg)
{
	SpinLockAcquire(&shared->lock);
	my_use->pid = 0;
	my_use->since = 0;
	SpinLockRelease(&shared->lock);
	my_use = NULL;
}

/*
 * From now to the end of the transaction no copy that is used goes.
 */
static void
BeginUse(void)
{
	/* time stamps of files may be a tick older than the clock */
	int64		since = NowNs() - 1000000000;

	if (shared == NULL || (my_use != NULL && my_use->since != 0))
		return;
	SpinLockAcquire(&shared->lock);
	for (int i = 0; my_use == NULL && i < MAX_USERS; i++)
	{
		if (shared->users[i].pid != 0)
			continue;
		my_use = &shared->users[i];
		shared->nusers = Max(shared->nusers, i + 1);
		my_use->pid = MyProcPid;
	}
	if (my_use != NULL)
		my_use->since = since;
	SpinLockRelease(&shared->lock);
	if (my_use == NULL)
		return;					/* then nobody's copies are safe from a full cache */
	{
		static bool registered = false;

		if (!registered)
			on_shmem_exit(StopUsing, (Datum) 0);
		registered = true;
	}
}

static int64
OldestUse(void)
{
	int64		oldest = PG_INT64_MAX;

	SpinLockAcquire(&shared->lock);
	for (int i = 0; i < shared->nusers; i++)
		if (shared->users[i].since != 0)
			oldest = Min(oldest, shared->users[i].since);
	SpinLockRelease(&shared->lock);
	return oldest;
}

static void
EndOfTransaction(XactEvent event, void *arg)
{
	if (my_use == NULL || my_use->since == 0)
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		my_use->since = 0;
}

static void
InitShared(void *piece)
{
	CacheShared *fresh = piece;

	SpinLockInit(&fresh->lock);
	fresh->bytes = -1;
	/* what a crash left on its way */
	if (access(UPLOAD_DIRECTORY, F_OK) == 0)
		(void) rmtree(UPLOAD_DIRECTORY, true);
}

void
FileCacheInit(void)
{
	ShmemRegister("shard file cache", sizeof(CacheShared), (void **) &shared, InitShared);
	RegisterXactCallback(EndOfTransaction, NULL);
}

/* ---- paths ---- */

static bool
IsPlainName(const char *name)
{
	size_t		len = strlen(name);

	return len > 0 && len < 128 && name[0] != '.' &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len &&
		(len < strlen(MAP_SUFFIX) || strcmp(name + len - strlen(MAP_SUFFIX), MAP_SUFFIX) != 0);
}

/*
 * Files of one directory stay together and keep their names where they can, so
 * that the engine's names are easily told from the manifests'.
 */
char *
FileCachePath(const LakeAccess *access, const char *uri)
{
	const char *slash = strrchr(uri, '/');
	const char *name = slash + 1;
	char	   *directory = psprintf("%s %s", access->identity, pnstrdup(uri, slash - uri));
	XXH128_hash_t hash = XXH3_128bits(directory, strlen(directory));
	char		hashed[64];

	if (!IsPlainName(name))
	{
		XXH128_hash_t of_name = XXH3_128bits(name, strlen(name));

		snprintf(hashed, sizeof(hashed), "%016llx%016llx", (unsigned long long) of_name.high64,
				 (unsigned long long) of_name.low64);
		name = hashed;
	}
	return psprintf("%s/" CACHE_DIRECTORY "/%016llx%016llx/%s", DataDir,
					(unsigned long long) hash.high64, (unsigned long long) hash.low64, name);
}

static void
MakeDirectory(const char *path)
{
	if (MakePGDirectory(path) != 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", path)));
}

static void
MakeParents(const char *path)
{
	char	   *parent = pstrdup(path);
	char	   *grandparent;

	get_parent_directory(parent);
	if (access(parent, F_OK) == 0)
		return;
	grandparent = pstrdup(parent);
	get_parent_directory(grandparent);
	MakeDirectory("shard");
	MakeDirectory(grandparent);
	MakeDirectory(parent);
}

/* ---- maps ---- */

/* This start of the machine. */
static const char *
BootId(void)
{
	static char id[40] = "";
	int			fd;

	if (id[0] != '\0')
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	if (fd < 0 || read(fd, id, sizeof(id) - 1) < 36)
		strlcpy(id, "unknown", sizeof(id));
	id[36] = '\0';
	if (fd >= 0)
		close(fd);
	return id;
}

/* The content of a small file, or NULL. */
static char *
ReadSmall(const char *path, size_t *len)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat st;
	char	   *data = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size <= MAX_MAP)
	{
		data = palloc(st.st_size + 1);
		*len = st.st_size;
		if (read(fd, data, st.st_size) != st.st_size)
			data = NULL;
	}
	CloseTransientFile(fd);
	return data;
}

static bool
MapIsValid(const char *data, size_t len, const struct stat *file)
{
	MapHeader	header;
	XXH64_hash_t sum;

	if (len < sizeof(header) + sizeof(sum))
		return false;
	memcpy(&header, data, sizeof(header));
	memcpy(&sum, data + len - sizeof(sum), sizeof(sum));
	return header.magic == MAP_MAGIC && header.n >= 0 &&
		len == sizeof(header) + header.n * sizeof(Extent) + sizeof(sum) &&
		XXH3_64bits(data, len - sizeof(sum)) == sum &&
		strncmp(header.boot, BootId(), sizeof(header.boot)) == 0 &&
		header.device == (uint64) file->st_dev && header.inode == (uint64) file->st_ino &&
		header.size == file->st_size;
}

/*
 * Which bytes are here already.  The use is noted, so that they stay.
 */
static void
ReadMap(Copy *copy)
{
	struct stat file;
	MapHeader	header;
	size_t		len;
	char	   *data;

	copy->fresh = true;
	copy->have.n = 0;
	if (utimensat(AT_FDCWD, copy->map_path, NULL, 0) != 0 || stat(copy->path, &file) != 0)
		return;
	data = ReadSmall(copy->map_path, &len);
	if (data == NULL || !MapIsValid(data, len, &file))
		return;
	memcpy(&header, data, sizeof(header));
	copy->fresh = false;
	copy->size = header.size;
	memcpy(copy->etag, header.etag, sizeof(copy->etag));
	for (int64 i = 0; i < header.n; i++)
	{
		Extent		extent;

		memcpy(&extent, data + sizeof(header) + i * sizeof(Extent), sizeof(extent));
		ExtentsAdd(&copy->have, extent.start, extent.end);
	}
	pfree(data);
}

static bool
WriteAll(const char *path, const char *data, size_t len)
{
	int			fd = OpenTransientFile(path, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
	bool		done;

	if (fd < 0)
		return false;
	done = write(fd, data, len) == (ssize_t) len;
	CloseTransientFile(fd);
	return done;
}

/*
 * Without a map, what has been fetched is good for this query only.
 */
static bool
WriteMap(const Copy *copy, const struct stat *file)
{
	size_t		len = sizeof(MapHeader) + copy->have.n * sizeof(Extent);
	char	   *data = palloc0(len + sizeof(XXH64_hash_t));
	char	   *temporary = psprintf("%s.%d", copy->map_path, MyProcPid);
	MapHeader	header = {.magic = MAP_MAGIC,.size = copy->size,.n = copy->have.n};
	XXH64_hash_t sum;
	bool		done;

	strlcpy(header.boot, BootId(), sizeof(header.boot));
	memcpy(header.etag, copy->etag, sizeof(header.etag));
	header.device = file->st_dev;
	header.inode = file->st_ino;
	memcpy(data, &header, sizeof(header));
	if (copy->have.n > 0)
		memcpy(data + sizeof(header), copy->have.items, copy->have.n * sizeof(Extent));
	sum = XXH3_64bits(data, len);
	memcpy(data + len, &sum, sizeof(sum));
	done = WriteAll(temporary, data, len + sizeof(sum)) && rename(temporary, copy->map_path) == 0;
	if (!done)
	{
		elog(DEBUG1, "could not write \"%s\": %m", copy->map_path);
		(void) unlink(temporary);
	}
	pfree(data);
	return done;
}

/* ---- room ---- */

typedef struct Victim
{
	char	   *path;			/* of the copy */
	int64		bytes;
	int64		used_ns;
} Victim;

static int64
ModifiedNs(const struct stat *st)
{
	return (int64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool
IsMapName(const char *name)
{
	return strstr(name, MAP_SUFFIX) != NULL;
}

static List *
VictimsBelow(List *victims, const char *directory)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	while (dir != NULL && (entry = ReadDirExtended(dir, directory, LOG)) != NULL)
	{
		char	   *path = psprintf("%s/%s", directory, entry->d_name);
		struct stat st;
		struct stat map;
		Victim	   *victim;

		CHECK_FOR_INTERRUPTS();
		if (entry->d_name[0] == '.' || IsMapName(entry->d_name) || lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
		{
			victims = VictimsBelow(victims, path);
			continue;
		}
		victim = palloc(sizeof(Victim));
		victim->path = path;
		victim->bytes = (int64) st.st_blocks * 512;
		victim->used_ns = ModifiedNs(&st);
		if (stat(psprintf("%s" MAP_SUFFIX, path), &map) == 0)
			victim->used_ns = Max(victim->used_ns, ModifiedNs(&map));
		victims = lappend(victims, victim);
	}
	if (dir != NULL)
		FreeDir(dir);
	return victims;
}

static int
ByUse(const ListCell *a, const ListCell *b)
{
	int64		x = ((Victim *) lfirst(a))->used_ns;
	int64		y = ((Victim *) lfirst(b))->used_ns;

	return x < y ? -1 : x > y;
}

static void
RemoveCopy(const char *path)
{
	/* the map first: without it a copy counts as empty */
	(void) unlink(psprintf("%s" MAP_SUFFIX, path));
	(void) unlink(path);
}

/* Bring the copies down to the limit, and some way below it. */
static void
MakeRoom(int64 limit)
{
	List	   *victims = VictimsBelow(NIL, CACHE_DIRECTORY);
	int64		oldest = OldestUse();
	int64		bytes = 0;
	ListCell   *lc;

	list_sort(victims, ByUse);
	foreach(lc, victims)
		bytes += ((Victim *) lfirst(lc))->bytes;
	foreach(lc, victims)
	{
		Victim	   *victim = lfirst(lc);

		if (bytes <= limit || victim->used_ns >= oldest)
			break;
		RemoveCopy(victim->path);
		bytes -= victim->bytes;
		limit = (int64) FileCacheSize * 1024 / 10 * 9;
	}
	SpinLockAcquire(&shared->lock);
	shared->bytes = bytes;
	SpinLockRelease(&shared->lock);
}

static void
CountBytes(int64 bytes)
{
	int64		limit = (int64) FileCacheSize * 1024;
	bool		full;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->lock);
	if (shared->bytes >= 0)
		shared->bytes += bytes;
	full = shared->bytes < 0 || shared->bytes > limit;
	SpinLockRelease(&shared->lock);
	if (full)
		MakeRoom(limit);
}

/* ---- fetching ---- */

static void
OpenCopy(Copy *copy)
{
	struct stat st;

	MakeParents(copy->path);
	copy->fd = OpenTransientFile(copy->path, O_RDWR | O_CREAT | PG_BINARY);
	if (copy->fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", copy->path)));
	/* a process that fetches the same has given it its size already */
	if (copy->size >= 0 && fstat(copy->fd, &st) == 0 && st.st_size != copy->size &&
		ftruncate(copy->fd, copy->size) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not resize file \"%s\": %m", copy->path)));
}

pg_noreturn static void
RaiseChanged(const Copy *copy)
{
	RemoveCopy(copy->path);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("lake file \"%s\" is not what it was, or not what the metadata say", copy->want->uri),
			 errdetail("Files of Iceberg tables must never be overwritten."),
			 errhint("Run the statement again; if that does not help, the table is damaged.")));
}

/* One request for a piece of a file. */
typedef struct Piece
{
	Copy	   *copy;
	Extent		extent;
	S3Call		call;
} Piece;

static Piece *
NewPiece(Copy *copy, int64 start, int64 end)
{
	Piece	   *piece = palloc0(sizeof(Piece));

	piece->copy = copy;
	piece->extent = (Extent) {start, end};
	S3Init(&piece->call, "GET", copy->want->uri);
	piece->call.http.sink_fd = copy->fd;
	piece->call.http.sink_max = SIZE_MAX;
	if (end >= 0)
	{
		S3Header(&piece->call, "range", psprintf("bytes=" INT64_FORMAT "-" INT64_FORMAT, start, end - 1));
		piece->call.http.sink_offset = start;
		piece->call.http.sink_max = end - start;
	}
	return piece;
}

/* "bytes 0-9/100": the size of the whole; -1 if it is not said. */
static int64
SizeOfWhole(const S3Call *call)
{
	char	   *range = HttpHeader(&call->http, "content-range");
	char	   *slash = range == NULL ? NULL : strchr(range, '/');

	return slash == NULL || slash[1] == '*' ? -1 : strtoll(slash + 1, NULL, 10);
}

static void
CheckVersion(Copy *copy, const S3Call *call)
{
	char	   *etag = HttpHeader(&call->http, "etag");

	if (etag == NULL)
		return;
	if (copy->etag[0] == '\0')
		strlcpy(copy->etag, etag, sizeof(copy->etag));
	else if (strncmp(copy->etag, etag, sizeof(copy->etag) - 1) != 0)
		RaiseChanged(copy);
}

static void
TakePiece(LakeAccess *access, Piece *piece)
{
	Copy	   *copy = piece->copy;
	S3Call	   *call = &piece->call;

	if (call->http.status == 416)
		RaiseChanged(copy);
	if (call->http.status != 200 && call->http.status != 206)
		S3Raise(access, call, "read");
	CheckVersion(copy, call);
	if (piece->extent.end < 0)
	{
		copy->size = (int64) call->http.content_len;
		piece->extent.end = copy->size;
	}
	else if (call->http.status != 206 || SizeOfWhole(call) != copy->size ||
			 (int64) call->http.content_len != piece->extent.end - piece->extent.start)
		RaiseChanged(copy);
	ExtentsAdd(&copy->have, piece->extent.start, piece->extent.end);
}

/* Fetch pieces (of Piece *) and write the maps of their files. */
static void
FetchPieces(LakeAccess *access, List *pieces)
{
	S3Call	  **calls = palloc(sizeof(S3Call *) * (list_length(pieces) + 1));
	int64		bytes = 0;
	ListCell   *lc;

	foreach(lc, pieces)
		calls[foreach_current_index(lc)] = &((Piece *) lfirst(lc))->call;
	S3Run(access, calls, list_length(pieces));
	foreach(lc, pieces)
	{
		TakePiece(access, lfirst(lc));
		bytes += ((Piece *) lfirst(lc))->call.http.content_len;
	}
	CountBytes(bytes);
}

static void
CloseCopies(Copy *copies, int n)
{
	for (int i = 0; i < n; i++)
	{
		struct stat st;

		if (copies[i].fd < 0)
			continue;
		/* it was longer if something else had been left there */
		if (ftruncate(copies[i].fd, copies[i].size) == 0 && fstat(copies[i].fd, &st) == 0)
			(void) WriteMap(&copies[i], &st);
		CloseTransientFile(copies[i].fd);
		copies[i].fd = -1;
	}
}

/* ---- which bytes ---- */

static bool
IsWhole(const Copy *copy)
{
	return copy->size >= 0 && ExtentsHold(&copy->have, 0, copy->size);
}

/* Pieces for what is missing of an extent set. */
static List *
AddPieces(List *pieces, Copy *copy, const Extents *wanted)
{
	Extents		missing = ExtentsMissing(wanted, &copy->have);

	ExtentsJoin(&missing, GAP);
	for (int i = 0; i < missing.n; i++)
		for (int64 start = missing.items[i].start; start < missing.items[i].end; start += PIECE)
			pieces = lappend(pieces, NewPiece(copy, start, Min(start + PIECE, missing.items[i].end)));
	return pieces;
}

static List *
AddRange(List *pieces, Copy *copy, int64 start, int64 end)
{
	Extents		wanted = {0};

	ExtentsAdd(&wanted, start, end);
	return AddPieces(pieces, copy, &wanted);
}

static List *
AddWhole(List *pieces, Copy *copy)
{
	if (copy->size >= 0 && !copy->fresh)
		return AddRange(pieces, copy, 0, copy->size);
	return lappend(pieces, NewPiece(copy, 0, -1));
}

static char *
ReadHere(const Copy *copy, int64 start, int64 len)
{
	char	   *data = palloc(len + 1);

	if (pread(copy->fd, data, len, start) != len)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", copy->path)));
	return data;
}

/*
 * Where the metadata of a Parquet file begin; -1 if it is none.
 */
static int64
MetadataStart(const Copy *copy)
{
	int64		length = FooterLength(ReadHere(copy, copy->size - FOOTER_TAIL, FOOTER_TAIL));

	return length < 0 || length > copy->size - FOOTER_TAIL ? -1 : copy->size - FOOTER_TAIL - length;
}

/* Pieces for the columns that are wanted, their places being known now. */
static List *
AddColumns(List *pieces, Copy *copy)
{
	int64		start = MetadataStart(copy);
	int64		length = copy->size - FOOTER_TAIL - start;
	Extents		wanted = {0};

	if (start < 0 ||
		!FooterColumns(ReadHere(copy, start, length), length, copy->size,
					   copy->want->field_ids, copy->want->nfields, &wanted))
		return AddWhole(pieces, copy);
	return AddPieces(pieces, copy, &wanted);
}

/*
 * Fetch the ends of the files, the rest of their metadata where these are long,
 * and then the columns.
 */
static void
FetchGroup(LakeAccess *access, Copy *copies, int n)
{
	List	   *pieces = NIL;

	for (int i = 0; i < n; i++)
	{
		OpenCopy(&copies[i]);
		pieces = copies[i].whole ? AddWhole(pieces, &copies[i]) :
			AddRange(pieces, &copies[i], Max(copies[i].size - TAIL, 0), copies[i].size);
	}
	FetchPieces(access, pieces);
	pieces = NIL;
	for (int i = 0; i < n; i++)
		if (!copies[i].whole && MetadataStart(&copies[i]) >= 0)
			pieces = AddRange(pieces, &copies[i], MetadataStart(&copies[i]), copies[i].size);
	FetchPieces(access, pieces);
	pieces = NIL;
	for (int i = 0; i < n; i++)
		if (!copies[i].whole)
			pieces = AddColumns(pieces, &copies[i]);
	FetchPieces(access, pieces);
	CloseCopies(copies, n);
}

static void
InitCopy(LakeAccess *access, Copy *copy, const CacheWant *want)
{
	memset(copy, 0, sizeof(*copy));
	copy->want = want;
	copy->path = FileCachePath(access, want->uri);
	copy->map_path = psprintf("%s" MAP_SUFFIX, copy->path);
	copy->fd = -1;
	copy->size = -1;
	ReadMap(copy);
	copy->whole = want->field_ids == NULL || want->size <= WHOLE_FILE;
	if (copy->fresh && !copy->whole)
		copy->size = want->size;
}

/* Do the columns of a partial copy lie in what is here? */
static bool
HasColumns(Copy *copy)
{
	int64		start;
	int64		length;
	Extents		wanted = {0};
	Extents		missing;

	if (copy->fresh || copy->whole ||
		!ExtentsHold(&copy->have, copy->size - FOOTER_TAIL, copy->size))
		return false;
	copy->fd = OpenTransientFile(copy->path, O_RDONLY | PG_BINARY);
	if (copy->fd < 0)
		return false;
	start = MetadataStart(copy);
	length = copy->size - FOOTER_TAIL - start;
	missing.n = 1;
	if (start >= 0 && ExtentsHold(&copy->have, start, copy->size) &&
		FooterColumns(ReadHere(copy, start, length), length, copy->size,
					  copy->want->field_ids, copy->want->nfields, &wanted))
		missing = ExtentsMissing(&wanted, &copy->have);
	CloseTransientFile(copy->fd);
	copy->fd = -1;
	return missing.n == 0;
}

void
FileCacheFetch(LakeAccess *access, const CacheWant *wants, int n)
{
	Copy	   *copies = palloc(sizeof(Copy) * FILES_AT_ONCE);
	int			pending = 0;

	BeginUse();
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		LakeAccessCheck(access, wants[i].uri);
		InitCopy(access, &copies[pending], &wants[i]);
		if (IsWhole(&copies[pending]) || HasColumns(&copies[pending]))
			continue;
		if (++pending == FILES_AT_ONCE)
		{
			FetchGroup(access, copies, pending);
			pending = 0;
		}
	}
	if (pending > 0)
		FetchGroup(access, copies, pending);
	pfree(copies);
}

void
FileCacheTake(const LakeAccess *access, const char *uri, const char *file)
{
	CacheWant	want = {uri, -1, NULL, 0};
	Copy		copy = {.want = &want};
	struct stat st;

	BeginUse();
	copy.path = FileCachePath(access, uri);
	copy.map_path = psprintf("%s" MAP_SUFFIX, copy.path);
	MakeParents(copy.path);
	if (stat(file, &st) != 0 || rename(file, copy.path) != 0)
	{
		(void) unlink(file);
		return;
	}
	copy.size = st.st_size;
	ExtentsAdd(&copy.have, 0, copy.size);
	if (WriteMap(&copy, &st))
		CountBytes(copy.size);
	else
		RemoveCopy(copy.path);
}

void
FileCacheForget(const LakeAccess *access, const char *uri)
{
	RemoveCopy(FileCachePath(access, uri));
}
