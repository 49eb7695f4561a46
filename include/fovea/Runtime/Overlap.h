/*===- Overlap.h - Whether tensors lie in the same memory -----------------===//
 *
 * Plain C: the runtime reads this file, and it is a part of the headers that
 * foveac writes. Strides have passed the checks: reaches stay in 64 bits.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FOVEA_RUNTIME_OVERLAP_H
#define FOVEA_RUNTIME_OVERLAP_H

#include <stdint.h>

static inline int64_t fovea_element_bytes(int32_t dtype) {
  static const unsigned char bytes[] = {1, 1, 1, 2, 2, 4, 4, 8, 2, 2, 4, 8};
  return bytes[dtype];
}

/* The bytes from the lowest element on to the end of the highest. */
typedef struct fovea_extent {
  uintptr_t begin, end;
} fovea_extent;

static inline fovea_extent fovea_extent_of(const fovea_tensor *tensor) {
  const uintptr_t bytes = (uintptr_t)fovea_element_bytes(tensor->dtype);
  fovea_extent extent = {(uintptr_t)tensor->data, (uintptr_t)tensor->data};
  uintptr_t below = 0, above = 1;
  int32_t i;
  for (i = 0; i < tensor->rank; ++i) {
    uintptr_t reach =
        ((uintptr_t)tensor->sizes[i] - 1) * (uintptr_t)tensor->strides[i];
    if (tensor->sizes[i] == 0)
      return extent;
    if (tensor->strides[i] < 0)
      below -= reach;
    else
      above += reach;
  }
  extent.begin -= below * bytes;
  extent.end += above * bytes;
  return extent;
}

static inline int fovea_extents_meet(fovea_extent a, fovea_extent b) {
  return a.begin < a.end && b.begin < b.end && a.begin < b.end &&
         b.begin < a.end;
}

/* Multiples of a stride, of bytes: as many as lie in [low, high]. */
typedef struct fovea_steps {
  int64_t stride, low, high;
} fovea_steps;

/* Sums of one number of steps each, the largest stride first. Tensors have less
   than 2^63 elements, so that 62 of their dims at most have two or more. */
typedef struct fovea_sums {
  int32_t count;
  fovea_steps steps[80];
} fovea_sums;

static inline void fovea_add_steps(fovea_sums *sums, int64_t stride,
                                   int64_t low, int64_t high) {
  int32_t i = 0, j;
  if (stride == 0 || (low == 0 && high == 0))
    return;
  while (i < sums->count && sums->steps[i].stride > stride)
    ++i;
  if (i == sums->count || sums->steps[i].stride != stride) {
    for (j = sums->count++; j > i; --j)
      sums->steps[j] = sums->steps[j - 1];
    sums->steps[i].stride = stride;
    sums->steps[i].low = sums->steps[i].high = 0;
  }
  sums->steps[i].low += low;
  sums->steps[i].high += high;
}

/* What the bytes of a tensor lie behind its lowest one; `sign` -1 takes it
   away. */
static inline void fovea_add_bytes(fovea_sums *sums, const fovea_tensor *tensor,
                                   int64_t sign) {
  const int64_t bytes = fovea_element_bytes(tensor->dtype);
  int32_t i;
  fovea_add_steps(sums, 1, sign < 0 ? 1 - bytes : 0, sign < 0 ? 0 : bytes - 1);
  for (i = 0; i < tensor->rank; ++i) {
    const int64_t last = tensor->sizes[i] - 1;
    if (last > 0) { /* the stride of another may be anything */
      int64_t stride = tensor->strides[i] * bytes;
      fovea_add_steps(sums, stride < 0 ? -stride : stride, sign < 0 ? -last : 0,
                      sign < 0 ? 0 : last);
    }
  }
}

static inline int64_t fovea_floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

/* Whether one of the sums is `wanted`, or looking for it takes too long. A
   search in depth: what the smaller strides can reach leaves a few numbers of
   steps of each, and where they reach all between two ends it is over. */
static inline int fovea_has_sum(const fovea_sums *sums, int64_t wanted) {
  enum { patience = 1 << 18 };
  int64_t low[81], high[81], rest[81], now[80], last[80];
  char reaches_all[81];
  const int32_t count = sums->count;
  int32_t depth = count, tries;
  low[count] = high[count] = 0;
  reaches_all[count] = 1;
  while (depth-- > 0) {
    const fovea_steps step = sums->steps[depth];
    low[depth] = low[depth + 1] + step.low * step.stride;
    high[depth] = high[depth + 1] + step.high * step.stride;
    reaches_all[depth] = reaches_all[depth + 1] &&
                         step.stride - 1 <= high[depth + 1] - low[depth + 1];
  }
  depth = 0;
  rest[0] = wanted;
  for (tries = 0; tries < patience; ++tries) {
    if (reaches_all[depth] && low[depth] <= rest[depth] &&
        rest[depth] <= high[depth])
      return 1;
    if (!reaches_all[depth]) {
      const fovea_steps step = sums->steps[depth];
      int64_t most = fovea_floor_div(rest[depth] - low[depth + 1], step.stride);
      int64_t least =
          -fovea_floor_div(high[depth + 1] - rest[depth], step.stride);
      now[depth] = (least > step.low ? least : step.low) - 1;
      last[depth] = most < step.high ? most : step.high;
      ++depth;
    }
    while (depth > 0 && now[depth - 1] >= last[depth - 1])
      --depth;
    if (depth == 0)
      return 0;
    ++now[depth - 1];
    rest[depth] =
        rest[depth - 1] - now[depth - 1] * sums->steps[depth - 1].stride;
  }
  return 1;
}

/* Whether a byte of one is a byte of the other; that tensors may be woven into
   each other is why extents do not decide. Also where that is not found out in
   some milliseconds. */
static inline int fovea_overlap(const fovea_tensor *a, const fovea_tensor *b) {
  const uintptr_t longest = (uintptr_t)1 << 61;
  fovea_extent first = fovea_extent_of(a), second = fovea_extent_of(b);
  fovea_sums sums;
  if (!fovea_extents_meet(first, second))
    return 0;
  /* No memory is as long. */
  if (first.end - first.begin > longest || second.end - second.begin > longest)
    return 1;
  sums.count = 0;
  fovea_add_bytes(&sums, a, 1);
  fovea_add_bytes(&sums, b, -1);
  return fovea_has_sum(&sums, (int64_t)(second.begin - first.begin));
}

#endif /* FOVEA_RUNTIME_OVERLAP_H */
