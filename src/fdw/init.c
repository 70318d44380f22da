/*
 * init.c
 *		What the fdw folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "fdw/fdw.h"
#include "fdw/freshness.h"
#include "fdw/stats.h"
#include "fdw/whole.h"

void
FdwInit(void)
{
	FreshnessInit();
	StatsInit();
	WholeInit();
}
