/*===- fovea.h - The C interface of Fovea ------------------------------------//
 *
 * Rules: every struct starts with its own size (`struct_size =
 * sizeof(the_struct)`), so that later versions can grow it. Every function
 * returns a status and fills the caller's message where it fails; nothing
 * throws, aborts or exits across this boundary. All functions may be called
 * from several threads at once. Sizes and strides are 64-bit; strides count
 * elements and may be zero or negative; no tensor is copied.
 *
 *===----------------------------------------------------------------------===*/
#ifndef FOVEA_C_FOVEA_H
#define FOVEA_C_FOVEA_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define FOVEA_API
#else
#define FOVEA_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fovea_status {
  FOVEA_OK = 0,
  FOVEA_INVALID_ARGUMENT = 1, /* a wrong kind or value: Python's ValueError */
  FOVEA_TYPE_ERROR = 2,       /* Python's TypeError */
  FOVEA_PARSE_ERROR = 3,      /* message: file:line:col: error: ... */
  FOVEA_COMPILE_ERROR = 4,    /* a defect of ours or a missing tool */
  FOVEA_INDEX_ERROR = 5,      /* a constant index that a capture does not have;
                                 of the interpreter any bad one */
  FOVEA_OUT_OF_MEMORY = 6,
  FOVEA_CANCELLED = 7, /* should_cancel returned non-zero */
  FOVEA_UNSUPPORTED = 8,
  FOVEA_IO_ERROR = 9
} fovea_status;

/* Filled on failure; always NUL-terminated, cut to fit. May be null. */
typedef struct fovea_message {
  size_t struct_size;
  char text[4096];
} fovea_message;

/* A text or byte string owned by the library; fovea_string_free releases it.
 * `data` is NUL-terminated behind its `size` bytes. */
typedef struct fovea_string {
  size_t struct_size;
  const char *data;
  size_t size;
} fovea_string;
FOVEA_API void fovea_string_free(fovea_string *string);

typedef enum fovea_dtype {
  FOVEA_I1 = 0, /* one byte an element */
  FOVEA_I8,
  FOVEA_UI8,
  FOVEA_I16,
  FOVEA_UI16,
  FOVEA_I32,
  FOVEA_UI32,
  FOVEA_I64,
  FOVEA_F16,
  FOVEA_BF16,
  FOVEA_F32,
  FOVEA_F64
} fovea_dtype;

typedef enum fovea_device {
  FOVEA_CPU = 1,
  FOVEA_CUDA = 2,
  FOVEA_HIP = 10
} fovea_device;

/* A strided array: element (i, j, ...) lies i * strides[0] + j * strides[1] +
 * ... elements behind `data`, which is aligned to an element. It is read, or
 * written, in place and only during the call that it is given to; on a GPU
 * until the stream has come past that call. */
typedef struct fovea_tensor {
  size_t struct_size;
  void *data;
  int32_t dtype; /* fovea_dtype */
  int32_t rank;
  const int64_t *sizes;
  const int64_t *strides;
  int32_t device_type; /* fovea_device */
  int32_t device_id;   /* of FOVEA_CUDA; in host memory it is not looked at */
} fovea_tensor;

/* ---- Compiling -------------------------------------------------------- */

typedef enum fovea_source_kind {
  FOVEA_SOURCE_PROGRAM = 0, /* Program JSON (docs/architecture.md) */
  FOVEA_SOURCE_ATTN = 1,    /* .attn text */
  FOVEA_SOURCE_MLIR = 2     /* MLIR text or bytecode holding one variant */
} fovea_source_kind;

typedef struct fovea_kernel fovea_kernel;

typedef struct fovea_compile_options {
  size_t struct_size;
  int32_t source_kind; /* fovea_source_kind */
  const char *source;
  size_t source_size;
  const char *source_name; /* for diagnostics; may be null */
  const char *variant;     /* which variant of a .attn file; null: the only */
  const char *dtype;       /* "f32" ...; null: as the source says */
  int64_t head_dim;        /* 0: as the source says; MLIR says it */
  int64_t value_dim;       /* -1: as the source says or head_dim */
  const char *target;      /* "cpu" (null), "interpreter", "x86-64-v3",
                              "cuda", "sm_90a", ... */
  const char *schedule;    /* "m=192,n=256"; null: the cost model's, whatever
                              FOVEA_TUNING, which is Python's, says */
  int32_t want_lse;        /* -1: as the source says */
  int32_t want_block_mask; /* -1: as the source says */
  const char *const *defines; /* "W=64": compile-time parameters */
  size_t num_defines;
} fovea_compile_options;

typedef enum fovea_compile_origin {
  FOVEA_COMPILED = 0,
  FOVEA_FROM_MEMORY = 1,
  FOVEA_FROM_DISK = 2
} fovea_compile_origin;

typedef struct fovea_compile_result {
  size_t struct_size;
  int32_t origin; /* fovea_compile_origin */
  double milliseconds;
} fovea_compile_result;

/* Kernels are reference counted and shared: compiling the same thing twice,
 * also from two threads at once, gives the same kernel, under two handles. A
 * handle may be freed while another thread uses it; one that was freed, or
 * never given, is refused. result may be null. */
