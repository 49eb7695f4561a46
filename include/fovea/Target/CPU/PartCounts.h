/*===- PartCounts.h - Calls whose parts can be counted --------------------===//
 *
 * Plain C: the runtime reads this file, and it is a part of the headers that
 * foveac writes.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FOVEA_TARGET_CPU_PARTCOUNTS_H
#define FOVEA_TARGET_CPU_PARTCOUNTS_H

#include <stdint.h>

/* Whether the plan of the form for few queries counts what a call needs in 64
 * bits: its items are at most this product, each of which has a state of less
 * than 2^20 bytes, and scratch is less than 2^28 bytes a key head. */
static inline int fovea_cpu_counts_parts(int64_t batch, int64_t kv_heads,
                                         int64_t query_length,
                                         int64_t longest_kv_length) {
  const int64_t factors[4] = {batch, kv_heads, query_length + 1,
                              longest_kv_length / 64 + 1};
  int64_t left = (int64_t)1 << 40;
  int i;
  for (i = 0; i < 4; ++i) {
    if (factors[i] > left)
      return 0;
    if (factors[i] > 0)
      left /= factors[i];
  }
  return kv_heads <= (int64_t)1 << 32;
}

#endif /* FOVEA_TARGET_CPU_PARTCOUNTS_H */
