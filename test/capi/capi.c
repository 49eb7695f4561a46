/*===- capi.c - The C interface, used from C
 * ---------------------------------===//
 *
 * Every function with null and wrong arguments, masks, a compiled kernel
 * against a plain computation, two threads, and what happens between processes.
 *
 *===----------------------------------------------------------------------===*/
#include "fovea-c/fovea.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capi_test {
  const char *name;
  int (*run)(void);
};
extern const struct capi_test capi_tests[];
extern char capi_failure[512];
char capi_failure[512];

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      snprintf(capi_failure, sizeof capi_failure, "%s; last message: %.300s",  \
               #condition, message.text);                                      \
      return __LINE__;                                                         \
    }                                                                          \
  } while (0)
#define SAYS(words) (strstr(message.text, (words)) != NULL)

static fovea_message make_message(void) {
  fovea_message message = {0};
  message.struct_size = sizeof message;
  return message;
}

static const char causal[] = "{\"D\":[16],\"E\":16,\"block_mask\":false,"
                             "\"captures\":[],\"dtype\":\"f32\","
                             "\"fovea\":1,\"mask\":{\"args\":[\"b\",\"h\","
                             "\"q\",\"kv\"],\"nodes\":[[\"arg\","
                             "\"q\"],[\"arg\",\"kv\"],[\"ige\",0,1]],"
                             "\"results\":[2]},\"name\":\"causal\","
                             "\"normalizer\":\"softmax\",\"params\":[],"
                             "\"return_lse\":true,\"scale\":null,"
                             "\"score\":null}";

static fovea_compile_options make_options(void) {
  fovea_compile_options options = {0};
  options.struct_size = sizeof options;
  options.source_kind = FOVEA_SOURCE_PROGRAM;
  options.source = causal;
  options.source_size = sizeof causal - 1;
  options.value_dim = -1;
  options.want_lse = -1;
  options.want_block_mask = -1;
  return options;
}

/*===-- Null and wrong arguments ------------------------------------------===*/

