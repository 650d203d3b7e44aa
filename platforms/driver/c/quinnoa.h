/* Quinnoa: runs an accelerator from C, with or without an operating system.
 *
 * Frames lie side by side in memory that the accelerator reads by itself, and so do their results;
 * both begin at multiples of 64 bytes. Several batches may be queued. What caches hold is the
 * caller's affair: write them back before quinnoa_submit, forget them behind quinnoa_wait.
 *
 * A machine on which registers are no plain memory defines QUINNOA_READ32(base, offset) and
 * QUINNOA_WRITE32(base, offset, value) first, and one of another compiler QUINNOA_BARRIER().
 */
#ifndef QUINNOA_H
#define QUINNOA_H

#include <stddef.h>
#include <stdint.h>

#ifndef QUINNOA_READ32
#define QUINNOA_READ32(base, offset) (*(volatile uint32_t *)((base) + (offset)))
#define QUINNOA_WRITE32(base, offset, value) \
    (*(volatile uint32_t *)((base) + (offset)) = (value))
#endif
#ifndef QUINNOA_BARRIER
#define QUINNOA_BARRIER() __sync_synchronize()
#endif

/* The register map: docs/architecture.md. */
#define QUINNOA_REG_MAGIC 0x00u
#define QUINNOA_REG_VERSION 0x04u
#define QUINNOA_REG_NETWORK_ID 0x08u
#define QUINNOA_REG_SHAPE_ID 0x10u
#define QUINNOA_REG_CONTROL 0x18u
#define QUINNOA_REG_STATUS 0x1Cu
#define QUINNOA_REG_SOURCE 0x20u
#define QUINNOA_REG_TARGET 0x28u
#define QUINNOA_REG_FRAMES 0x30u
#define QUINNOA_REG_BATCHES_DONE 0x34u
#define QUINNOA_REG_FRAMES_DONE 0x38u
#define QUINNOA_REG_CYCLES 0x3Cu
#define QUINNOA_REG_BYTES_IN 0x40u
#define QUINNOA_REG_BYTES_OUT 0x44u
#define QUINNOA_REG_BUSY_CYCLES 0x48u
#define QUINNOA_REG_CONTENTS 0x10000u

#define QUINNOA_MAGIC_VALUE 0x514E4E41u
#define QUINNOA_VERSION_VALUE 1u
#define QUINNOA_IDLE 1u   /* of STATUS */
#define QUINNOA_ERROR 2u
#define QUINNOA_ROOM 4u

enum {
    QUINNOA_OK = 0,
    QUINNOA_NOT_THERE = -1,      /* no accelerator, or one of another register map */
    QUINNOA_OTHER_NETWORK = -2,  /* another network's bitstream, or frames of other sizes */
    QUINNOA_FULL = -3,           /* no room in the queue: wait for a batch first */
    QUINNOA_LATE = -4,           /* not done after so many looks; it may be waited for again */
    QUINNOA_BUS_ERROR = -5,      /* a read or a write was refused: abort, and check addresses */
    QUINNOA_BUSY = -6            /* contents can be written while nothing is under way */
};

typedef struct {
    uintptr_t base;
    uint32_t first;      /* what BATCHES_DONE showed when nothing was under way */
    uint32_t submitted;  /* batches since */
} quinnoa_t;

static inline uint32_t quinnoa_read(const quinnoa_t *q, uint32_t offset)
{
    return QUINNOA_READ32(q->base, offset);
}

static inline void quinnoa_write(const quinnoa_t *q, uint32_t offset, uint32_t value)
{
    QUINNOA_WRITE32(q->base, offset, value);
}

static inline uint64_t quinnoa_read64(const quinnoa_t *q, uint32_t offset)
{
    uint32_t low = quinnoa_read(q, offset);
    return low | (uint64_t)quinnoa_read(q, offset + 4u) << 32;
}

/* Drop all batches that are not done; look at most `looks` times whether that is done. */
static inline int quinnoa_abort(quinnoa_t *q, uint32_t looks)
{
    quinnoa_write(q, QUINNOA_REG_CONTROL, 1u);
    while (quinnoa_read(q, QUINNOA_REG_CONTROL) & 1u)
        if (looks-- == 0)
            return QUINNOA_LATE;
    q->first = quinnoa_read(q, QUINNOA_REG_BATCHES_DONE);
    q->submitted = 0;
    return QUINNOA_OK;
}

