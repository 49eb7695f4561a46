/* Whether elements and the places they lie in can be counted: products of the
   sizes below stay in 64 bits. */
static inline int fovea_aot_fits(const fovea_tensor *tensor) {
  const int64_t limit = (int64_t)1 << 56;
  int64_t count = 1, reach = 0;
  int32_t i;
  for (i = 0; i < tensor->rank; ++i) {
    int64_t size = tensor->sizes[i] ? tensor->sizes[i] : 1;
    int64_t stride = tensor->strides[i];
    if (stride < -limit || stride > limit || size > limit / count)
      return 0;
    count *= size;
    stride = stride < 0 ? -stride : stride;
    if (stride > 0 && size - 1 > (limit - reach) / stride)
      return 0;
    reach += (size - 1) * stride;
  }
  return 1;
}

static inline int fovea_aot_is_empty(const fovea_tensor *tensor) {
  int32_t i;
  for (i = 0; i < tensor->rank; ++i)
    if (tensor->sizes[i] == 0)
      return 1;
  return 0;
}

static inline int fovea_aot_tensor(fovea_aot_call *call,
                                   const fovea_tensor *tensor, const char *name,
                                   int32_t dtype, int32_t rank) {
  int32_t i;
  if (!tensor)
    return fovea_aot_fail(call, 1, name, "must not be null");
  if (tensor->struct_size != sizeof(fovea_tensor))
    return fovea_aot_number(call, name, "struct_size must be",
                            (int64_t)sizeof(fovea_tensor),
                            (int64_t)tensor->struct_size);
  if (tensor->device_type != 1)
    return fovea_aot_number(call, name, "device type must be", 1,
                            tensor->device_type);
  if (tensor->dtype != dtype)
    return fovea_aot_number(call, name, "dtype must be", dtype, tensor->dtype);
  if (tensor->rank != rank)
    return fovea_aot_number(call, name, "rank must be", rank, tensor->rank);
  if (rank > 0 && (!tensor->sizes || !tensor->strides))
    return fovea_aot_fail(call, 1, name, "sizes and strides must not be null");
  for (i = 0; i < rank; ++i)
    if (tensor->sizes[i] < 0)
      return fovea_aot_number(call, name, "sizes must be at least", 0,
                              tensor->sizes[i]);
  if (!tensor->data && !fovea_aot_is_empty(tensor))
    return fovea_aot_fail(call, 1, name, "data must not be null");
  if ((uintptr_t)tensor->data % (uintptr_t)fovea_element_bytes(dtype) != 0)
    return fovea_aot_fail(call, 1, name,
                          "data must be aligned to its elements");
  if (!fovea_aot_fits(tensor))
    return fovea_aot_fail(call, 1, name,
                          "sizes and strides reach beyond 2^56 elements");
  return 1;
}

/* Whether there is a (query, key) pair, for which captures are read. */
static inline int fovea_aot_has_pairs(const fovea_aot_call *call) {
  return call->args.batch && call->args.query_length && call->args.kv_length;
}

/* Where nothing is read, there may be nothing at a constant index. A capture
   without elements has one here, as in fovea_aot_elements. */
static inline int fovea_aot_index(fovea_aot_call *call,
                                  const fovea_tensor *tensor, const char *name,
                                  int32_t dim, int64_t index) {
  int64_t extent = tensor->sizes[dim] ? tensor->sizes[dim] : 1;
  if (!fovea_aot_has_pairs(call) ||
      (index < 0 ? index >= -extent : index < extent))
    return 1;
  return fovea_aot_number(call, name, "a constant index must be within extent",
                          extent, index);
}

static inline int fovea_aot_size(fovea_aot_call *call, const char *name,
                                 const char *what, int64_t wanted,
                                 int64_t got) {
  return wanted == got ? 1 : fovea_aot_number(call, name, what, wanted, got);
}

static inline void fovea_aot_strides(const fovea_tensor *tensor,
                                     fovea_cpu_tensor *out) {
  int32_t i;
  out->data = tensor->data;
  for (i = 0; i < 4; ++i)
    out->strides[i] = i < tensor->rank ? tensor->strides[i] : 0;
}

static inline int fovea_aot_query(fovea_aot_call *call, const fovea_tensor *q,
                                  const char *name, int32_t dtype, int64_t dim,
                                  fovea_cpu_tensor *out, int later) {
  if (!fovea_aot_tensor(call, q, name, dtype, 4))
    return 0;
  if (!later) {
    call->args.batch = q->sizes[0];
    call->args.query_heads = q->sizes[1];
    call->args.query_length = q->sizes[2];
    if (q->sizes[1] < 1)
      return fovea_aot_fail(call, 1, name, "must have at least one head");
  }
  fovea_aot_strides(q, out);
  return fovea_aot_size(call, name, "batch must be", call->args.batch,
                        q->sizes[0]) &&
         fovea_aot_size(call, name, "number of heads must be",
                        call->args.query_heads, q->sizes[1]) &&
         fovea_aot_size(call, name, "length must be", call->args.query_length,
                        q->sizes[2]) &&
         fovea_aot_size(call, name, "head dim must be", dim, q->sizes[3]);
}

