/* A shell's registers in C, included in front of quinnoa.h: every look at STATUS does a frame. */
#include <stdint.h>
#include <string.h>

static struct {
    uint32_t registers[0x50 / 4], contents[16], looks, stuck, refused;
    struct { uint64_t source, target; uint32_t frames; } queue[4];
    uint32_t queued;
} model;

static inline void model_start(uint64_t network_id, uint32_t counted)
{
    memset(&model, 0, sizeof model);
    model.registers[0] = 0x514E4E41u;
    model.registers[1] = 1u;
    model.registers[2] = (uint32_t)network_id;
    model.registers[3] = (uint32_t)(network_id >> 32);
    model.registers[0x34 / 4] = counted;
    model.registers[0x40 / 4] = 8u;
    model.registers[0x44 / 4] = 4u;
}

/* A result is the first four bytes of its frame, inverted. */
static inline void model_frame(void)
{
    const uint8_t *frame = (const uint8_t *)(uintptr_t)model.queue[0].source;
    uint8_t *result = (uint8_t *)(uintptr_t)model.queue[0].target;
    for (int k = 0; k < 4; k++)
        result[k] = (uint8_t)~frame[k];
    model.queue[0].source += 8;
    model.queue[0].target += 4;
    model.registers[0x38 / 4]++;
    if (--model.queue[0].frames == 0) {
        model.registers[0x34 / 4]++;
        model.queued--;
        memmove(model.queue, model.queue + 1, 3 * sizeof model.queue[0]);
    }
}

static inline uint32_t model_read(uint32_t offset)
{
    if (offset != 0x1C)
        return model.registers[offset / 4];
    if (model.queued && !model.stuck && !model.refused && model.looks++ % 4 == 3)
        model_frame();
    return (uint32_t)(model.queued == 0) | model.refused << 1 | (uint32_t)(model.queued < 4) << 2;
}

static inline void model_write(uint32_t offset, uint32_t value)
{
    if (offset >= 0x10000u) {
        model.contents[(offset - 0x10000u) / 4] = value;
    } else if (offset == 0x18) {
        model.queued = model.refused = 0;
        model.registers[0x34 / 4] = model.registers[0x38 / 4] = 0;
    } else if (offset == 0x30) {
        uint32_t *r = model.registers;
        model.queue[model.queued].source = r[8] | (uint64_t)r[9] << 32;
        model.queue[model.queued].target = r[10] | (uint64_t)r[11] << 32;
        model.queue[model.queued++].frames = value;
    } else {
        model.registers[offset / 4] = value;
    }
}

#define QUINNOA_READ32(base, offset) ((void)(base), model_read(offset))
#define QUINNOA_WRITE32(base, offset, value) ((void)(base), model_write(offset, value))
