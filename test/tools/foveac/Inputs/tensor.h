/* Tensors for the headers that foveac writes, of which one comes first. */
#ifndef TENSOR_H
#define TENSOR_H

static inline fovea_tensor make_of(const void *data, int32_t dtype,
                                   int32_t rank, const int64_t *sizes,
                                   const int64_t *strides) {
  fovea_tensor tensor;
  memset(&tensor, 0, sizeof tensor);
  tensor.struct_size = sizeof tensor;
  tensor.data = (void *)data;
  tensor.dtype = dtype;
  tensor.rank = rank;
  tensor.sizes = sizes;
  tensor.strides = strides;
  tensor.device_type = 1;
  return tensor;
}

static inline fovea_tensor make(const void *data, int32_t rank,
                                const int64_t *sizes, const int64_t *strides) {
  return make_of(data, 10, rank, sizes, strides); /* f32 */
}

#endif
