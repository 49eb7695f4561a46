/* One token at a time: calls of few queries take a form of their own, which
   gives what the usual form gives. The linker turns calls of the forms for
   positions below 2^30 to the counters below. */
#include "decode.h"

#include "tensor.h"

#include <math.h>
#include <stdlib.h>

#ifndef KEY_HEADS
#define KEY_HEADS 2
#endif
enum { B = 2, H = 6, HK = KEY_HEADS, M = 40, N = 20000, D = 16 };

static float q[B * H * M * D], k[B * HK * N * D], v[B * HK * N * D],
    out[B * H * M * D], one[B * H * D], again[B * H * D], lse[B * H * M],
    one_lse[B * H];
static const float slope[H] = {0, 1e-4f, 1e-3f, 0.01f, 0.1f, 0.5f};
static int64_t kv_lengths[B] = {N, 9001};
static int usual_items, few_items, exact_items, parallel;

int64_t __real_decode_v0_i32_run(const fovea_cpu_args *, int64_t, int64_t,
                                 int64_t, void *);
int64_t __real_decode_v0_i32_few_run(const fovea_cpu_args *, int64_t, int64_t,
                                     int64_t, void *);
int64_t __real_decode_v0_i32_exact_run(const fovea_cpu_args *, int64_t, int64_t,
                                       int64_t, void *);

int64_t __wrap_decode_v0_i32_run(const fovea_cpu_args *args, int64_t first,
                                 int64_t last, int64_t next, void *scratch) {
  ++usual_items;
  return __real_decode_v0_i32_run(args, first, last, next, scratch);
}

int64_t __wrap_decode_v0_i32_few_run(const fovea_cpu_args *args, int64_t first,
                                     int64_t last, int64_t next,
                                     void *scratch) {
  ++few_items;
  return __real_decode_v0_i32_few_run(args, first, last, next, scratch);
}

int64_t __wrap_decode_v0_i32_exact_run(const fovea_cpu_args *args,
                                       int64_t first, int64_t last,
                                       int64_t next, void *scratch) {
  ++exact_items;
  return __real_decode_v0_i32_exact_run(args, first, last, next, scratch);
}

static void backwards(void *pool, int64_t count,
                      void (*body)(void *, int64_t, int64_t), void *task) {
  int64_t i;
  (void)pool;
  for (i = count; i-- > 0;)
    body(task, i, i % 3);
}

/* Rows first ... first + rows of q against `keys` keys, into dense arrays of
   `rows` rows a head. */
static int run(int64_t first, int64_t rows, int64_t keys, float *result,
               float *sums) {
  const int64_t qs[4] = {B, H, rows, D}, ks[4] = {B, HK, keys, D};
  const int64_t qt[4] = {H * M * D, M * D, D, 1},
                kt[4] = {HK * N * D, N * D, D, 1};
  const int64_t ot[4] = {H * rows * D, rows * D, D, 1};
  const int64_t ls[3] = {B, H, rows}, lt[3] = {H * rows, rows, 1};
  const int64_t ss[1] = {H}, st[1] = {1};
  fovea_tensor tq = make(q + first * D, 4, qs, qt), tk = make(k, 4, ks, kt),
               tv = make(v, 4, ks, kt), to = make(result, 4, qs, ot),
               tl = make(sums, 3, ls, lt), ts = make(slope, 1, ss, st);
  int64_t offsets[B], lengths[B];
  fovea_aot_options options;
  size_t bytes = 0;
  void *workspace;
  int status, b;
  for (b = 0; b < B; ++b) {
    offsets[b] = kv_lengths[b] - M + first;
    lengths[b] = kv_lengths[b] < keys ? kv_lengths[b] : keys;
  }
  memset(&options, 0, sizeof options);
  options.q_offset = offsets;
  options.kv_lengths = lengths;
  if (parallel) {
    options.parallel_for = backwards;
    options.workers = 3;
  }
  usual_items = few_items = exact_items = 0;
  status = decode(&tq, &tk, &tv, &ts, &to, &tl, 0.25, NULL, &bytes, &options);
  if (status)
    return status;
  workspace = malloc(bytes);
  /* Nothing may depend on what the workspace held. */
  memset(workspace, 0xa5, bytes);
  status =
      decode(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes, &options);
  free(workspace);
  return status;
}

static void forms(const char *what) {
  printf("%s: usual %d, few %d, exact %d items\n", what, usual_items, few_items,
         exact_items);
}

/* Of the rows of `out`, those at m against `one`: the largest difference, of
   sums relative to them; -1: one is finite and the other is not. */
static double distance(int m) {
  double worst = 0;
  int row, d;
  for (row = 0; row < B * H; ++row) {
    for (d = 0; d < D; ++d) {
      float a = out[(row * M + m) * D + d], b = one[row * D + d];
      if (!isfinite(a) && !isfinite(b))
        continue;
      if (!isfinite(a) || !isfinite(b))
        return -1;
      worst = fmax(worst, fabs((double)a - b));
    }
    worst = fmax(worst, fabs((double)lse[row * M + m] - one_lse[row]) /
                            fmax(1, fabs((double)one_lse[row])));
  }
  return worst;
}

/* The last of the rows stays in `one`. */
static const char *compare(int step) {
  int m, differ = 0;
  for (m = 0; m < M; m += step) {
    double error = run(m, 1, N, one, one_lse) ? -1 : distance(m);
    differ += !(error >= 0 && error < 2e-6);
  }
  return differ ? "differ" : "agree";
}

int main(void) {
  int i, infinite = 0;
  for (i = 0; i < B * H * M * D; ++i)
    q[i] = (float)sin(i);
  for (i = 0; i < B * HK * N * D; ++i) {
    k[i] = (float)sin(3 * i + 1);
    v[i] = (float)cos(i);
  }
  if (run(0, M, N, out, lse))
    return 1;
  forms("40 queries of 6 heads");
  printf("both forms %s\n", compare(13));
  forms("1 query");

  memcpy(again, one, sizeof one);
  memset(one, 0xff, sizeof one);
  parallel = 1;
  if (run(39, 1, N, one, one_lse))
    return 2;
  printf("parallel: %s\n",
         memcmp(one, again, sizeof one) ? "different" : "the same");
  /* 10 x 3 rows a key head still are few, 11 x 3 are not. */
  if (run(0, 10, N, out, lse))
    return 3;
  printf("10 queries: %s\n", few_items && !usual_items ? "few" : "usual");
  if (run(0, 11, N, out, lse))
    return 4;
  printf("11 queries: %s\n", few_items || !usual_items ? "few" : "usual");

  if (run(0, 1, 0, one, one_lse))
    return 5;
  printf("no keys: %g %g\n", one[0], one_lse[B * H - 1]);
  memcpy(one, again, sizeof one);
  if (run(0, 0, N, one, one_lse))
    return 6;
  printf("no queries: %s\n",
         memcmp(one, again, sizeof one) ? "something written" : "nothing");

  v[5 * D + 1] = (float)INFINITY;
  if (run(0, M, N, out, lse))
    return 7;
  printf("with an infinity, both forms %s\n", compare(39));
  forms("1 query");
  for (i = 0; i < B * H * D; ++i)
    infinite += !isfinite(one[i]);
  printf("infinite elements: %d\n", infinite);
  return 0;
}
