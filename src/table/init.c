/*
 * init.c
 *		What the table folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "table/parts.h"
#include "table/table.h"

void
TableInit(void)
{
	OriginInit();
}
