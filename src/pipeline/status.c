/*
 * status.c
 *		Shared memory of the pipeline; see status.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "miscadmin.h"
#include "pipeline/status.h"
#include "replication/slot.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/varlena.h"

PipelineShared *Pipeline = NULL;

static void
InitShared(void *piece)
{
	PipelineShared *shared = piece;

	LWLockInitialize(&shared->lock, LWLockNewTrancheId());
	ConditionVariableInit(&shared->changed);
}

void
StatusInit(void)
{
	ShmemRegister("shard pipeline", sizeof(PipelineShared), (void **) &Pipeline, InitShared);
}

PipelineEntry *
StatusFind(Oid database)
{
	for (int i = 0; i < PIPELINE_DATABASES; i++)
		if (Pipeline->entries[i].database == database)
			return &Pipeline->entries[i];
	return NULL;
}

PipelineEntry *
StatusFindOrMake(Oid database)
{
	PipelineEntry *entry = StatusFind(database);

	if (entry == NULL)
	{
		entry = StatusFind(InvalidOid);
		if (entry != NULL)
		{
			memset(entry, 0, sizeof(*entry));
			entry->database = database;
		}
	}
	return entry;
}

bool
StatusGet(Oid database, PipelineEntry *copy)
{
	PipelineEntry *entry;

	if (Pipeline == NULL)
		return false;
	LWLockAcquire(&Pipeline->lock, LW_SHARED);
	entry = StatusFind(database);
	if (entry != NULL)
		*copy = *entry;
	LWLockRelease(&Pipeline->lock);
	return entry != NULL;
}

/*
 * Does the setting output_plugin_libraries, where the server has it, name us?
 */
static bool
PluginIsAllowed(void)
{
	const char *value = GetConfigOption("output_plugin_libraries", true, false);
	char	   *copy;
	List	   *names = NIL;
	ListCell   *lc;
	bool		found = false;

	if (value == NULL)
		return true;
	copy = pstrdup(value);
	if (SplitDirectoriesString(copy, ',', &names))
	{
		foreach(lc, names)
		{
			const char *name = lfirst(lc);

			if (strcmp(name, "shard") == 0 || strcmp(name, "$libdir/shard") == 0 ||
				strcmp(name, "*") == 0)
				found = true;
		}
	}
	list_free_deep(names);
	pfree(copy);
	return found;
}

const char *
StatusServerProblem(const char **hint)
{
	if (Pipeline == NULL)
	{
		*hint = "Add \"shard\" to shared_preload_libraries and restart the server.";
		return "\"shard\" is not in shared_preload_libraries";
	}
	if (wal_level < WAL_LEVEL_LOGICAL)
	{
		*hint = "Set wal_level to \"logical\" and restart the server.";
		return "wal_level is below \"logical\"";
	}
	if (!PluginIsAllowed())
	{
		*hint = "Add \"shard\" to output_plugin_libraries and reload the configuration.";
		return "output_plugin_libraries does not contain \"shard\"";
	}
	if (max_replication_slots == 0)
	{
		*hint = "Set max_replication_slots to at least one a database and restart the server.";
		return "max_replication_slots is 0";
	}
	if (RecoveryInProgress())
	{
		*hint = "The pipeline starts when the server is promoted.";
		return "the server is a standby";
	}
	return NULL;
}

char *
StatusProblem(const PipelineEntry *entry, bool found, char **hint)
{
	const char *server_hint;
	const char *problem = StatusServerProblem(&server_hint);

	*hint = NULL;
	if (problem != NULL)
	{
		*hint = pstrdup(server_hint);
		return pstrdup(problem);
	}
	if (!found)
		return pstrdup("the launcher has not looked at this database yet");
	if (entry->ready)
		return NULL;
	if (entry->reason[0] != '\0')
	{
		if (entry->hint[0] != '\0')
			*hint = pstrdup(entry->hint);
		return pstrdup(entry->reason);
	}
	if (entry->phase == PIPELINE_STARTING)
		return pstrdup("the worker is starting");
	return pstrdup("the worker is not running");
}

const char *
StatusPhaseName(PipelinePhase phase)
{
	switch (phase)
	{
		case PIPELINE_STOPPED:
			return "stopped";
		case PIPELINE_STARTING:
			return "starting";
		case PIPELINE_SYNCING:
			return "syncing";
		case PIPELINE_RUNNING:
			return "running";
		case PIPELINE_RETRYING:
			return "retrying";
		case PIPELINE_FAILED:
			return "failed";
	}
	return "unknown";
}

void
StatusWakeLauncher(bool rescan)
{
	int			procno = -1;

	if (Pipeline == NULL)
		return;
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	if (rescan)
		Pipeline->rescan = true;
	if (Pipeline->launcher_pid != 0)
		procno = Pipeline->launcher_procno;
	LWLockRelease(&Pipeline->lock);
	if (procno >= 0)
		SetLatch(&GetPGProcByNumber(procno)->procLatch);
}

void
StatusWakeWorker(Oid database)
{
	PipelineEntry *entry;
	int			procno = -1;

	if (Pipeline == NULL)
		return;
	LWLockAcquire(&Pipeline->lock, LW_SHARED);
	entry = StatusFind(database);
	if (entry != NULL && entry->pid != 0)
		procno = entry->pgprocno;
	LWLockRelease(&Pipeline->lock);
	if (procno >= 0)
		SetLatch(&GetPGProcByNumber(procno)->procLatch);
}
