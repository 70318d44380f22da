/* sources: src/maintain/choose.c */
/*
 * test_choose.c
 *		What compaction chooses, and how files and rewriting grow over thousands
 *		of flushes.
 */
#include "maintain/choose.h"
#include "tap.h"

#define KB 1024
#define MB (1024 * KB)

static const ChooseRules due = {CHOOSE_DUE, 128 * (int64) MB, 8, 0.2};
static const ChooseRules all = {CHOOSE_ALL, 128 * (int64) MB, 8, 0.2};
static const ChooseRules full = {CHOOSE_FULL, 128 * (int64) MB, 8, 0.2};

static ChooseFile
File(int64 bytes, int64 run)
{
	return (ChooseFile) {.bytes = bytes,.rows = bytes / 10,.run = run,.overlaps = true};
}

static void
Tiers(void)
{
	is_int(ChooseTier(1, 128 * MB), 0, "a small run is of tier 0");
	is_int(ChooseTier(1 * MB, 128 * MB), 0, "so is one of 1/128 of the target");
	is_int(ChooseTier(1 * MB + 1, 128 * MB), 1, "a larger one of tier 1");
	is_int(ChooseTier(64 * MB, 128 * MB), 2, "half a target of tier 2");
	is_int(ChooseTier(512 * (int64) MB, 128 * MB), 3, "four targets of tier 3");
	is_int(ChooseTier(513 * (int64) MB, 128 * MB), 4, "more of tier 4");
}

static void
Choices(void)
{
	ChooseFile	files[16];

	for (int i = 0; i < 16; i++)
		files[i] = File(10 * KB, i);
	is_int(ChooseFiles(files, 7, &due), 0, "seven small files are left alone");
	is_int(ChooseFiles(files, 8, &due), 8, "eight are merged");
	is_int(ChooseFiles(files, 2, &all), 2, "by hand, two are");
	is_int(ChooseFiles(files, 1, &all), 0, "one is not");
	is_int(ChooseFiles(files, 1, &full), 0, "one whole run is not written anew");
	files[0].deleted = 1;
	is_int(ChooseFiles(files, 1, &full), 1, "unless rows of it are deleted");
	is_int(ChooseFiles(files, 1, &all), 1, "by hand, any deleted row counts");
	is_int(ChooseFiles(files, 1, &due), 0, "by itself, few do not");
	files[0].deleted = files[0].rows / 5 + 1;
	is_int(ChooseFiles(files, 1, &due), 1, "a fifth does");

	files[0] = File(200 * (int64) MB, 100);
	for (int i = 1; i < 9; i++)
		files[i] = File(10 * KB, i);
	is_int(ChooseFiles(files, 9, &due), 8, "small files are merged without the big one");
	ok(!files[0].chosen, "which stays");

	for (int i = 0; i < 4; i++)
		files[i] = File(4 * (int64) MB, i);
	files[4] = File(10 * KB, 5);
	is_int(ChooseFiles(files, 5, &due), 5, "four of a larger class take along what is smaller");

	for (int i = 0; i < 4; i++)
		files[i] = File(200 * (int64) MB, i);
	is_int(ChooseFiles(files, 4, &due), 4, "big runs that overlap are merged");
	for (int i = 0; i < 4; i++)
		files[i].overlaps = false;
	is_int(ChooseFiles(files, 4, &due), 0, "big runs that do not are left alone");

	for (int i = 0; i < 4; i++)
		files[i] = File(30 * (int64) MB, i / 2);
	is_int(ChooseFiles(files, 4, &full), 4, "full: two runs become one");
	files[0].outdated = true;
	is_int(ChooseFiles(files, 1, &full), 1, "full: a file of an old partition spec is written anew");
	is_int(ChooseFiles(files, 0, &full), 0, "nothing of nothing");
}

/* Take the chosen files away and put one in their place. */
static int
Merge(ChooseFile *files, int n, int64 run, int64 *written)
{
	int64		bytes = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		if (files[i].chosen)
			bytes += files[i].bytes;
		else
			files[kept++] = files[i];
	}
	*written += bytes;
	files[kept++] = File(bytes, run);
	return kept;
}

/* Flush after flush, with a look at the files after each so many. */
static void
Growth(int flushes, int64 bytes, int flushes_per_look, int most_files, double most_written)
{
	ChooseFile	files[1000];
	int			n = 0;
	int			most = 0;
	int64		written = 0;

	for (int i = 0; i < flushes; i++)
	{
		files[n++] = File(bytes, i);
		if (i % flushes_per_look == 0)
			while (ChooseFiles(files, n, &due) > 0)
				n = Merge(files, n, 1000000 + i, &written);
		most = n > most ? n : most;
	}
	ok(most <= most_files, "%d flushes of %lld bytes: never more than %d files (%d)",
	   flushes, (long long) bytes, most_files, most);
	ok((double) written <= most_written * flushes * (double) bytes,
	   "and every byte is written anew less than %.0f times (%.1f)",
	   most_written, (double) written / flushes / (double) bytes);
}

int
main(void)
{
	Tiers();
	Choices();
	Growth(20000, 5 * KB, 1, 24, 30);
	Growth(20000, 5 * KB, 10, 34, 30);
	Growth(20000, 100 * KB, 10, 34, 6);
	Growth(2000, 2 * MB, 10, 34, 6);
	return done_testing();
}
