/*
 * init.c
 *		What the client folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "client/connection.h"
#include "client/engine.h"
#include "client/supervisor.h"

void
ClientInit(void)
{
	ConnectionInit();
	SupervisorInit();
}
