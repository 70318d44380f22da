/*
 * plugin.h
 *		The output plugin's side that the worker sees.
 */
#ifndef SHARD_PIPELINE_PLUGIN_H
#define SHARD_PIPELINE_PLUGIN_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "replication/output_plugin.h"

/* Found by the server by this name. */
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

/* Let the plugin work in this process. */
extern void PluginEnable(void);

/* Changes seen since the start. */
extern int64 PluginRows(void);

#endif							/* SHARD_PIPELINE_PLUGIN_H */
