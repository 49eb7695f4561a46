#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tensors as in fovea.h: sizes and strides count elements, strides may be zero
   or negative; dtype 0 i1 (a byte), 1 i8, 2 ui8, 3 i16, 4 ui16, 5 i32, 6 ui32,
   7 i64, 8 f16, 9 bf16, 10 f32, 11 f64; device_type 1 is the CPU. */
#if !defined(FOVEA_C_FOVEA_H) && !defined(FOVEA_AOT_TENSOR)
#define FOVEA_AOT_TENSOR
typedef struct fovea_tensor {
  size_t struct_size; /* sizeof(fovea_tensor) */
  void *data;
  int32_t dtype;
  int32_t rank;
  const int64_t *sizes;
  const int64_t *strides;
  int32_t device_type;
  int32_t device_id;
} fovea_tensor;
#endif

#ifndef FOVEA_AOT_COMMON
#define FOVEA_AOT_COMMON

/* What the caller knows of the mask in this call: a class for each tile of
   query_tile x key_tile pairs of rows (not counting offsets), densely as
   [batches][heads][query tiles][key tiles]. 0: no pair is visible, the tile is
   skipped; 1: the mask is asked; 2: all pairs within the lengths are visible,
   the mask is not asked. A wrong class gives wrong results. */
typedef struct fovea_aot_tiles {
  const int8_t *classes;
  int64_t batches, heads; /* 1, for all of them, or those of q */
  int64_t query_tile, key_tile;
} fovea_aot_tiles;

/* May all be null or 0. Offsets, lengths: one for each batch. */
typedef struct fovea_aot_options {
  const int64_t *q_offset, *kv_offset, *q_lengths, *kv_lengths;
  /* Calls body(task, index, worker) for each index of 0 ... count-1, on at most
     `workers` threads at once, with a worker number of 0 ... workers-1 that no
     two calls at one time share; returns when all are done. */
  void (*parallel_for)(void *pool, int64_t count,
                       void (*body)(void *task, int64_t index, int64_t worker),
                       void *task);
  void *pool;
  int64_t workers; /* below 1: 1 */
  char *message;   /* a text where the call fails */
  size_t message_size;
  const fovea_aot_tiles *tiles; /* of variants whose keys are all looked at */
} fovea_aot_options;

#include "fovea/Target/CPU/KernelABI.h"

#include "fovea/Target/CPU/PartCounts.h"

typedef struct fovea_aot_kernel {
  fovea_cpu_plan_fn plan;
  fovea_cpu_run_fn run;
} fovea_aot_kernel;

/* Of one version, for one range of positions. `few` is for calls of at most
   few_rows rows a key head (queries times heads a key head); 0: there is none.
   `one` is for those of one row that `one_row` names. */
typedef struct fovea_aot_forms {
  fovea_aot_kernel fast, exact, few, one;
  int64_t few_rows;
  fovea_cpu_one_row one_row;
} fovea_aot_forms;

typedef struct fovea_aot_call {
  fovea_cpu_args args;
  const fovea_aot_options *options;
  int status;
  fovea_cpu_tile_runs tile_runs;
  /* Of the pass that runs. */
  fovea_aot_kernel kernel;
  unsigned char *flags; /* per item: it gave a non-finite value */
  int only_flagged, set_flags;
  int64_t items, tile; /* whole tiles of the kernel's items, and their size */
  char *scratch;
  int64_t scratch_bytes;
} fovea_aot_call;

/* What the forms that a call may take need at most. */
typedef struct fovea_aot_needs {
  int64_t items;
  fovea_cpu_plan bytes;
} fovea_aot_needs;

/* Fails the call; whether there is room for a text that says why. */
static inline int fovea_aot_refuse(fovea_aot_call *call, int status) {
  const fovea_aot_options *options = call->options;
  call->status = status;
  return options && options->message && options->message_size > 0;
}

static inline int fovea_aot_fail(fovea_aot_call *call, int status,
                                 const char *name, const char *rule) {
  if (fovea_aot_refuse(call, status))
    snprintf(call->options->message, call->options->message_size, "%s: %s",
             name, rule);
  return 0;
}

static inline int fovea_aot_number(fovea_aot_call *call, const char *name,
                                   const char *rule, int64_t wanted,
                                   int64_t got) {
  if (fovea_aot_refuse(call, 1))
    snprintf(call->options->message, call->options->message_size,
             "%s: %s %lld, got %lld", name, rule, (long long)wanted,
             (long long)got);
  return 0;
}

