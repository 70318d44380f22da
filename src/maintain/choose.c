/*
 * choose.c
 *		Size-tiered compaction.
 *
 * A run is what one commit wrote: its files do not overlap in the table's sort
 * order.  Runs fall into classes by their size, each eight times the one below:
 * up to 1/128, 1/16, 1/2 and 4 times the target size of a file.  When a class has
 * enough runs (min_files in the smallest, 4 in others), they are merged into one,
 * together with all smaller ones.  So a row is written anew about once for each
 * class, small runs are merged often and big ones rarely, and the number of runs
 * stays below min_files + 9 and those of more than four targets, which are left
 * alone.  Runs as large as a target file or more that overlap no other, such as
 * those of a log, are left alone, too.
 *
 * A file of which a certain share of rows is deleted is written anew whatever its
 * size.
 */
#include "maintain/choose.h"

#define TIERS 4
#define TIER_FACTOR 8
#define LARGER_TIERS_MIN_RUNS 4

typedef struct Run
{
	int64		number;
	int64		bytes;
	int			files;
	bool		overlaps;
	int			tier;
} Run;

int
ChooseTier(int64 bytes, int64 target_bytes)
{
	int64		limit = target_bytes / 128 > 0 ? target_bytes / 128 : 1;
	int			tier = 0;

	while (tier < TIERS && bytes > limit)
	{
		limit *= TIER_FACTOR;
		tier++;
	}
	return tier;
}

/* The runs of the files; *n is their number. */
static Run *
FindRuns(const ChooseFile *files, int nfiles, int64 target_bytes, int *n)
{
	Run		   *runs = mem_alloc0(sizeof(Run) * (nfiles + 1));

	*n = 0;
	for (int i = 0; i < nfiles; i++)
	{
		int			r = 0;

		while (r < *n && runs[r].number != files[i].run)
			r++;
		if (r == *n)
			runs[(*n)++].number = files[i].run;
		runs[r].bytes += files[i].bytes;
		runs[r].files++;
		runs[r].overlaps |= files[i].overlaps;
	}
	for (int r = 0; r < *n; r++)
		runs[r].tier = ChooseTier(runs[r].bytes, target_bytes);
	return runs;
}

static const Run *
RunOf(const Run *runs, const ChooseFile *file)
{
	while (runs->number != file->run)
		runs++;
	return runs;
}

/* Is there anything to gain from merging the run with others? */
static bool
MayMerge(const Run *run, int64 target_bytes)
{
	return run->tier < TIERS && (run->bytes < target_bytes / 2 || run->overlaps);
}

/* The highest class that has enough runs, or -1. */
static int
FullTier(const Run *runs, int n, const ChooseRules *rules)
{
	int			counts[TIERS] = {0};

	for (int r = 0; r < n; r++)
		if (MayMerge(&runs[r], rules->target_bytes))
			counts[runs[r].tier]++;
	for (int tier = TIERS - 1; tier >= 0; tier--)
	{
		int			enough = tier == 0 ? rules->min_files : LARGER_TIERS_MIN_RUNS;

		if (counts[tier] >= enough)
			return tier;
	}
	return -1;
}

static int
MergeableRuns(const Run *runs, int n, int64 target_bytes)
{
	int			count = 0;

	for (int r = 0; r < n; r++)
		count += MayMerge(&runs[r], target_bytes);
	return count;
}

static bool
HasManyDeleted(const ChooseFile *file, const ChooseRules *rules)
{
	if (file->deleted == 0)
		return false;
	return rules->mode != CHOOSE_DUE ||
		(double) file->deleted >= rules->deleted_share * (double) file->rows;
}

static bool
IsWhole(const ChooseFile *files, int n, int nruns)
{
	if (nruns > 1)
		return false;
	for (int i = 0; i < n; i++)
		if (files[i].deleted > 0 || files[i].outdated)
			return false;
	return true;
}

int
ChooseFiles(ChooseFile *files, int n, const ChooseRules *rules)
{
	int			nruns;
	Run		   *runs = FindRuns(files, n, rules->target_bytes, &nruns);
	int			up_to = -1;
	int			chosen = 0;

	if (rules->mode == CHOOSE_DUE)
		up_to = FullTier(runs, nruns, rules);
	else if (rules->mode == CHOOSE_ALL && MergeableRuns(runs, nruns, rules->target_bytes) > 1)
		up_to = TIERS - 1;
	for (int i = 0; i < n; i++)
	{
		const Run  *run = RunOf(runs, &files[i]);

		files[i].chosen = HasManyDeleted(&files[i], rules) ||
			(run->tier <= up_to && MayMerge(run, rules->target_bytes)) ||
			(rules->mode == CHOOSE_FULL && !IsWhole(files, n, nruns));
		chosen += files[i].chosen;
	}
	mem_free(runs);
	return chosen;
}
