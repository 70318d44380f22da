/*
 * instance.c
 *		Opening and replacing the DuckDB database.
 *
 * A backend that has checked its user's right to a directory leaves a symbolic
 * link to it in shard/grants.  DuckDB resolves links before it compares a path
 * with the allowed directories, so that a link alone opens nothing: the links'
 * targets are listed when an instance is opened.
 */
#define _GNU_SOURCE
#include "engine/instance.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/fail.h"
#include "engine/functions.h"
#include "wire/frame.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Instance *current = NULL;
static Limits wanted;
static char warehouse_path[PATH_MAX];
static int64 generations = 0;

/* Targets of the links in shard/grants, as of the last look. */
static char **grants = NULL;
static int	ngrants = 0;
static bool grants_changed = false;
static struct timespec grants_mtime;
static bool grants_settled = false;

/* ---- grants ---- */

static bool
HasGrant(const char *target)
{
	for (int i = 0; i < ngrants; i++)
		if (strcmp(grants[i], target) == 0)
			return true;
	return false;
}

static void
AddGrant(const char *target)
{
	char	  **more = realloc(grants, sizeof(char *) * (ngrants + 1));
	char	   *copy = strdup(target);

	if (more != NULL)
		grants = more;
	if (more == NULL || copy == NULL)
	{
		free(copy);
		return;					/* reading that directory will be refused */
	}
	grants[ngrants++] = copy;
	grants_changed = true;
}