/* Whether the parts of keys that calls of few queries have can be counted. */
static inline int fovea_aot_parts(fovea_aot_call *call) {
  const fovea_aot_options *options = call->options;
  const fovea_cpu_args *args = &call->args;
  if (fovea_cpu_counts_parts(args->batch, args->kv_heads, args->query_length,
                             args->longest_kv_length))
    return 1;
  if (fovea_aot_refuse(call, 1))
    snprintf(options->message, options->message_size,
             "k: B * Hk * (M + 1) * (N / 64 + 1) must be at most 2^40 and Hk "
             "at most 2^32, got B = %lld, Hk = %lld, M = %lld, N = %lld",
             (long long)args->batch, (long long)args->kv_heads,
             (long long)args->query_length, (long long)args->longest_kv_length);
  return 0;
}

static inline void fovea_aot_begin(fovea_aot_call *call,
                                   const fovea_aot_options *options) {
  memset(call, 0, sizeof *call);
  call->options = options;
}

#include "fovea/Runtime/Overlap.h"

#include "HeaderTensors.h"

static inline int fovea_aot_scales(fovea_aot_call *call, const char *name,
                                   const double *scales, int count,
                                   int is_double) {
  const double largest = is_double ? DBL_MAX : FLT_MAX;
  int i;
  call->args.scales = scales;
  if (!scales)
    return fovea_aot_fail(call, 1, name, "must not be null");
  for (i = 0; i < count; ++i)
    if (!(scales[i] >= -largest && scales[i] <= largest)) {
      int is_finite = scales[i] - scales[i] == 0;
      if (fovea_aot_refuse(call, 1))
        snprintf(call->options->message, call->options->message_size,
                 "%s: must be finite%s, got %g", name,
                 is_finite ? " in float32" : "", scales[i]);
      return 0;
    }
  return 1;
}

static inline int64_t fovea_aot_most(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static inline int64_t fovea_aot_workers(const fovea_aot_call *call) {
  const fovea_aot_options *options = call->options;
  return options && options->parallel_for ? fovea_aot_most(options->workers, 1)
                                          : 1;
}

static inline void fovea_aot_item(void *context, int64_t item, int64_t worker) {
  fovea_aot_call *call = (fovea_aot_call *)context;
  int64_t bad, next;
#if defined(__x86_64__)
  /* What the caller set, flush to zero say, must not change results. */
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1f80);
#endif
  if (!call->only_flagged || call->flags[item]) {
    next = item + fovea_aot_workers(call);
    bad = call->kernel.run(&call->args, item * call->tile,
                           (item + 1) * call->tile,
                           (next < call->items ? next : item) * call->tile,
                           call->scratch + worker * call->scratch_bytes);
    if (call->set_flags)
      call->flags[item] = bad != 0;
  }
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(before);
#endif
}

static inline void fovea_aot_items(fovea_aot_call *call,
                                   const fovea_aot_needs *needs) {
  const fovea_aot_options *options = call->options;
  int64_t i;
  call->items = needs->items;
  call->tile = needs->bytes.tile_items;
  if (options && options->parallel_for)
    options->parallel_for(options->pool, call->items, fovea_aot_item, call);
  else
    for (i = 0; i < call->items; ++i)
      fovea_aot_item(call, i, 0);
}

static inline size_t fovea_aot_round(int64_t bytes) {
  return ((size_t)bytes + 63) / 64 * 64;
}

static inline int fovea_aot_offset(fovea_aot_call *call, const char *name,
                                   int64_t offset) {
  const int64_t far = (int64_t)1 << 56;
  if (offset >= -far && offset <= far)
    return 1;
  if (fovea_aot_refuse(call, 1))
    snprintf(call->options->message, call->options->message_size,
             "%s: must lie within -2^56 and 2^56, got %lld", name,
             (long long)offset);
  return 0;
}

