/*
 * init.c
 *		What the client folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "client/engine.h"

void
ClientInit(void)
{
}