/* Look whether the right accelerator is at `base`; drop what another program left behind. */
static inline int quinnoa_open(quinnoa_t *q, uintptr_t base, uint64_t network_id,
                               uint32_t bytes_in, uint32_t bytes_out)
{
    q->base = base;
    q->submitted = 0;
    if (quinnoa_read(q, QUINNOA_REG_MAGIC) != QUINNOA_MAGIC_VALUE
        || quinnoa_read(q, QUINNOA_REG_VERSION) != QUINNOA_VERSION_VALUE)
        return QUINNOA_NOT_THERE;
    if (quinnoa_read64(q, QUINNOA_REG_NETWORK_ID) != network_id
        || quinnoa_read(q, QUINNOA_REG_BYTES_IN) != bytes_in
        || quinnoa_read(q, QUINNOA_REG_BYTES_OUT) != bytes_out)
        return QUINNOA_OTHER_NETWORK;
    return quinnoa_abort(q, 1000000u);
}

/* Queue a batch: frames at bus address `source`, results to `target`. Return its number, from 1. */
static inline int64_t quinnoa_submit(quinnoa_t *q, uint64_t source, uint64_t target,
                                     uint32_t frames)
{
    if (!(quinnoa_read(q, QUINNOA_REG_STATUS) & QUINNOA_ROOM))
        return QUINNOA_FULL;
    QUINNOA_BARRIER();
    quinnoa_write(q, QUINNOA_REG_SOURCE, (uint32_t)source);
    quinnoa_write(q, QUINNOA_REG_SOURCE + 4u, (uint32_t)(source >> 32));
    quinnoa_write(q, QUINNOA_REG_TARGET, (uint32_t)target);
    quinnoa_write(q, QUINNOA_REG_TARGET + 4u, (uint32_t)(target >> 32));
    quinnoa_write(q, QUINNOA_REG_FRAMES, frames);
    return ++q->submitted;
}

/* Tell whether a batch is done: 1 or 0, or QUINNOA_BUS_ERROR. */
static inline int quinnoa_done(const quinnoa_t *q, int64_t batch)
{
    if (quinnoa_read(q, QUINNOA_REG_STATUS) & QUINNOA_ERROR)
        return QUINNOA_BUS_ERROR;
    /* Both modulo 2^32; what is left is few. */
    uint32_t left = q->first + (uint32_t)batch - quinnoa_read(q, QUINNOA_REG_BATCHES_DONE);
    return left == 0 || left > UINT32_MAX / 2;
}

/* Wait for a batch, looking at most `looks` times. */
static inline int quinnoa_wait(const quinnoa_t *q, int64_t batch, uint32_t looks)
{
    int done;
    while ((done = quinnoa_done(q, batch)) == 0)
        if (looks-- == 0)
            return QUINNOA_LATE;
    QUINNOA_BARRIER();
    return done < 0 ? done : QUINNOA_OK;
}

/* Write the writable contents. */
static inline int quinnoa_load(const quinnoa_t *q, const uint32_t *words, size_t count)
{
    if (!(quinnoa_read(q, QUINNOA_REG_STATUS) & QUINNOA_IDLE))
        return QUINNOA_BUSY;
    for (size_t a = 0; a < count; a++)
        quinnoa_write(q, QUINNOA_REG_CONTENTS + 4u * (uint32_t)a, words[a]);
    return QUINNOA_OK;
}

/* Frames: element c of vector v has slot v * STRIDE + c, of SLOT bits; the numbers are those of
 * accelerator.h. A frame must be all zeros before the first element is put into it. */

/* Put an integer into its slot. */
static inline void quinnoa_put(uint8_t *frame, uint32_t slot_bits, int bipolar, size_t slot,
                               int32_t value)
{
    size_t bit = slot * slot_bits;
    uint32_t code = bipolar ? (uint32_t)(value > 0) : (uint32_t)value;
    if (slot_bits < 8u) {
        code &= (1u << slot_bits) - 1u;
        frame[bit / 8u] = (uint8_t)(frame[bit / 8u] | code << bit % 8u);
    } else {
        for (uint32_t k = 0; k < slot_bits / 8u; k++)
            frame[bit / 8u + k] = (uint8_t)(code >> 8u * k);
    }
}

/* Get the integer in a slot. */
static inline int64_t quinnoa_get(const uint8_t *frame, uint32_t slot_bits, int is_signed,
                                  int bipolar, size_t slot)
{
    size_t bit = slot * slot_bits;
    uint64_t code = 0;
    if (slot_bits < 8u) {
        code = (uint64_t)(frame[bit / 8u] >> bit % 8u) & ((1u << slot_bits) - 1u);
    } else {
        for (uint32_t k = 0; k < slot_bits / 8u; k++)
            code |= (uint64_t)frame[bit / 8u + k] << 8u * k;
    }
    if (bipolar)
        return code ? 1 : -1;
    if (is_signed && code >> (slot_bits - 1u))
        return (int64_t)code - ((int64_t)1 << slot_bits);
    return (int64_t)code;
}

#endif
