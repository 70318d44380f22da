/*
 * init.c
 *		What the lake folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "lake/io/io.h"
#include "lake/lake.h"
#include "lake/registry/registry.h"

void
LakeInit(void)
{
	LakeIoInit();
	RegistryInit();
}