static void
ReadGrants(void)
{
	DIR		   *dir = opendir(ENGINE_GRANTS);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
	{
		char		link[PATH_MAX];
		char		target[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(link, sizeof(link), "%s/%s", ENGINE_GRANTS, entry->d_name);
		if (realpath(link, target) != NULL && !HasGrant(target))
			AddGrant(target);
	}
	closedir(dir);
}

/*
 * Look for new links if the directory was touched.  Its time stamp is coarse,
 * so one that is very recent is not trusted.
 */
static void
RefreshGrants(void)
{
	struct stat st;
	struct timespec now;
	int64		age_ms;

	if (stat(ENGINE_GRANTS, &st) != 0)
		return;
	if (grants_settled && st.st_mtim.tv_sec == grants_mtime.tv_sec &&
		st.st_mtim.tv_nsec == grants_mtime.tv_nsec)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
		(now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	grants_settled = age_ms > 100;
	grants_mtime = st.st_mtim;
	ReadGrants();
}

/* ---- opening ---- */

static void
AppendQuoted(char *sql, size_t size, const char *path)
{
	size_t		n = strlen(sql);

	if (sql[n - 1] != '[')
		n += snprintf(sql + n, size - n, ",");
	n += snprintf(sql + n, size - n, "'");
	for (; *path != '\0' && n + 3 < size; path++)
	{
		if (*path == '\'')
			sql[n++] = '\'';
		sql[n++] = *path;
	}
	snprintf(sql + n, size - n, "'");
}

/*
 * SET GLOBAL allowed_directories = ['…', …]
 */
static char *
AllowedDirectories(void)
{
	size_t		size = (size_t) (ngrants + 4) * (2 * PATH_MAX + 4);
	char	   *sql = malloc(size);
	char		path[PATH_MAX];

	if (sql == NULL)
		Fail("53200", "out of memory");
	snprintf(sql, size, "SET GLOBAL allowed_directories = [");
	if (realpath("shard", path) != NULL)
		AppendQuoted(sql, size, path);
	if (warehouse_path[0] != '\0' && realpath(warehouse_path, path) != NULL)
		AppendQuoted(sql, size, path);
	for (int i = 0; i < ngrants; i++)
		AppendQuoted(sql, size, grants[i]);
	strcat(sql, "]");
	return sql;
}

static void
RunSetting(duckdb_connection con, const char *sql)
{
	duckdb_result result;

	if (duckdb_query(con, sql, &result) == DuckDBError)
	{
		LogLine("WARNING", "%s: %s", sql, duckdb_result_error(&result));
		duckdb_destroy_result(&result);
		Fail("58000", "the engine refuses the setting \"%s\"", sql);
	}
	duckdb_destroy_result(&result);
}

static void
SetOption(duckdb_config config, const char *name, const char *value)
{
	if (duckdb_set_config(config, name, value) == DuckDBError)
		Fail("58000", "the engine has no option \"%s\"", name);
}

static duckdb_database
OpenDatabase(const Limits *limits, int64 generation)
{
	duckdb_config config;
	duckdb_database db;
	char		text[128];
	char	   *error = NULL;

	duckdb_create_config(&config);
	snprintf(text, sizeof(text), "%lldKiB", (long long) limits->memory_kb);
	SetOption(config, "memory_limit", text);
	if (limits->threads > 0)
	{
		snprintf(text, sizeof(text), "%d", limits->threads);
		SetOption(config, "threads", text);
	}
	snprintf(text, sizeof(text), "%s/%lld-%lld", ENGINE_TMP, (long long) getpid(),
			 (long long) generation);
	SetOption(config, "temp_directory", text);
	SetOption(config, "autoinstall_known_extensions", "false");
	SetOption(config, "autoload_known_extensions", "false");
	SetOption(config, "allow_community_extensions", "false");
	SetOption(config, "allow_persistent_secrets", "false");
	SetOption(config, "preserve_insertion_order", "false");
	if (duckdb_open_ext(":memory:", &db, config, &error) == DuckDBError)
	{
		duckdb_destroy_config(&config);
		snprintf(text, sizeof(text), "%s", error);
		duckdb_free(error);
		Fail("58000", "could not open the engine's database: %s", text);
	}
	duckdb_destroy_config(&config);
	return db;
}

/*
 * What can be set only on a running database, in an order in which each step
 * is still allowed.
 */
static void
Configure(duckdb_connection con)
{
	char	   *allowed = AllowedDirectories();

	RunSetting(con, "SET GLOBAL TimeZone = 'UTC'");
	RunSetting(con, "SET GLOBAL parquet_metadata_cache = true");
	RunSetting(con, allowed);
	free(allowed);
	RunSetting(con, "SET GLOBAL enable_external_access = false");
	RunSetting(con, "SET GLOBAL lock_configuration = true");
}

static Instance *
InstanceOpen(void)
{
	Instance   *instance = calloc(1, sizeof(Instance));

	if (instance == NULL)
		Fail("53200", "out of memory");
	instance->generation = ++generations;
	instance->limits = wanted;
	instance->refs = 1;			/* current's */
	instance->db = OpenDatabase(&wanted, instance->generation);
	if (duckdb_connect(instance->db, &instance->monitor) == DuckDBError)
		Fail("58000", "could not connect to the engine's database");
	RegisterFunctions(instance->monitor);
	Configure(instance->monitor);
	return instance;
}

static void
InstanceClose(Instance *instance)
{
	duckdb_disconnect(&instance->monitor);
	duckdb_close(&instance->db);
	free(instance);
}

/* ---- the current instance ---- */

static bool
SameInstance(const Limits *a, const Limits *b)
{
	return a->memory_kb == b->memory_kb && a->threads == b->threads;
}

/*
 * Open a new instance if need be; the lock is held.  Returns the one that lost
 * its last reference, to be closed without the lock.
 */
static Instance *
BringUpToDate(void)
{
	Instance   *const volatile old = current;
	jmp_buf    *outer = fail_target;
	jmp_buf		target;

	RefreshGrants();
	if (current != NULL && !grants_changed && SameInstance(&current->limits, &wanted))
		return NULL;

	/* The lock must not be held when an error leaves. */
	fail_target = &target;
	if (setjmp(target) != 0)
	{
		fail_target = outer;
		if (current == NULL)
		{
			pthread_mutex_unlock(&lock);
			FailAgain();
		}
		LogLine("WARNING", "the engine keeps its former limits: %s", failure.message);
		wanted = current->limits;
		grants_changed = false;
		return NULL;
	}
	current = InstanceOpen();
	fail_target = outer;
	grants_changed = false;
	if (old == NULL || --old->refs > 0)
		return NULL;
	return old;
}

void
InstanceStart(const Limits *limits, const char *warehouse)
{
	wanted = *limits;
	snprintf(warehouse_path, sizeof(warehouse_path), "%s", warehouse);
	InstanceRelease(InstanceAcquire());
}

void
InstanceSetLimits(const Limits *limits)
{
	pthread_mutex_lock(&lock);
	wanted = *limits;
	pthread_mutex_unlock(&lock);
}

Instance *
InstanceAcquire(void)
{
	Instance   *instance;
	Instance   *old;

	pthread_mutex_lock(&lock);
	old = BringUpToDate();
	instance = current;
	instance->refs++;
	pthread_mutex_unlock(&lock);
	if (old != NULL)
		InstanceClose(old);
	return instance;
}

void
InstanceRelease(Instance *instance)
{
	bool		last;

	pthread_mutex_lock(&lock);
	last = --instance->refs == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		InstanceClose(instance);
}

bool
InstanceIsCurrent(Instance *instance)
{
	bool		result;

	pthread_mutex_lock(&lock);
	RefreshGrants();
	result = instance == current && !grants_changed && SameInstance(&instance->limits, &wanted);
	pthread_mutex_unlock(&lock);
	return result;
}

static int64
SumOf(duckdb_connection con, const char *sql)
{
	duckdb_result result;
	int64		sum = 0;

	if (duckdb_query(con, sql, &result) == DuckDBSuccess)
		sum = duckdb_value_int64(&result, 0, 0);
	duckdb_destroy_result(&result);
	return sum;
}

void
InstanceMemory(int64 *used, int64 *spilled, int64 *generation, Limits *limits)
{
	pthread_mutex_lock(&lock);
	*used = SumOf(current->monitor, "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()");
	*spilled = SumOf(current->monitor,
					 "SELECT sum(temporary_storage_bytes)::BIGINT FROM duckdb_memory()");
	*generation = current->generation;
	*limits = wanted;
	pthread_mutex_unlock(&lock);
}