FOVEA_API fovea_status fovea_compile(const fovea_compile_options *options,
                                     fovea_kernel **kernel,
                                     fovea_compile_result *result,
                                     fovea_message *message);
FOVEA_API void fovea_kernel_free(fovea_kernel *kernel);

/* level: "program", "attn", "online", "target", "llvm", "asm". */
FOVEA_API fovea_status fovea_kernel_ir(fovea_kernel *kernel, const char *level,
                                       fovea_string *text,
                                       fovea_message *message);
/* JSON: name, dtype, D, E, captures, target, schedule, symbol, ... */
FOVEA_API fovea_status fovea_kernel_info(fovea_kernel *kernel,
                                         fovea_string *json,
                                         fovea_message *message);
/* The relocatable object of the kernel, for ahead-of-time use; of a GPU kernel
 * the cubin, which "manifest" in fovea_kernel_info says how to launch. */
FOVEA_API fovea_status fovea_kernel_object(fovea_kernel *kernel,
                                           fovea_string *object,
                                           fovea_message *message);

/* ---- Running ---------------------------------------------------------- */

/* A block mask as runs of equal tiles, as fovea_mask_find_runs gives them: a
 * run is 4 * end + class; the runs of row r of tiles, of all batches and heads
 * in order, are runs[offsets[r]] to runs[offsets[r + 1] - 1] and end at
 * key_tiles. */
typedef struct fovea_block_runs {
  size_t struct_size;
  int64_t batch, heads; /* B or 1, Hq or 1 */
  int64_t query_tiles, key_tiles;
  const int64_t *offsets; /* batch * heads * query_tiles + 1 */
  const int32_t *runs;
  int64_t num_runs;
} fovea_block_runs;

typedef struct fovea_launch {
  size_t struct_size;
  const fovea_tensor *queries; /* [B,Hq,M,D], one per pair */
  const fovea_tensor *keys;    /* [B or 1,Hk,N,D], one per pair */
  size_t num_pairs;
  const fovea_tensor *value;    /* [B or 1,Hk,N,E] */
  const fovea_tensor *out;      /* [B,Hq,M,E] */
  const fovea_tensor *lse;      /* [B,Hq,M], score type; may be null */
  const fovea_tensor *captures; /* all of the Program, in its order, with their
                                   dtypes, ranks and declared sizes */
  size_t num_captures;
  const double *scales;              /* one per pair, finite in the score type,
                                        always given: 1 / sqrt(D) too */
  const int64_t *q_offset;           /* [B] or null (zeros) */
  const int64_t *kv_offset;          /* [B] or null (zeros) */
  const int64_t *q_lengths;          /* [B] or null (M) */
  const int64_t *kv_lengths;         /* [B] or null (N) */
  const fovea_tensor *block_classes; /* int8 [B or 1,H or 1,Qb,KVb] or null */
  int64_t block_q, block_kv;         /* tile size of the block mask */
  /* Pages, or null: int32 or int64 [B, pages a sequence]. Keys are then
   * [pages,Hk,length,D] and value [pages,Hk,length,E], with one length of a
   * page, and key n of batch b is row n % length of page page_table[b, n /
   * length]; N = pages a sequence times length. Entries beyond kv_lengths are
   * not read. */
  const fovea_tensor *page_table;
  void *stream; /* CUstream of GPU targets, which do not
                   wait for it; null on the CPU */
  /* Asked on the calling thread, at least every 50 ms while the CPU computes;
   * non-zero stops the launch, which then returns FOVEA_CANCELLED with results
   * that mean nothing. May be null. */
  int (*should_cancel)(void *context);
  void *cancel_context;
  const fovea_block_runs *block_runs; /* in place of block_classes, on the CPU;
                                         may be null */
} fovea_launch;

/* Everything is checked before anything is written; the text of an error is
 * "argument: rule, got value". out and lse must not overlap what is read. On
 * the CPU the results are there when it returns, on a GPU the launch is on its
 * way. A form of the kernel that no call has needed before is compiled first.
 */
FOVEA_API fovea_status fovea_kernel_launch(fovea_kernel *kernel,
                                           const fovea_launch *launch,
                                           fovea_message *message);
/* How many bytes beside the tensors such a launch takes, which the library
 * allocates itself: of all threads on the CPU, of the stream on a GPU; 0 for
 * the interpreter. Nothing is computed. */
FOVEA_API fovea_status fovea_kernel_workspace(fovea_kernel *kernel,
                                              const fovea_launch *launch,
                                              size_t *bytes,
                                              fovea_message *message);

/* ---- Masks ------------------------------------------------------------ */

typedef struct fovea_mask_query {
  size_t struct_size;
  /* Program JSON. Where it has no mask its score is one: a position is visible
   * where the modified score is not -inf at a dot product of 0. */
  const char *program;
  size_t program_size;
  const fovea_tensor *captures;
  size_t num_captures;
  int64_t batch, heads, q_length, kv_length;
  int64_t q_offset, kv_offset;
  int64_t block_q, block_kv;
  int (*should_cancel)(void *context);
  void *cancel_context;
  int32_t approximate; /* 1: tiles that the analysis leaves open are partial;
                          0: their points are evaluated, classes are exact */
} fovea_mask_query;