/* Checks kv_lengths and finds the longest. */
static inline int fovea_aot_longest(fovea_aot_call *call) {
  const int64_t *lengths = call->options ? call->options->kv_lengths : NULL;
  int64_t b, longest = 0;
  if (!lengths)
    return 1;
  for (b = 0; b < call->args.batch; ++b) {
    if (lengths[b] < 0 || lengths[b] > call->args.kv_length)
      return fovea_aot_number(call, "kv_lengths", "must lie within 0 and",
                              call->args.kv_length, lengths[b]);
    longest = fovea_aot_most(longest, lengths[b]);
  }
  call->args.longest_kv_length = longest;
  return 1;
}

/* Fills in offsets and lengths; says whether positions are below 2^30. */
static inline int fovea_aot_positions(fovea_aot_call *call, int64_t *numbers,
                                      int *narrow) {
  const fovea_aot_options *o = call->options;
  const int64_t limit = (int64_t)1 << 30;
  int64_t b, batch = call->args.batch;
  *narrow = call->args.query_length <= limit && call->args.kv_length <= limit;
  for (b = 0; b < batch; ++b) {
    int64_t qo = o && o->q_offset ? o->q_offset[b] : 0;
    int64_t ko = o && o->kv_offset ? o->kv_offset[b] : 0;
    int64_t ql = o && o->q_lengths ? o->q_lengths[b] : call->args.query_length;
    int64_t kl = o && o->kv_lengths ? o->kv_lengths[b] : call->args.kv_length;
    if (!fovea_aot_offset(call, "q_offset", qo) ||
        !fovea_aot_offset(call, "kv_offset", ko))
      return 0;
    if (ql < 0 || ql > call->args.query_length)
      return fovea_aot_number(call, "q_lengths", "must lie within 0 and",
                              call->args.query_length, ql);
    if (qo < 0 || qo > limit - call->args.query_length || ko < 0 ||
        ko > limit - call->args.kv_length)
      *narrow = 0;
    numbers[b] = qo;
    numbers[batch + b] = ko;
    numbers[2 * batch + b] = ql;
    numbers[3 * batch + b] = kl;
  }
  call->args.q_offset = numbers;
  call->args.kv_offset = numbers + batch;
  call->args.q_lengths = numbers + 2 * batch;
  call->args.kv_lengths = numbers + 3 * batch;
  return 1;
}

static inline int64_t fovea_aot_ceil(int64_t length, int64_t tile) {
  return length / tile + (length % tile != 0);
}

/* Rows and columns of tiles, 0 where there are none to collect. */
static inline int fovea_aot_tile_counts(fovea_aot_call *call, int64_t multiple,
                                        int64_t *rows, int64_t *columns) {
  const fovea_aot_tiles *tiles = call->options ? call->options->tiles : NULL;
  const int64_t most_columns = ((int64_t)1 << 29) - 1;
  *rows = *columns = 0;
  if (!tiles)
    return 1;
  if (multiple == 0)
    return fovea_aot_fail(call, 1, "tiles",
                          "must be null, as the variant has a closed form");
  if (tiles->query_tile < 1 || tiles->query_tile % multiple != 0)
    return fovea_aot_number(call, "tiles", "query_tile must be a multiple of",
                            multiple, tiles->query_tile);
  if (tiles->key_tile < 1)
    return fovea_aot_number(call, "tiles", "key_tile must be at least", 1,
                            tiles->key_tile);
  if (tiles->batches != 1 && tiles->batches != call->args.batch)
    return fovea_aot_number(call, "tiles", "batches must be 1 or",
                            call->args.batch, tiles->batches);
  if (tiles->heads != 1 && tiles->heads != call->args.query_heads)
    return fovea_aot_number(call, "tiles", "heads must be 1 or",
                            call->args.query_heads, tiles->heads);
  *columns = fovea_aot_ceil(call->args.kv_length, tiles->key_tile);
  *rows = fovea_aot_ceil(call->args.query_length, tiles->query_tile) *
          tiles->batches * tiles->heads;
  if (*columns > most_columns)
    return fovea_aot_number(call, "tiles", "key tiles must be at most",
                            most_columns, *columns);
  if (*rows > ((int64_t)1 << 56) / (*columns + 1))
    return fovea_aot_number(call, "tiles", "rows of tiles must be at most",
                            ((int64_t)1 << 56) / (*columns + 1), *rows);
  if (!tiles->classes && *rows != 0 && *columns != 0)
    return fovea_aot_fail(call, 1, "tiles", "classes must not be null");
  return 1;
}

