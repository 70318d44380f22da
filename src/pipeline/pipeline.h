/*
 * pipeline.h
 *		Entry point of the pipeline folder.
 */
#ifndef SHARD_PIPELINE_H
#define SHARD_PIPELINE_H

extern void PipelineInit(void);

#endif							/* SHARD_PIPELINE_H */
