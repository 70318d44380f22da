/*
 * fuzz.c
 *		libFuzzer's entry points, and stand-alone mem_*() and shard_fail() whose
 *		allocations end with the input.
 */
#include <setjmp.h>
#include <stdio.h>

#include "fuzz.h"

/* Before each allocation; 16 bytes, so that what follows is aligned. */
typedef struct Header
{
	struct Header *next;
	struct Header *previous;
} Header;

static Header allocations = {&allocations, &allocations};
static jmp_buf after_error;

static void *
Linked(Header *header)
{
	if (header == NULL)
		abort();
	header->next = allocations.next;
	header->previous = &allocations;
	allocations.next->previous = header;
	allocations.next = header;
	return header + 1;
}

static void
Unlink(Header *header)
{
	header->next->previous = header->previous;
	header->previous->next = header->next;
}

void *
mem_alloc(size_t n)
{
	return Linked(malloc(sizeof(Header) + n));
}

void *
mem_alloc0(size_t n)
{
	return Linked(calloc(1, sizeof(Header) + n));
}

void *
mem_realloc(void *p, size_t n)
{
	Header	   *header = (Header *) p - 1;

	Unlink(header);
	return Linked(realloc(header, sizeof(Header) + n));
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
	Unlink((Header *) p - 1);
	free((Header *) p - 1);
}

void
shard_fail(int kind, const char *fmt,...)
{
	(void) kind;
	(void) fmt;
	longjmp(after_error, 1);
}

static void
FreeAll(void)
{
	while (allocations.next != &allocations)
		mem_free(allocations.next + 1);
}

char *
FuzzReadFile(const char *path, size_t *size)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data;

	if (file == NULL)
		return NULL;
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	data = mem_alloc(*size + 1);
	if (fread(data, 1, *size, file) != *size)
		abort();
	data[*size] = '\0';
	fclose(file);
	return data;
}

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	if (FuzzInit != NULL)
		FuzzInit();
	/* What FuzzInit() made is not an input's. */
	allocations.next = allocations.previous = &allocations;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (setjmp(after_error) == 0)
	{
		char	   *copy = mem_alloc(size);

		if (size > 0)
			memcpy(copy, data, size);
		FuzzOne(copy, size);
	}
	FreeAll();
	return 0;
}