/* Where runs begin, and the runs, at most one a tile. */
static inline size_t fovea_aot_tile_bytes(int64_t rows, int64_t columns) {
  return fovea_aot_round((rows + 1) * 8) + fovea_aot_round(rows * columns * 4);
}

/* Joins equal tiles of a row, as kernels read them. */
static inline int fovea_aot_collect(fovea_aot_call *call, int64_t rows,
                                    int64_t columns, char *memory) {
  const fovea_aot_tiles *tiles = call->options ? call->options->tiles : NULL;
  fovea_cpu_tile_runs *found = &call->tile_runs;
  int64_t *offsets = (int64_t *)(void *)memory, row, column, count = 0;
  int32_t *runs = (int32_t *)(void *)(memory + fovea_aot_round((rows + 1) * 8));
  if (!tiles)
    return 1;
  for (row = 0; row < rows; ++row) {
    const int8_t *classes = tiles->classes + row * columns;
    offsets[row] = count;
    for (column = 0; column < columns; ++column) {
      int32_t kind = classes[column];
      if (kind < 0 || kind > 2)
        return fovea_aot_number(call, "tiles", "classes must lie within 0 and",
                                2, kind);
      if (column > 0 && classes[column - 1] == kind)
        --count;
      runs[count++] = (int32_t)(column + 1) * 4 + kind;
    }
  }
  offsets[rows] = count;
  found->offsets = offsets;
  found->runs = runs;
  row = fovea_aot_ceil(call->args.query_length, tiles->query_tile);
  found->strides[0] = tiles->batches == 1 ? 0 : tiles->heads * row;
  found->strides[1] = tiles->heads == 1 ? 0 : row;
  found->query_tile = tiles->query_tile;
  found->key_tile = tiles->key_tile;
  call->args.tile_runs = found;
  return 1;
}

/* Asks Linux for the state of AMX tiles, which a process has to before its
   first tile (arch_prctl, request permission, tile data). */
static inline int fovea_aot_may_use_tiles(void) {
#if defined(__linux__) && defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(158L), "D"(0x1023L), "S"(18L)
                   : "rcx", "r11", "memory");
  return result == 0;
#else
  return 0;
#endif
}

/* The form for few queries that a call takes, or null: by the shape and the
   layout alone, so that results do not depend on anything else. */
static inline const fovea_aot_kernel *
fovea_aot_takes_few(const fovea_aot_call *call, const fovea_aot_forms *forms) {
  int64_t limit = forms->few_rows, rows = call->args.query_length;
  int64_t heads = call->args.query_heads / call->args.kv_heads;
  const int64_t *strides = call->args.keys[0].strides;
  if (call->options && call->options->tiles)
    return NULL;
  if (limit < 1 || rows > limit ||
      rows * (heads <= limit ? heads : limit + 1) > limit)
    return NULL;
  return fovea_cpu_takes_one_row(forms->one_row, rows * heads,
                                 call->args.kv_heads, strides[1], strides[2], 0)
             ? &forms->one
             : &forms->few;
}

/* How many neighbours are one item: all of a tile, or an equal share where
   threads would take few turns each. */
static inline int64_t fovea_aot_neighbours(int64_t count, int64_t tile,
                                           int64_t workers) {
  int64_t neighbours = tile;
  if (workers > 1)
    while (neighbours > 1 &&
           (tile % neighbours != 0 || count / neighbours / 4 < workers))
      --neighbours;
  return neighbours;
}

/* The plan of a kernel reads sizes only. */
static inline void fovea_aot_plan(const fovea_aot_call *call,
                                  const fovea_aot_kernel *kernel,
                                  fovea_aot_needs *needs) {
  fovea_cpu_plan plan = {0, 0, 0, 0};
  int64_t count = kernel->plan(&call->args, &plan);
  fovea_cpu_plan *most = &needs->bytes;
  most->tile_items = fovea_aot_neighbours(
      count, fovea_aot_most(plan.tile_items, 1), fovea_aot_workers(call));
  count /= most->tile_items;
  needs->items = fovea_aot_most(needs->items, count);
  most->scratch_bytes = fovea_aot_most(most->scratch_bytes, plan.scratch_bytes);
  most->workspace_bytes =
      fovea_aot_most(most->workspace_bytes, plan.workspace_bytes);
  most->cleared_bytes = fovea_aot_most(most->cleared_bytes, plan.cleared_bytes);
}