/* classes: int8 [batch, heads, ceil(q/block_q), ceil(kv/block_kv)], contiguous:
 * 0 empty, 1 partial, 2 full. Positions past a length count as masked. O(tile)
 * memory beside the result; runs on all threads. */
FOVEA_API fovea_status fovea_mask_classes(const fovea_mask_query *query,
                                          int8_t *classes,
                                          fovea_message *message);
/* How many tiles there are of each class, and what decided them. */
typedef struct fovea_mask_statistics {
  size_t struct_size;
  int64_t full, partial, empty; /* over all batches and heads */
  /* Single tiles that bounds left open, each distinct one counted once, by what
   * decided them: two points that differ, integer polyhedra, all points; or
   * nothing (approximate). */
  int64_t by_points, by_polyhedra, by_evaluation, undecided;
  int64_t rectangles; /* whose bounds were taken */
} fovea_mask_statistics;
/* The counts, without a list, of at most 2^40 tiles over B and H. */
FOVEA_API fovea_status fovea_mask_counts(const fovea_mask_query *query,
                                         fovea_mask_statistics *statistics,
                                         fovea_message *message);

/* Classes as runs of equal tiles. A run is 4 * end + class, where end is one
 * past its last key tile; the runs of row r of tiles (rows of all batches and
 * heads in order, or of one where all are alike) are runs[offsets[r]] to
 * runs[offsets[r + 1] - 1], and cover the row. fovea_mask_runs_free releases
 * them. */
typedef struct fovea_mask_runs {
  size_t struct_size;
  int64_t rows, key_tiles;
  int32_t shared;         /* one batch and head stand for all */
  const int64_t *offsets; /* rows + 1 */
  const int32_t *runs;
  int64_t num_runs;
  fovea_mask_statistics statistics;
  void *owner;
} fovea_mask_runs;
FOVEA_API fovea_status fovea_mask_find_runs(const fovea_mask_query *query,
                                            fovea_mask_runs *runs,
                                            fovea_message *message);
FOVEA_API void fovea_mask_runs_free(fovea_mask_runs *runs);

/* JSON of one batch and head: {"method": "everything" | "intervals" |
 * "polyhedra" | "bounds" | "table", "keys": ["kv <= q", ...]}; keys are there
 * for the first three. Block sizes do not matter. */
FOVEA_API fovea_status fovea_mask_describe(const fovea_mask_query *query,
                                           int64_t batch, int64_t head,
                                           fovea_string *json,
                                           fovea_message *message);
/* dense: bytes 0/1 [batch, heads, q, kv], contiguous; block sizes do not
 * matter.
 */
FOVEA_API fovea_status fovea_mask_dense(const fovea_mask_query *query,
                                        uint8_t *dense, fovea_message *message);

/* ---- .attn files ------------------------------------------------------ */

/* JSON array of Programs (dtype and dims left out), one per variant. Level-1
 * MLIR, text or bytecode, counts as the .attn file that says the same. Warnings
 * are left in the message of a call that succeeds. */
FOVEA_API fovea_status fovea_parse_attn(
    const char *text, size_t size, const char *name, const char *const *defines,
    size_t num_defines, fovea_string *programs_json, fovea_message *message);

/* ---- The process ------------------------------------------------------ */

/* 0 = FOVEA_NUM_THREADS, else affinity and cgroup quota. */
FOVEA_API fovea_status fovea_set_num_threads(int32_t threads,
                                             fovea_message *message);
FOVEA_API int32_t fovea_num_threads(void);

typedef struct fovea_cache_stats {
  size_t struct_size;
  int64_t compiles, memory_hits, disk_hits, entries;
} fovea_cache_stats;
FOVEA_API fovea_status fovea_cache_info(fovea_cache_stats *stats,
                                        fovea_message *message);
/* Forgets kernels in memory that nobody holds and the counters; on_disk also
 * removes the disk entries. */
FOVEA_API fovea_status fovea_clear_cache(int32_t on_disk,
                                         fovea_message *message);
/* What of the environment cannot be used, as JSON {cache_note, threads_note};
 * cheap, unlike fovea_config, which asks the GPU driver. */
FOVEA_API fovea_status fovea_environment_notes(fovea_string *json,
                                               fovea_message *message);
/* A folder of Python packages in which ptxas is looked for, beside those of the
 * environments on PATH. */
FOVEA_API fovea_status fovea_add_site_packages(const char *folder,
                                               fovea_message *message);
/* JSON: version, llvm, build_id, cpu, cpu_features, targets, threads, gpus
 * (with gpus_note where there is none), ptxas, cache_dir (null where the disk
 * cache is off, with cache_note). */
FOVEA_API fovea_status fovea_config(fovea_string *json, fovea_message *message);

#ifdef __cplusplus
}
#endif

#endif /* FOVEA_C_FOVEA_H */
