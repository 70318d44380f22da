/*
 * inherit.c
 *		Lake tables whose files belong to another server or database.
 *
 * A promoted standby, a restored server or a copied database has the catalog of
 * a lake that somebody else may go on writing to, and removing files from.  So
 * either it takes the lake over (shard.adopt_lake: there is nobody else), or it
 * makes tables of its own and copies the events of before.  It never removes a
 * file that is not its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "pipeline/emitted.h"
#include "pipeline/files.h"
#include "pipeline/inherit.h"
#include "pipeline/position.h"

void
InheritPrepare(void)
{
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		LakeGrantFiles(table->namespace, table->name);
		LakeGrantFiles(table->namespace, table->events_name);
	}
	if (!LakeByRest())
		foreach(lc, LakeTablesFrom(InvalidOid, EVENT_LOG_NAMESPACE))
			LakeGrantFiles(EVENT_LOG_NAMESPACE, lfirst(lc));
	CommitTransactionCommand();
}

bool
InheritOpen(LakeTable **table)
{
	LakeTable  *adopted;

	if (!LakeFilesAreThere(*table))
		return false;
	if (LakeOwns((*table)->metadata))
		return true;
	if (AdoptLake)
	{
		adopted = LakeAdopt(*table);
		if (adopted == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("lake table \"%s.%s\" changed while it was taken over",
							(*table)->namespace, (*table)->name)));
		ereport(LOG,
				(errmsg("lake table \"%s.%s\" is taken over", (*table)->namespace, (*table)->name)));
		*table = adopted;
		return true;
	}
	if (LakeByRest())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("lake table \"%s.%s\" of the REST catalog belongs to another server",
						(*table)->namespace, (*table)->name),
				 errdetail("This one is a copy of that server, or was promoted or restored."),
				 errhint("If the other server will not run again, set shard.adopt_lake; else use another catalog.")));
	return true;
}

List *
InheritRows(EngineConn *conn, LakeTable *from, const LakeTable *to)
{
	LakeScan   *scan = LakeScanPlan(from, -1, NULL, 0);
	const IcebergSchema *schema = scan->schema;
	int		   *ids = palloc(Max(schema->nfields, 1) * sizeof(int));
	StringInfoData columns;
	List	   *files;

	if (scan->files == NIL)
		return NIL;
	initStringInfo(&columns);
	for (int i = 0; i < schema->nfields; i++)
	{
		ids[i] = schema->fields[i].id;
		appendStringInfo(&columns, "%sf%d", i > 0 ? ", " : "", ids[i]);
	}
	EngineRunScan(conn,
				  psprintf("CREATE OR REPLACE TEMP TABLE pipeline_inherited AS SELECT %s FROM %s",
						   columns.data, LakeScanSql(scan, ids, schema->nfields, false)),
				  scan);
	files = FilesWriteData(conn, to, IcebergCurrentSchema(to->metadata),
						   "SELECT * FROM pipeline_inherited",
						   EngineInt(conn, "SELECT count(*) FROM pipeline_inherited"),
						   FilesRowBytes(conn, schema, "pipeline_inherited"), true);
	EngineRunF(conn, "DROP TABLE pipeline_inherited");
	return files;
}
