/* Example: two batches in flight on bare metal. Compile with -I of the folder of accelerator.h.
 *
 * On an AMD standalone BSP, write caches back and forget them by Xil_DCacheFlushRange and
 * Xil_DCacheInvalidateRange at the two places marked, and set the PS as driver/zynq.py does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accelerator.h"
#include "quinnoa.h"

#define FRAMES 16u
#define LOOKS 10000000u

static uint8_t images[2][FRAMES * QUINNOA_IN_BYTES] __attribute__((aligned(64)));
static uint8_t results[2][FRAMES * QUINNOA_OUT_BYTES] __attribute__((aligned(64)));

/* Put one frame of integers, QUINNOA_IN_VECTORS vectors of QUINNOA_IN_CHANNELS, into memory. */
static void pack(uint8_t *frame, const int32_t *values)
{
    memset(frame, 0, QUINNOA_IN_BYTES);
    for (size_t v = 0; v < QUINNOA_IN_VECTORS; v++)
        for (size_t c = 0; c < QUINNOA_IN_CHANNELS; c++)
            quinnoa_put(frame, QUINNOA_IN_SLOT, QUINNOA_IN_BIPOLAR, v * QUINNOA_IN_STRIDE + c,
                        values[v * QUINNOA_IN_CHANNELS + c]);
}

int main(void)
{
    static int32_t values[QUINNOA_IN_VECTORS * QUINNOA_IN_CHANNELS];
    quinnoa_t accelerator;
    int64_t batch[2];

    int status = quinnoa_open(&accelerator, (uintptr_t)QUINNOA_BASE, QUINNOA_NETWORK_ID,
                              QUINNOA_IN_BYTES, QUINNOA_OUT_BYTES);
    if (status != QUINNOA_OK) {
        printf("the accelerator is not there: %d\n", status);
        return 1;
    }
    for (int b = 0; b < 2; b++) {
        for (size_t n = 0; n < FRAMES; n++)
            pack(images[b] + n * QUINNOA_IN_BYTES, values);
        /* Here: write the caches of images[b] back. */
        batch[b] = quinnoa_submit(&accelerator, (uintptr_t)images[b], (uintptr_t)results[b],
                                  FRAMES);
    }
    for (int b = 0; b < 2; b++) {
        status = batch[b] < 0 ? (int)batch[b] : quinnoa_wait(&accelerator, batch[b], LOOKS);
        if (status != QUINNOA_OK) {
            printf("batch %d failed: %d\n", b, status);
            return 1;
        }
        /* Here: forget what caches hold of results[b]. */
        for (size_t c = 0; c < QUINNOA_OUT_CHANNELS; c++)
            printf("%" PRId64 "%c", quinnoa_get(results[b], QUINNOA_OUT_SLOT, QUINNOA_OUT_SIGNED,
                                                QUINNOA_OUT_BIPOLAR, c),
                   c + 1 < QUINNOA_OUT_CHANNELS ? ' ' : '\n');
    }
    return 0;
}
