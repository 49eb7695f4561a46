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

/* Whether `address` lies in an element of a tensor with this extent. */
static inline int fovea_lies_in(uintptr_t address, const fovea_tensor *tensor,
                                fovea_extent extent) {
  const int64_t bytes = fovea_element_bytes(tensor->dtype);
  int64_t rest, below = INT64_MAX;
  int32_t i;
  if (address < extent.begin || address >= extent.end)
    return 0;
  rest = (int64_t)(address - extent.begin);
  while (rest >= bytes) { /* down the strides, the largest first */
    int64_t stride = 0, reach = 0, steps;
    for (i = 0; i < tensor->rank; ++i) {
      int64_t each = tensor->strides[i];
      each = each < 0 ? -each : each;
      if (each >= below || each < stride || tensor->sizes[i] < 2)
        continue;
      reach = (each == stride ? reach : 0) + tensor->sizes[i] - 1;
      stride = each;
    }
    if (stride == 0)
      return 0;
    below = stride;
    steps = rest / bytes / stride;
    rest -= (steps < reach ? steps : reach) * stride * bytes;
  }
  return 1;
}

/* Whether the first element of one lies in the other; that tensors may be woven
   into each other without an element in common is why extents do not decide. */
static inline int fovea_overlap(const fovea_tensor *a, const fovea_tensor *b) {
  fovea_extent first = fovea_extent_of(a), second = fovea_extent_of(b);
  return fovea_extents_meet(first, second) &&
         (fovea_lies_in(first.begin, b, second) ||
          fovea_lies_in(second.begin, a, first));
}

#endif /* FOVEA_RUNTIME_OVERLAP_H */
