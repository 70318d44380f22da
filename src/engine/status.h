/*
 * status.h
 *		What the engine says of itself.
 */
#ifndef SHARD_ENGINE_STATUS_H
#define SHARD_ENGINE_STATUS_H

#include "wire/frame.h"

extern void StatusStart(void);
extern void StatusWrite(FrameBuffer *buf);

#endif							/* SHARD_ENGINE_STATUS_H */