static inline void fovea_aot_passes(fovea_aot_call *call,
                                    const fovea_aot_forms *forms) {
  fovea_aot_needs first = {0, {0, 0, 0, 0}}, again = {0, {0, 0, 0, 0}};
  const fovea_aot_kernel *few = fovea_aot_takes_few(call, forms);
  int any = 0;
  int64_t i;
  call->kernel = few ? *few : forms->fast;
  fovea_aot_plan(call, &call->kernel, &first);
  if (first.bytes.cleared_bytes > 0)
    memset(call->args.workspace, 0, (size_t)first.bytes.cleared_bytes);
  call->set_flags = 1;
  fovea_aot_items(call, &first);
  for (i = 0; i < first.items; ++i)
    any |= call->flags[i];
  if (!any)
    return;
  /* Items that met non-finite values, again and exactly; all of them where the
     two forms cut the work in different ways. */
  call->kernel = forms->exact;
  fovea_aot_plan(call, &call->kernel, &again);
  call->set_flags = 0;
  call->only_flagged = !few && first.items == again.items;
  fovea_aot_items(call, &again);
}

/* Workspace: offsets and lengths, runs of tiles, a flag an item, what the
   items share, scratch of each worker. */
static inline int fovea_aot_run(fovea_aot_call *call,
                                const fovea_aot_forms *forms,
                                const char *versions, int64_t tile_multiple,
                                void *workspace, size_t *workspace_bytes) {
  int64_t workers = fovea_aot_workers(call), tile_rows, tile_columns;
  fovea_aot_needs needs = {0, {0, 0, 0, 0}};
  size_t number_bytes = fovea_aot_round(4 * 8 * call->args.batch), needed,
         tile_bytes, shared_bytes;
  int wide, narrow;
  char *memory = (char *)(((uintptr_t)workspace + 63) / 64 * 64);
  if (!forms) {
    fovea_aot_fail(call, 8, "no version runs on this processor", versions);
    return call->status;
  }
  if (!workspace_bytes) {
    fovea_aot_fail(call, 1, "workspace_bytes", "must not be null");
    return call->status;
  }
  if (!fovea_aot_tile_counts(call, tile_multiple, &tile_rows, &tile_columns) ||
      !fovea_aot_longest(call))
    return call->status;
  tile_bytes = fovea_aot_tile_bytes(tile_rows, tile_columns);
  for (wide = 0; wide < 2; ++wide) {
    const fovea_aot_kernel *few = fovea_aot_takes_few(call, &forms[wide]);
    if (few && !fovea_aot_parts(call))
      return call->status;
    fovea_aot_plan(call, few ? few : &forms[wide].fast, &needs);
    fovea_aot_plan(call, &forms[wide].exact, &needs);
  }
  call->scratch_bytes = (int64_t)fovea_aot_round(needs.bytes.scratch_bytes);
  shared_bytes = fovea_aot_round(needs.bytes.workspace_bytes);
  if (call->scratch_bytes > 0 &&
      workers > ((int64_t)1 << 60) / call->scratch_bytes) {
    fovea_aot_number(call, "workers", "number must be at most",
                     ((int64_t)1 << 60) / call->scratch_bytes, workers);
    return call->status;
  }
  needed = 64 + number_bytes + tile_bytes + fovea_aot_round(needs.items) +
           shared_bytes + (size_t)workers * (size_t)call->scratch_bytes;
  if (!workspace) {
    *workspace_bytes = needed;
    return 0;
  }
  if (*workspace_bytes < needed) {
    fovea_aot_number(call, "workspace", "bytes must be at least",
                     (int64_t)needed, (int64_t)*workspace_bytes);
    return call->status;
  }
  if (!fovea_aot_positions(call, (int64_t *)(void *)memory, &narrow))
    return call->status;
  memory += number_bytes;
  if (!fovea_aot_collect(call, tile_rows, tile_columns, memory))
    return call->status;
  memory += tile_bytes;
  call->flags = (unsigned char *)memory;
  memory += fovea_aot_round(needs.items);
  call->args.workspace = memory;
  call->scratch = memory + shared_bytes;
  fovea_aot_passes(call, &forms[narrow ? 0 : 1]);
  return 0;
}

#endif /* FOVEA_AOT_COMMON */

#ifdef __cplusplus
}
#endif
