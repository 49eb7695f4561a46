/*===- KernelABI.h - Between generated CPU code and its drivers -----------===//
 *
 * Plain C: this file is read by the runtime, by the code generator (which takes
 * the field offsets from it) and is a part of the headers that foveac writes.
 * All strides count elements, not bytes, and may be zero or negative.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FOVEA_TARGET_CPU_KERNELABI_H
#define FOVEA_TARGET_CPU_KERNELABI_H

#include <stdint.h>

/* Strides in the order (batch, head, row, column). */
typedef struct fovea_cpu_tensor {
  void *data;
  int64_t strides[4];
} fovea_cpu_tensor;

/* Sizes and strides have one entry per dimension of the capture. */
typedef struct fovea_cpu_capture {
  const void *data;
  const int64_t *sizes;
  const int64_t *strides;
} fovea_cpu_capture;

/* Classes of tiles of query_tile x key_tile positions as runs of equal tiles: a
 * run is 4 * end + class, end one past its last key tile, class 0 empty,
 * 1 partial, 2 full. The runs of query tile t are runs[offsets[r]] to
 * runs[offsets[r + 1] - 1], where r = batch * strides[0] + head * strides[1] +
 * t; keys after the last run are not visible. */
typedef struct fovea_cpu_tile_runs {
  const int64_t *offsets;
  const int32_t *runs;
  int64_t strides[2];
  int64_t query_tile, key_tile;
} fovea_cpu_tile_runs;

typedef struct fovea_cpu_args {
  int64_t batch, query_heads, kv_heads, query_length, kv_length;
  const fovea_cpu_tensor *queries; /* one per (query, key) pair */
  const fovea_cpu_tensor *keys;    /* one per (query, key) pair; batch stride 0
                                      where k has one batch */
  const double *scales;            /* one per (query, key) pair */
  fovea_cpu_tensor value;
  fovea_cpu_tensor out;
  fovea_cpu_tensor lse; /* data null: not wanted; strides[3] unused */
  const fovea_cpu_capture *captures;     /* in the order of the Program */
  const int64_t *q_offset, *kv_offset;   /* [batch] */
  const int64_t *q_lengths, *kv_lengths; /* [batch], within 0..length */
  int64_t longest_kv_length; /* kv_length, or the largest of kv_lengths */
  /* Of a block mask; or, where the kernel scans its keys, what is known of its
   * mask in this call, with the kernel's query tile: null, if nothing is. */
  const fovea_cpu_tile_runs *tile_runs;
  /* Pages: keys and value have a page in place of the batch, and positions in
   * it as rows; key n of batch b is row n % page_length of page
   * page_table[b * page_table_stride + n / page_length]. Null without pages. */
  const int64_t *page_table;
  int64_t page_table_stride, page_length;
  void *workspace; /* shared by all items of a call; null where none is asked
                      for */
  /* Null, or not zero once the call is over: items then leave out keys, and
   * results are not looked at. */
  const int32_t *cancelled;
} fovea_cpu_args;

/* What a call needs: scratch of each concurrent call of the run function, and
 * one workspace, whose first bytes are zero when the first item starts. Both
 * 64-byte aligned. Kernels store what they need, callers clear the rest. */
typedef struct fovea_cpu_plan {
  int64_t scratch_bytes, workspace_bytes, cleared_bytes;
  /* So many neighbours, from a multiple of their number on, are computed faster
   * together than each by itself: they read the same keys, or what lies
   * together in memory. Results are the same. 0 counts as 1. */
  int64_t tile_items;
} fovea_cpu_plan;

/* Items are (batch, head, rows of queries), the last varying fastest, and
 * running backwards in kernels that read no tile_runs; of the form for few
 * queries (batch, key head, tile, part of the keys), or with key heads last
 * where those are neighbours. A query tile of a block mask is cut into tiles of
 * rows.
 *
 * Returns the number of work items. Reads the sizes and strides of the
 * arguments only. */
typedef int64_t (*fovea_cpu_plan_fn)(const fovea_cpu_args *args,
                                     fovea_cpu_plan *plan);

/* Computes items [first, last); next is an item of the call, best the one that
 * this thread will compute then: its operands are fetched meanwhile. Returns
 * how many items produced a non-finite value (always 0 for kernels compiled as
 * exact). */
typedef int64_t (*fovea_cpu_run_fn)(const fovea_cpu_args *args, int64_t first,
                                    int64_t last, int64_t next, void *scratch);

/* Which calls take the form for one row: none, those whose items read several
 * heads at once, all. */
typedef enum fovea_cpu_one_row {
  FOVEA_CPU_ONE_ROW_NONE,
  FOVEA_CPU_ONE_ROW_OF_HEADS,
  FOVEA_CPU_ONE_ROW_ALL
} fovea_cpu_one_row;

/* Whether a call of so many rows a key head (queries times heads a key head)
 * takes it. Of keys: the strides of heads and tokens, and whether they are in
 * pages. */
static inline int fovea_cpu_takes_one_row(fovea_cpu_one_row which, int64_t rows,
                                          int64_t kv_heads, int64_t head,
                                          int64_t token, int paged) {
  if (rows != 1 || which != FOVEA_CPU_ONE_ROW_OF_HEADS)
    return rows == 1 && which == FOVEA_CPU_ONE_ROW_ALL;
  if (head < 0)
    head = -head;
  if (token < 0)
    token = -token;
  return kv_heads > 1 && (paged || (head != 0 && head < token));
}

#endif /* FOVEA_TARGET_CPU_KERNELABI_H */
