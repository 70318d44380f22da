/*
 * init.c
 *		What the table folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "table/table.h"

void
TableInit(void)
{
}
