/*
 * fail.c
 *		Errors, log lines, and the memory functions that the pure parts need.
 *
 * Each block has a header that links it to its request, if it was allocated
 * within one: an error may leave the request anywhere without leaking.
 */
#include "engine/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

__thread jmp_buf *fail_target = NULL;
__thread Failure failure;

typedef struct Block
{
	struct Block *prev;			/* NULL if it outlives the request */
	struct Block *next;
} Block;

static __thread Block request = {NULL, NULL};
static __thread bool in_request = false;

static void
Link(Block *block, Block *after)
{
	block->prev = after;
	block->next = after->next;
	if (after->next != NULL)
		after->next->prev = block;
	after->next = block;
}

static void
Unlink(Block *block)
{
	block->prev->next = block->next;
	if (block->next != NULL)
		block->next->prev = block->prev;
}

void *
mem_alloc(size_t n)
{
	Block	   *block = malloc(sizeof(Block) + n);

	if (block == NULL)
		Fail("53200", "out of memory");
	block->prev = block->next = NULL;
	if (in_request)
		Link(block, &request);
	return block + 1;
}

void *
mem_alloc0(size_t n)
{
	return memset(mem_alloc(n), 0, n);
}

void *
mem_realloc(void *p, size_t n)
{
	Block	   *block = (Block *) p - 1;
	Block	   *prev = block->prev;
	Block	   *moved;

	if (prev != NULL)
		Unlink(block);
	moved = realloc(block, sizeof(Block) + n);
	if (prev != NULL)
		Link(moved != NULL ? moved : block, &request);
	if (moved == NULL)
		Fail("53200", "out of memory");
	return moved + 1;
}

char *
mem_strdup(const char *s)
{
	size_t		size = strlen(s) + 1;

	return memcpy(mem_alloc(size), s, size);
}

void
mem_free(void *p)
{
	Block	   *block = (Block *) p - 1;

	if (block->prev != NULL)
		Unlink(block);
	free(block);
}

void
RequestMemoryBegin(void)
{
	in_request = true;
}

void
RequestMemoryPause(void)
{
	in_request = false;
}

void
RequestMemoryEnd(void)
{
	while (request.next != NULL)
		mem_free(request.next + 1);
	in_request = false;
}

void
FailAgain(void)
{
	if (fail_target == NULL)
	{
		LogLine("ERROR", "%s", failure.message);
		_exit(1);
	}
	longjmp(*fail_target, 1);
}

void
Fail(const char *sqlstate, const char *fmt,...)
{
	va_list		args;

	snprintf(failure.sqlstate, sizeof(failure.sqlstate), "%s", sqlstate);
	va_start(args, fmt);
	vsnprintf(failure.message, sizeof(failure.message), fmt, args);
	va_end(args);
	failure.detail[0] = '\0';
	FailAgain();
}

/*
 * What the pure parts raise.
 */
void
shard_fail(int kind, const char *fmt,...)
{
	static const char *const states[] = {
		[FAIL_CORRUPT] = "08P01",
		[FAIL_INVALID] = "22023",
		[FAIL_UNSUPPORTED] = "0A000",
		[FAIL_INTERNAL] = "XX000",
	};
	char		message[1024];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	Fail(states[kind], "%s", message);
}

typedef struct ErrorClass
{
	const char *prefix;			/* of DuckDB's text */
	const char *sqlstate;
	bool		keep_prefix;	/* tells the user something */
} ErrorClass;

static const ErrorClass error_classes[] = {
	{"INTERRUPT Error: ", "57014", false},
	{"Interrupted!", "57014", true},
	{"Out of Range Error: ", "22003", false},
	{"Conversion Error: ", "22000", false},
	{"Invalid Input Error: ", "22000", false},
	{"Divide by Zero Error: ", "22012", false},
	{"Out of Memory Error: ", "53200", false},
	{"Permission Error: ", "42501", false},
	{"IO Error: ", "58030", false},
	{"Invalid Error: ", "XX001", false},	/* of a library that reads a format of files */
	{"Not implemented Error: ", "0A000", false},
	{"Constraint Error: ", "23000", false},
	{"Parser Error: ", "42601", false},
	{"Syntax Error: ", "42601", false},
	{"Binder Error: ", "42000", false},
	{"Catalog Error: ", "42000", false},
	{"FATAL Error: ", "58000", true},
	{"INTERNAL Error: ", "XX000", true},
};

static bool
LooksLikeSqlstate(const char *text)
{
	for (int i = 0; i < 5; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z')))
			return false;
	return text[5] == ':';
}

/*
 * A database that met a fatal error refuses everything from then on: the
 * supervisor starts a fresh engine at once.
 */
static void
LeaveIfFatal(const char *text)
{
	if (strncmp(text, "FATAL Error", 11) == 0 ||
		strstr(text, "database has been invalidated") != NULL)
	{
		LogLine("WARNING", "the engine ends because of a fatal error: %s", text);
		_exit(1);
	}
}

void
FailWithText(const char *text)
{
	const char *sqlstate = "XX000";
	const char *message = text != NULL ? text : "unknown error";
	const char *end;

	LeaveIfFatal(message);
	for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++)
	{
		const ErrorClass *class = &error_classes[i];

		if (strncmp(message, class->prefix, strlen(class->prefix)) == 0)
		{
			sqlstate = class->sqlstate;
			if (strcmp(sqlstate, "22000") == 0 && strstr(message, "out of range") != NULL)
				sqlstate = "22003";
			if (!class->keep_prefix)
				message += strlen(class->prefix);
			break;
		}
	}
	if (LooksLikeSqlstate(message))
	{
		memcpy(failure.sqlstate, message, 5);
		failure.sqlstate[5] = '\0';
		message += 6;
	}
	else
		memcpy(failure.sqlstate, sqlstate, 6);

	/* First paragraph is the message; place in the query and the like are detail. */
	end = strstr(message, "\n\n");
	if (end == NULL)
		end = message + strlen(message);
	snprintf(failure.message, sizeof(failure.message), "%.*s", (int) (end - message), message);
	while (*end == '\n')
		end++;
	snprintf(failure.detail, sizeof(failure.detail), "%s", end);
	FailAgain();
}

void
LogLine(const char *level, const char *fmt,...)
{
	char		line[4096];
	int			n;
	va_list		args;

	n = snprintf(line, sizeof(line) - 1, "%s: ", level);
	va_start(args, fmt);
	n += vsnprintf(line + n, sizeof(line) - 1 - n, fmt, args);
	va_end(args);
	if (n > (int) sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n] = '\n';
	if (write(STDERR_FILENO, line, n + 1) < 0)
		return;					/* nobody listens any more */
}
