/*
 * init.c
 *		What the fdw folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "fdw/fdw.h"
#include "fdw/stats.h"

void
FdwInit(void)
{
	StatsInit();
}
