/*
 * init.c
 *		What the pipeline folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "pipeline/pipeline.h"

void
PipelineInit(void)
{
}
