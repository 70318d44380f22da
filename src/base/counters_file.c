/*
 * counters_file.c
 *		Carries the counters over a clean restart of the server.
 *
 * The postmaster writes them to a file when it ends in order, after all other
 * processes have (an immediate stop, too, unless it killed one that was changing
 * slots or sketches), and reads and removes it at the next start: after a crash
 * there is none, and counting begins anew.  So it does when the file is damaged,
 * of another version, or of other sizes (settings).
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/hot_keys.h"
#include "base/settings.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#define DIRECTORY	"shard"
#define FILE_NAME	DIRECTORY "/counters.stat"
#define FILE_MAGIC	0x53484354	/* SHCT */
#define FILE_VERSION 2

typedef struct FileHeader
{
	uint32		magic;
	uint32		version;
	uint64		counters_size;
	uint64		keys_size;
	pg_crc32c	crc;			/* of both */
} FileHeader;

static Size
CountersSize(void)
{
	return offsetof(CounterShared, shards) + sizeof(ShardCounters) * WatchedShards;
}

static FileHeader
MakeHeader(const void *counters, const void *keys, Size keys_size)
{
	FileHeader	header = {FILE_MAGIC, FILE_VERSION, CountersSize(), keys_size};

	INIT_CRC32C(header.crc);
	COMP_CRC32C(header.crc, counters, header.counters_size);
	COMP_CRC32C(header.crc, keys, header.keys_size);
	FIN_CRC32C(header.crc);
	return header;
}

void
CountersSave(int code, Datum arg)
{
	Size		keys_size;
	void	   *keys = HotKeysMemory(&keys_size);
	FileHeader	header;
	FILE	   *file;
	bool		written;

	if (code != 0 || Counters == NULL || Counters->last_id == 0 || Counters->busy || !HotKeysAreWhole())
		return;
	(void) MakePGDirectory(DIRECTORY);
	file = AllocateFile(FILE_NAME ".tmp", PG_BINARY_W);
	header = MakeHeader(Counters, keys, keys_size);
	written = file != NULL &&
		fwrite(&header, sizeof(header), 1, file) == 1 &&
		fwrite(Counters, header.counters_size, 1, file) == 1 &&
		fwrite(keys, keys_size, 1, file) == 1;
	if (file != NULL && FreeFile(file) != 0)
		written = false;
	if (!written || durable_rename(FILE_NAME ".tmp", FILE_NAME, LOG) != 0)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", FILE_NAME)));
		unlink(FILE_NAME ".tmp");
	}
}

/*
 * Read the file into memory of its own, and only if it is sound into its place.
 */
static bool
ReadFile(FILE *file)
{
	Size		keys_size;
	void	   *keys = HotKeysMemory(&keys_size);
	FileHeader	header;
	FileHeader	expected;
	char	   *data;
	bool		sound;

	if (fread(&header, sizeof(header), 1, file) != 1 || header.magic != FILE_MAGIC ||
		header.version != FILE_VERSION || header.counters_size != CountersSize() ||
		header.keys_size != keys_size)
		return false;
	data = malloc(header.counters_size + keys_size);
	if (data == NULL)
		return false;
	sound = fread(data, header.counters_size + keys_size, 1, file) == 1;
	if (sound)
	{
		expected = MakeHeader(data, data + header.counters_size, keys_size);
		sound = EQ_CRC32C(expected.crc, header.crc);
	}
	if (sound)
	{
		int			tranche = Counters->lock.tranche;

		memcpy(Counters, data, header.counters_size);
		memcpy(keys, data + header.counters_size, keys_size);
		LWLockInitialize(&Counters->lock, tranche);
		Counters->full_logged = false;
		HotKeysInitLocks();
	}
	free(data);
	return sound;
}

/*
 * In the postmaster, once shared memory is there.
 */
void
CountersLoad(void)
{
	FILE	   *file;

	if (IsUnderPostmaster)
		return;
	on_shmem_exit(CountersSave, (Datum) 0);
	file = AllocateFile(FILE_NAME, PG_BINARY_R);
	if (file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", FILE_NAME)));
		return;
	}
	if (!ReadFile(file))
		ereport(LOG,
				(errmsg("ignoring file \"%s\": it is of other settings or another version, or damaged",
						FILE_NAME)));
	FreeFile(file);
	unlink(FILE_NAME);
}