static inline int fovea_aot_key(fovea_aot_call *call, const fovea_tensor *k,
                                const char *name, int32_t dtype, int64_t dim,
                                fovea_cpu_tensor *out, int later) {
  if (!fovea_aot_tensor(call, k, name, dtype, 4))
    return 0;
  if (!later) {
    call->args.kv_heads = k->sizes[1];
    call->args.kv_length = call->args.longest_kv_length = k->sizes[2];
    if (k->sizes[1] < 1 || call->args.query_heads % k->sizes[1] != 0)
      return fovea_aot_number(call, name,
                              "number of heads must divide that of q:",
                              call->args.query_heads, k->sizes[1]);
  }
  fovea_aot_strides(k, out);
  if (k->sizes[0] == 1)
    out->strides[0] = 0; /* one batch for all */
  else if (!fovea_aot_size(call, name, "batch must be 1 or", call->args.batch,
                           k->sizes[0]))
    return 0;
  return fovea_aot_size(call, name, "number of heads must be",
                        call->args.kv_heads, k->sizes[1]) &&
         fovea_aot_size(call, name, "length must be", call->args.kv_length,
                        k->sizes[2]) &&
         fovea_aot_size(call, name, "head dim must be", dim, k->sizes[3]);
}

static inline int fovea_aot_out(fovea_aot_call *call, const fovea_tensor *out,
                                const char *name, int32_t dtype, int32_t rank,
                                int64_t dim, fovea_cpu_tensor *described) {
  int32_t i;
  if (!fovea_aot_tensor(call, out, name, dtype, rank))
    return 0;
  for (i = 0; i < rank && !fovea_aot_is_empty(out); ++i)
    if (out->sizes[i] > 1 && out->strides[i] == 0)
      return fovea_aot_fail(call, 1, name,
                            "strides must not be 0: its elements are written");
  fovea_aot_strides(out, described);
  return fovea_aot_size(call, name, "batch must be", call->args.batch,
                        out->sizes[0]) &&
         fovea_aot_size(call, name, "number of heads must be",
                        call->args.query_heads, out->sizes[1]) &&
         fovea_aot_size(call, name, "length must be", call->args.query_length,
                        out->sizes[2]) &&
         (rank == 3 ||
          fovea_aot_size(call, name, "head dim must be", dim, out->sizes[3]));
}

/* Inputs are read after the first results are written. */
static inline int fovea_aot_apart(fovea_aot_call *call,
                                  const fovea_tensor *written, const char *name,
                                  const fovea_tensor *other, const char *what) {
  return !written || !fovea_overlap(written, other)
             ? 1
             : fovea_aot_fail(call, 1, name, what);
}

static inline int fovea_aot_capture(fovea_aot_call *call,
                                    const fovea_tensor *tensor,
                                    const char *name, int32_t dtype,
                                    int32_t rank, fovea_cpu_capture *out) {
  if (!fovea_aot_tensor(call, tensor, name, dtype, rank))
    return 0;
  out->data = tensor->data;
  out->sizes = tensor->sizes;
  out->strides = tensor->strides;
  return 1;
}

/* `features`: 0 where the capture has a dimension E, of values that have no
   features. One zero takes the place of what nothing reads. */
static inline int fovea_aot_elements(fovea_aot_call *call,
                                     const fovea_tensor *tensor,
                                     const char *name, int features,
                                     fovea_cpu_capture *out) {
  static const int64_t zeros[64] = {0};
  static const int64_t ones[64] = {
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  if (!fovea_aot_is_empty(tensor))
    return 1;
  if (features && fovea_aot_has_pairs(call))
    return fovea_aot_fail(call, 1, name, "must have at least one element");
  out->data = zeros;
  out->sizes = ones;
  out->strides = zeros;
  return 1;
}

/* A dimension of a capture that the variant declares: `size` is its name, null
   for a number, `first` a capture that binds it, null for sizes of q, k, v. */
static inline int fovea_aot_dim(fovea_aot_call *call,
                                const fovea_tensor *tensor, const char *name,
                                int32_t dim, const char *size,
                                const char *first, int64_t wanted) {
  const fovea_aot_options *o = call->options;
  int64_t got = tensor->sizes[dim];
  if (got == wanted)
    return 1;
  if (!fovea_aot_refuse(call, 1))
    return 0;
  if (!size)
    snprintf(o->message, o->message_size, "%s: dim %d must be %lld, got %lld",
             name, (int)dim, (long long)wanted, (long long)got);
  else
    snprintf(o->message, o->message_size,
             "%s: dim %d must be %s (%lld%s%s), got %lld", name, (int)dim, size,
             (long long)wanted, first ? ", that of " : "", first ? first : "",
             (long long)got);
  return 0;
}