static int test_null_arguments(void) {
  fovea_message message = make_message();
  fovea_kernel *kernel = NULL;
  fovea_compile_options options = make_options();
  fovea_string string = {0};
  string.struct_size = sizeof string;

  CHECK(fovea_compile(NULL, &kernel, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("options: must not be null"));
  CHECK(fovea_compile(&options, NULL, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("kernel: must not be null"));
  options.source = NULL;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("source: must not be null") && kernel == NULL);
  options = make_options();
  options.num_defines = 1;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("defines: must not be null"));
  CHECK(fovea_kernel_ir(NULL, "attn", &string, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_kernel_info(NULL, &string, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_kernel_object(NULL, &string, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_kernel_launch(NULL, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_kernel_workspace(NULL, NULL, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_classes(NULL, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_dense(NULL, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_counts(NULL, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_find_runs(NULL, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_describe(NULL, 0, 0, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  fovea_mask_runs_free(NULL);
  CHECK(fovea_parse_attn(NULL, 0, NULL, NULL, 0, &string, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("text: must not be null"));
  CHECK(fovea_parse_attn("", 0, NULL, NULL, 0, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_cache_info(NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_config(NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_set_num_threads(-1, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("threads: must lie within 0 and "));
  CHECK(fovea_set_num_threads(1 << 20, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS(", got 1048576"));
  CHECK(fovea_add_site_packages(NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("folder: must not be null"));
  /* Nothing to say it to. */
  CHECK(fovea_compile(NULL, NULL, NULL, NULL) == FOVEA_INVALID_ARGUMENT);
  fovea_kernel_free(NULL);
  fovea_string_free(NULL);
  return 0;
}

static int test_struct_sizes(void) {
  fovea_message message = make_message();
  fovea_kernel *kernel = NULL;
  fovea_compile_options options = make_options();
  fovea_compile_result result = {0};
  fovea_string string = {0};
  fovea_cache_stats stats = {0};
  fovea_mask_query query = {0};

  options.struct_size = sizeof options - 8;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("options: struct_size must be"));
  options = make_options();
  CHECK(fovea_compile(&options, &kernel, &result, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("result: struct_size must be"));
  CHECK(fovea_config(&string, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_cache_info(&stats, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_mask_dense(&query, NULL, &message) == FOVEA_INVALID_ARGUMENT);

  /* A message smaller than ours is filled as far as it goes. */
  message.struct_size = sizeof(size_t) + 8;
  memset(message.text, 'x', sizeof message.text - 1);
  message.text[sizeof message.text - 1] = 0;
  CHECK(fovea_config(NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(strlen(message.text) == 7 && message.text[8] == 'x');
  message.struct_size = 0;
  message.text[0] = 'y';
  CHECK(fovea_config(NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(message.text[0] == 'y');
  return 0;
}

static int test_wrong_options(void) {
  fovea_message message = make_message();
  fovea_kernel *kernel = NULL;
  fovea_compile_options options = make_options();
  const char *defines[] = {"W=64", "W=65"};

#define REFUSED(status, words)                                                 \
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == (status));         \
  CHECK(SAYS(words) && kernel == NULL);                                        \
  options = make_options()

  options.source_kind = 7;
  REFUSED(FOVEA_INVALID_ARGUMENT, "source_kind: must be 0, 1 or 2, got 7");
  options.source = "{";
  options.source_size = 1;
  REFUSED(FOVEA_PARSE_ERROR, "JSON");
  options.target = "x86-64-v9";
  REFUSED(FOVEA_INVALID_ARGUMENT, "unknown target 'x86-64-v9'; this machine");
  options.dtype = "i32";
  REFUSED(FOVEA_INVALID_ARGUMENT, "dtype: must be f16, bf16, f32 or f64");
  options.head_dim = 513;
  REFUSED(FOVEA_INVALID_ARGUMENT,
          "head_dim: must lie within 1 and 512, got 513");
  options.head_dim = -1;
  REFUSED(FOVEA_INVALID_ARGUMENT, "head_dim: must lie within");
  options.value_dim = 513;
  REFUSED(FOVEA_INVALID_ARGUMENT, "value_dim: must lie within 0 and 512");
  options.want_lse = 2;
  REFUSED(FOVEA_INVALID_ARGUMENT, "want_lse: must be -1, 0 or 1, got 2");
  options.defines = defines;
  options.num_defines = 1;
  REFUSED(FOVEA_INVALID_ARGUMENT, "defines: no compile-time parameter 'W'");
  options.defines = defines;
  options.num_defines = 2;
  REFUSED(FOVEA_INVALID_ARGUMENT, "defines: 'W' is given twice");
  options.source_kind = FOVEA_SOURCE_ATTN;
  options.source = "attention x { mask = ";
  options.source_size = strlen(options.source);
  options.source_name = "x.attn";
  REFUSED(FOVEA_PARSE_ERROR, "x.attn:1:");
  options.source_kind = FOVEA_SOURCE_ATTN;
  options.source = "";
  options.source_size = 0;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_PARSE_ERROR);
  CHECK(SAYS(":1:1: error: ") && strchr(message.text, '\n') == NULL);
#undef REFUSED
  return 0;
}

/*===-- Masks
 * --------------------------------------------------------------===*/

static int test_mask_analysis(void) {
  fovea_message message = make_message();
  fovea_mask_query query = {0};
  fovea_mask_statistics statistics = {0};
  fovea_mask_runs runs = {0};
  fovea_string json = {0};
  const int32_t expected[4] = {4 + 1, 8 + 0, 8 + 1, 0};

  query.struct_size = sizeof query;
  query.program = causal;
  query.program_size = sizeof causal - 1;
  query.batch = 2;
  query.heads = 3;
  query.q_length = 5;
  query.kv_length = 6;
  query.block_q = query.block_kv = 3;
  CHECK(fovea_mask_counts(&query, &statistics, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("statistics: struct_size must be"));
  statistics.struct_size = sizeof statistics;
  query.approximate = 9;
  CHECK(fovea_mask_counts(&query, &statistics, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("approximate: must be 0 or 1, got 9"));
  query.approximate = 0;
  CHECK(fovea_mask_counts(&query, &statistics, &message) == FOVEA_OK);
  CHECK(statistics.full == 0);
  CHECK(statistics.partial == 6 * 3);
  CHECK(statistics.empty == 6);
  query.q_length = (int64_t)1 << 56;
  CHECK(fovea_mask_counts(&query, &statistics, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("Q_LEN * KV_LEN: must be at most 2^40 tiles over B and H, got "
             "288230376151711752"));
  query.q_length = 5;
  CHECK(fovea_mask_find_runs(&query, &runs, &message) ==
        FOVEA_INVALID_ARGUMENT);
  runs.struct_size = sizeof runs;
  CHECK(fovea_mask_find_runs(&query, &runs, &message) == FOVEA_OK);
  CHECK(runs.rows == 2 && runs.key_tiles == 2 && runs.shared == 1);
  CHECK(runs.num_runs == 3 && runs.offsets[1] == 2 && runs.offsets[2] == 3);
  for (int i = 0; i < 3; ++i)
    CHECK(runs.runs[i] == expected[i]);
  CHECK(runs.statistics.partial == 6 * 3);
  fovea_mask_runs_free(&runs);
  CHECK(runs.owner == NULL && runs.runs == NULL);
  fovea_mask_runs_free(&runs);
  CHECK(fovea_mask_describe(&query, 0, 0, &json, &message) ==
        FOVEA_INVALID_ARGUMENT);
  json.struct_size = sizeof json;
  CHECK(fovea_mask_describe(&query, 2, 0, &json, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("batch: must be below B (2), got 2"));
  CHECK(fovea_mask_describe(&query, 1, -1, &json, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("head: must be below H (3), got -1"));
  CHECK(fovea_mask_describe(&query, 1, 2, &json, &message) == FOVEA_OK);
  CHECK(strcmp(json.data,
               "{\"keys\":[\"kv <= q\"],\"method\":\"intervals\"}") == 0);
  fovea_string_free(&json);
  query.block_kv = 1;
  query.kv_length = (int64_t)1 << 40;
  CHECK(fovea_mask_find_runs(&query, &runs, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("KV_LEN: must be fewer than"));
  return 0;
}

static int test_masks(void) {
  fovea_message message = make_message();
  fovea_mask_query query = {0};
  uint8_t dense[30];
  int8_t classes[4];
  const int8_t expected[4] = {1, 0, 1, 1};

  query.struct_size = sizeof query;
  query.program = causal;
  query.program_size = sizeof causal - 1;
  query.batch = query.heads = 1;
  query.q_length = 5;
  query.kv_length = 6;
  CHECK(fovea_mask_dense(&query, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("result: must not be null"));
  CHECK(fovea_mask_dense(&query, dense, &message) == FOVEA_OK);
  for (int i = 0; i < 30; ++i)
    CHECK(dense[i] == (i / 6 >= i % 6));
  CHECK(fovea_mask_classes(&query, classes, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("BLOCK_SIZE: must be at least 1, got 0"));
  query.block_q = query.block_kv = 3;
  CHECK(fovea_mask_classes(&query, classes, &message) == FOVEA_OK);
  for (int i = 0; i < 4; ++i)
    CHECK(classes[i] == expected[i]);
  query.batch = 0;
  CHECK(fovea_mask_classes(&query, classes, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("B: must be at least 1, got 0"));
  query.batch = query.heads = query.q_length = INT64_MAX / 4;
  CHECK(fovea_mask_dense(&query, dense, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("result: must have fewer than 2^63 entries, got (B, H, Q_LEN, "
             "KV_LEN) of (2305843009213693951, 2305843009213693951, "
             "2305843009213693951, 6)"));
  query.program = NULL;
  CHECK(fovea_mask_dense(&query, dense, &message) == FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("program: must not be null"));
  return 0;
}

/*===-- Kernels
 * ------------------------------------------------------------===*/

enum { H = 2, M = 37, N = 53, D = 16 };

struct problem {
  float q[H * M * D], k[H * N * D], v[H * N * D], out[H * M * D], lse[H * M];
  int64_t q_sizes[4], k_sizes[4], q_strides[4], k_strides[4];
  int64_t lse_sizes[3], lse_strides[3];
  fovea_tensor tensors[5]; /* q k v out lse */
  double scale;
  fovea_launch launch;
};

static void set_tensor(fovea_tensor *tensor, float *data, int32_t rank,
                       const int64_t *sizes, const int64_t *strides) {
  tensor->struct_size = sizeof *tensor;
  tensor->data = data;
  tensor->dtype = FOVEA_F32;
  tensor->rank = rank;
  tensor->sizes = sizes;
  tensor->strides = strides;
  tensor->device_type = FOVEA_CPU;
}

static struct problem *make_problem(void) {
  struct problem *p = calloc(1, sizeof *p);
  const int64_t q_sizes[4] = {1, H, M, D}, k_sizes[4] = {1, H, N, D};
  const int64_t q_strides[4] = {H * M * D, M * D, D, 1};
  const int64_t k_strides[4] = {H * N * D, N * D, D, 1};
  if (!p)
    return NULL;
  memcpy(p->q_sizes, q_sizes, sizeof q_sizes);
  memcpy(p->k_sizes, k_sizes, sizeof k_sizes);
  memcpy(p->q_strides, q_strides, sizeof q_strides);
  memcpy(p->k_strides, k_strides, sizeof k_strides);
  p->lse_sizes[0] = 1;
  p->lse_sizes[1] = H;
  p->lse_sizes[2] = M;
  p->lse_strides[0] = H * M;
  p->lse_strides[1] = M;
  p->lse_strides[2] = 1;
  for (int i = 0; i < H * M * D; ++i)
    p->q[i] = (float)((i % 101 * 7919) % 101) / 50 - 1;
  for (int i = 0; i < H * N * D; ++i) {
    p->k[i] = (float)((i % 97 * 104729) % 97) / 48 - 1;
    p->v[i] = (float)((i % 89 * 1299709) % 89) / 44 - 1;
  }
  set_tensor(&p->tensors[0], p->q, 4, p->q_sizes, p->q_strides);
  set_tensor(&p->tensors[1], p->k, 4, p->k_sizes, p->k_strides);
  set_tensor(&p->tensors[2], p->v, 4, p->k_sizes, p->k_strides);
  set_tensor(&p->tensors[3], p->out, 4, p->q_sizes, p->q_strides);
  set_tensor(&p->tensors[4], p->lse, 3, p->lse_sizes, p->lse_strides);
  p->scale = 0.25;
  p->launch.struct_size = sizeof p->launch;
  p->launch.queries = &p->tensors[0];
  p->launch.keys = &p->tensors[1];
  p->launch.num_pairs = 1;
  p->launch.value = &p->tensors[2];
  p->launch.out = &p->tensors[3];
  p->launch.lse = &p->tensors[4];
  p->launch.scales = &p->scale;
  return p;
}

/* The largest difference from causal attention computed in double. */
static double largest_error(const struct problem *p) {
  double worst = 0;
  for (int h = 0; h < H; ++h)
    for (int m = 0; m < M; ++m) {
      double sum = 0, out[D] = {0};
      for (int n = 0; n <= m && n < N; ++n) {
        double s = 0, w;
        for (int d = 0; d < D; ++d)
          s += (double)p->q[(h * M + m) * D + d] * p->k[(h * N + n) * D + d];
        w = exp(0.25 * s);
        sum += w;
        for (int d = 0; d < D; ++d)
          out[d] += w * p->v[(h * N + n) * D + d];
      }
      for (int d = 0; d < D; ++d)
        worst = fmax(worst, fabs(out[d] / sum - p->out[(h * M + m) * D + d]));
      worst = fmax(worst, fabs(log(sum) - p->lse[h * M + m]));
    }
  return worst;
}

static int run_target(const char *target) {
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_compile_result result = {0};
  fovea_kernel *kernel = NULL, *again = NULL;
  fovea_string string = {0};
  size_t bytes = 0;
  struct problem *p = make_problem();
  CHECK(p != NULL);
  result.struct_size = sizeof result;
  string.struct_size = sizeof string;
  options.target = target;
  CHECK(fovea_compile(&options, &kernel, &result, &message) == FOVEA_OK);
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) == FOVEA_OK);
  CHECK(largest_error(p) < 1e-5);
  CHECK(fovea_kernel_workspace(kernel, &p->launch, &bytes, &message) ==
        FOVEA_OK);
  CHECK(fovea_kernel_info(kernel, &string, &message) == FOVEA_OK);
  CHECK(strstr(string.data, "\"causal\"") != NULL);
  fovea_string_free(&string);
  CHECK(string.data == NULL);
  CHECK(fovea_kernel_ir(kernel, "nonsense", &string, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(fovea_kernel_ir(kernel, NULL, &string, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("level: must not be null"));
  CHECK(fovea_kernel_workspace(kernel, &p->launch, NULL, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("bytes: must not be null"));
  CHECK(fovea_kernel_ir(kernel, "attn", &string, &message) == FOVEA_OK);
  CHECK(strstr(string.data, "attn.attention") != NULL);
  fovea_string_free(&string);
  CHECK(fovea_compile(&options, &again, &result, &message) == FOVEA_OK);
  CHECK(result.origin == FOVEA_FROM_MEMORY);

  /* Nothing to compute, however many batches. */
  p->q_sizes[0] = p->lse_sizes[0] = (int64_t)1 << 50;
  p->q_sizes[2] = p->lse_sizes[2] = 0;
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) == FOVEA_OK);
  CHECK(fovea_kernel_workspace(kernel, &p->launch, &bytes, &message) ==
        FOVEA_OK);
  p->q_sizes[2] = p->lse_sizes[2] = M;
  p->q_strides[0] = p->lse_strides[0] = 1;
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("q: batch must be at most 2^31, got 1125899906842624"));
  p->q_sizes[0] = p->lse_sizes[0] = 1;
  p->q_strides[0] = H * M * D;
  p->lse_strides[0] = H * M;

  p->tensors[1].rank = 3;
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) ==
        FOVEA_INVALID_ARGUMENT);
  CHECK(SAYS("k: rank must be 4, got 3"));
  CHECK(fovea_kernel_launch(kernel, NULL, &message) == FOVEA_INVALID_ARGUMENT);
  p->launch.struct_size = 0;
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) ==
        FOVEA_INVALID_ARGUMENT);
  fovea_kernel_free(kernel);
  fovea_kernel_free(again);
  free(p);
  return 0;
}

static int test_cpu(void) { return run_target("cpu"); }
static int test_interpreter(void) { return run_target("interpreter"); }

static int test_handles(void) {
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_kernel *kernel = NULL, *other = NULL;
  fovea_launch launch = {0};
  fovea_string string = {0};
  size_t bytes = 0;
  launch.struct_size = sizeof launch;
  string.struct_size = sizeof string;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_OK);
  fovea_kernel_free(kernel);
  CHECK(fovea_compile(&options, &other, NULL, &message) == FOVEA_OK);
  CHECK(other != kernel);
  fovea_kernel *bad[] = {kernel, (fovea_kernel *)8, (fovea_kernel *)&launch,
                         (fovea_kernel *)UINTPTR_MAX};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    fovea_kernel_free(bad[i]);
    CHECK(fovea_kernel_info(bad[i], &string, &message) ==
          FOVEA_INVALID_ARGUMENT);
    CHECK(SAYS("kernel: must be one that fovea_compile gave"));
    CHECK(fovea_kernel_launch(bad[i], &launch, &message) ==
          FOVEA_INVALID_ARGUMENT);
    CHECK(SAYS("kernel: must be one that fovea_compile gave"));
    CHECK(fovea_kernel_workspace(bad[i], &launch, &bytes, &message) ==
          FOVEA_INVALID_ARGUMENT);
    CHECK(SAYS("kernel: must be one that fovea_compile gave"));
  }
  CHECK(fovea_kernel_info(other, &string, &message) == FOVEA_OK);
  fovea_string_free(&string);
  fovea_kernel_free(other);
  return 0;
}

static int test_levels(void) {
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_kernel *kernel = NULL;
  fovea_string string = {0};
  const char *levels[] = {"program", "attn", "online", "target", "llvm", "asm"};
  string.struct_size = sizeof string;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_OK);
  for (size_t i = 0; i < sizeof levels / sizeof *levels; ++i) {
    CHECK(fovea_kernel_ir(kernel, levels[i], &string, &message) == FOVEA_OK);
    CHECK(string.size > 100 && strlen(string.data) == string.size);
    fovea_string_free(&string);
  }
  CHECK(fovea_kernel_object(kernel, &string, &message) == FOVEA_OK);
  CHECK(string.size > 64 && memcmp(string.data, "\177ELF", 4) == 0);
  fovea_string_free(&string);
  fovea_kernel_free(kernel);
  return 0;
}

/* What a variant declares of its captures, scales beyond the score type, and
   results that lie in other tensors are refused before anything is written. */
static int test_refused_launches(void) {
  static const char sized[] = "attention sized(x: f32[S], y: f32[S], slope: "
                              "f32[H], table: f32[N, 4]) { score = s + x[q] + "
                              "y[kv] + slope[h] * table[kv, q] }";
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_kernel *kernel = NULL;
  struct problem *p = make_problem();
  float few[4 * N] = {0};
  int64_t sizes[4][2] = {{5}, {5}, {H}, {N, 4}};
  const int64_t strides[2][2] = {{1}, {4, 1}};
  fovea_tensor captures[4];
  size_t bytes;
  CHECK(p != NULL);
  for (int i = 0; i < 4; ++i)
    set_tensor(&captures[i], few, i == 3 ? 2 : 1, sizes[i], strides[i == 3]);
  p->launch.captures = captures;
  p->launch.num_captures = 4;
  options.source_kind = FOVEA_SOURCE_ATTN;
  options.source = sized;
  options.source_size = sizeof sized - 1;
  options.dtype = "f32";
  options.head_dim = D;
  options.want_lse = 1;
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_OK);
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) == FOVEA_OK);
  memset(p->out, 0, sizeof p->out);

#define REFUSED(what, wrong, words)                                            \
  do {                                                                         \
    struct problem before = *p;                                                \
    int64_t sizes_before[4][2];                                                \
    memcpy(sizes_before, sizes, sizeof sizes);                                 \
    what = (wrong);                                                            \
    CHECK(fovea_kernel_launch(kernel, &p->launch, &message) ==                 \
          FOVEA_INVALID_ARGUMENT);                                             \
    CHECK(strcmp(message.text, (words)) == 0 && p->out[0] == 0);               \
    CHECK(fovea_kernel_workspace(kernel, &p->launch, &bytes, &message) ==      \
          FOVEA_INVALID_ARGUMENT);                                             \
    *p = before;                                                               \
    memcpy(sizes, sizes_before, sizeof sizes);                                 \
  } while (0)

  REFUSED(sizes[1][0], 6, "y: dim 0 must be S (5, that of x), got 6");
  REFUSED(sizes[2][0], 1, "slope: dim 0 must be H (2), got 1");
  REFUSED(sizes[3][0], 52, "table: dim 0 must be N (53), got 52");
  REFUSED(sizes[3][1], 3, "table: dim 1 must be 4, got 3");
  REFUSED(p->scale, 1e39, "scale: must be finite in float32, got 1e+39");
  REFUSED(p->tensors[3].data, p->q, "out: must not lie where q does");
  REFUSED(p->tensors[3].data, p->v, "out: must not lie where v does");
  REFUSED(p->tensors[4].data, p->out + 3, "lse: must not lie where out does");
  REFUSED(p->tensors[4].data, few, "lse: must not lie where x does");
#undef REFUSED
  fovea_kernel_free(kernel);

  /* Of float64 the score type is float64. */
  options = make_options();
  options.dtype = "f64";
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_OK);
  p->launch.num_captures = 0;
  p->scale = 1e39;
  p->q_sizes[2] = p->lse_sizes[2] = 0;
  for (int i = 0; i < 5; ++i)
    p->tensors[i].dtype = FOVEA_F64;
  CHECK(fovea_kernel_launch(kernel, &p->launch, &message) == FOVEA_OK);
  fovea_kernel_free(kernel);
  free(p);
  return 0;
}

static int always(void *context) {
  ++*(int *)context;
  return 1;
}

/* A launch that would take minutes comes back. */
static int test_cancel(void) {
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_kernel *kernel = NULL;
  struct problem *p = make_problem();
  int calls = 0;
  CHECK(p != NULL);
  CHECK(fovea_compile(&options, &kernel, NULL, &message) == FOVEA_OK);
  /* 2^20 rows and 2^18 keys that are one in memory; the results of a row lie
     behind each other. */
  p->q_sizes[2] = p->lse_sizes[2] = (int64_t)1 << 20;
  p->k_sizes[2] = (int64_t)1 << 18;
  p->launch.lse = NULL;
  {
    float *big = malloc(sizeof(float) * H * D << 20);
    int64_t strides[4] = {0, (int64_t)D << 20, D, 1};
    int64_t q_strides[4] = {0, 0, 0, 1};
    CHECK(big != NULL);
    memcpy(p->q_strides, q_strides, sizeof q_strides);
    memcpy(p->k_strides, q_strides, sizeof q_strides);
    p->tensors[3].strides = strides;
    p->tensors[3].data = big;
    p->launch.should_cancel = always;
    p->launch.cancel_context = &calls;
    CHECK(fovea_kernel_launch(kernel, &p->launch, &message) == FOVEA_CANCELLED);
    CHECK(calls >= 1);
    free(big);
  }
  fovea_kernel_free(kernel);
  free(p);
  return 0;
}

struct job {
  int status;
  double error;
  int32_t origin;
};

static void *work(void *context) {
  struct job *job = context;
  fovea_message message = make_message();
  fovea_compile_options options = make_options();
  fovea_compile_result result = {0};
  fovea_kernel *kernel = NULL;
  struct problem *p = make_problem();
  result.struct_size = sizeof result;
  options.head_dim = D; /* as it is */
  options.schedule = "";
  job->status = fovea_compile(&options, &kernel, &result, &message);
  job->origin = result.origin;
  for (int i = 0; i < 20 && job->status == FOVEA_OK; ++i)
    job->status = fovea_kernel_launch(kernel, &p->launch, &message);
  job->error = largest_error(p);
  fovea_kernel_free(kernel);
  free(p);
  return NULL;
}

/* Two threads ask for one kernel: one compiles, both compute. */
static int test_two_threads(void) {
  fovea_message message = make_message();
  pthread_t threads[2];
  struct job jobs[2] = {{0}};
  fovea_cache_stats before = {0}, after = {0};
  before.struct_size = after.struct_size = sizeof before;
  CHECK(fovea_clear_cache(1, &message) == FOVEA_OK);
  CHECK(fovea_cache_info(&before, &message) == FOVEA_OK);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(fovea_cache_info(&after, &message) == FOVEA_OK);
  for (int i = 0; i < 2; ++i)
    CHECK(jobs[i].status == FOVEA_OK && jobs[i].error < 1e-5);
  CHECK(after.compiles - before.compiles == 1);
  CHECK(after.memory_hits - before.memory_hits == 1);
  return 0;
}

static int test_config(void) {
  fovea_message message = make_message();
  fovea_string string = {0};
  const char *keys[] = {"version",      "llvm",     "build_id", "cpu",
                        "cpu_features", "targets",  "threads",  "gpus",
                        "ptxas",        "cache_dir"};
  string.struct_size = sizeof string;
  CHECK(fovea_config(&string, &message) == FOVEA_OK);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", keys[i]);
    CHECK(strstr(string.data, quoted) != NULL);
  }
  fovea_string_free(&string);
  CHECK(fovea_set_num_threads(3, &message) == FOVEA_OK);
  CHECK(fovea_num_threads() == 3);
  CHECK(fovea_set_num_threads(0, &message) == FOVEA_OK);
  CHECK(fovea_num_threads() >= 1);
  return 0;
}

static int test_warnings(void) {
  const char *text = "attention a(x: f32[H]) { mask = q >= kv }";
  fovea_message message = make_message();
  fovea_string string = {0};
  string.struct_size = sizeof string;
  CHECK(fovea_parse_attn(text, strlen(text), "a.attn", NULL, 0, &string,
                         &message) == FOVEA_OK);
  CHECK(SAYS("a.attn:1:13: warning: unused parameter 'x'"));
  fovea_string_free(&string);
  return 0;
}

const struct capi_test capi_tests[] = {
    {"null arguments", test_null_arguments},
    {"struct sizes", test_struct_sizes},
    {"wrong options", test_wrong_options},
    {"masks", test_masks},
    {"mask analysis", test_mask_analysis},
    {"configuration", test_config},
    {"warnings", test_warnings},
    {"the interpreter", test_interpreter},
    {"the CPU", test_cpu},
    {"handles", test_handles},
    {"levels", test_levels},
    {"refused launches", test_refused_launches},
    {"two threads", test_two_threads},
    {"cancelling", test_cancel},
    {NULL, NULL}};
