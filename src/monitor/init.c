/*
 * init.c
 *		What the monitor folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "monitor/access.h"
#include "monitor/monitor.h"

void
MonitorInit(void)
{
	AccessInit();
}
