/*
 * choose.h
 *		Which files of a partition are worth being written anew.
 *
 * Pure: numbers in, marks out.
 */
#ifndef SHARD_MAINTAIN_CHOOSE_H
#define SHARD_MAINTAIN_CHOOSE_H

#include "base/portable.h"

typedef struct ChooseFile
{
	int64		bytes;
	int64		rows;
	int64		deleted;		/* of these */
	int64		run;			/* files of one number do not overlap in the sort order */
	bool		overlaps;		/* its range of sort keys meets that of another run's file */
	bool		outdated;		/* of a partition spec or sort order that is not the table's any more */
	bool		chosen;			/* out */
} ChooseFile;

typedef enum ChooseMode
{
	CHOOSE_DUE,					/* what pays by itself */
	CHOOSE_ALL,					/* what can be improved */
	CHOOSE_FULL					/* everything, unless it is one whole run already, up to date */
} ChooseMode;

typedef struct ChooseRules
{
	ChooseMode	mode;
	int64		target_bytes;	/* size of a file that is big enough */
	int			min_files;		/* that many of the smallest runs are merged */
	double		deleted_share;	/* from which a file is written anew */
} ChooseRules;

/* Marks the files to be merged; returns their number, 0 or at least 1. */
extern int	ChooseFiles(ChooseFile *files, int n, const ChooseRules *rules);

/* The size class of a run: 0 (up to 1/128 of the target), 1, 2, 3, and 4 (beyond 4 targets). */
extern int	ChooseTier(int64 bytes, int64 target_bytes);

#endif							/* SHARD_MAINTAIN_CHOOSE_H */
