/* A program that knows nothing of Fovea but the object and its header. */
#include "window.h"

#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 1, H = 4, HK = 2, M = 75, N = 90, D = 16, W = 5 };

static float q[H * M * D], k[HK * N * D], v[HK * N * D], out[H * M * D],
    again[H * M * D], lse[H * M];

static double worst(const float *slope, int offset) {
  double error = 0;
  int h, m, n, d;
  for (h = 0; h < H; ++h)
    for (m = 0; m < M; ++m) {
      double sum = 0, o[D] = {0};
      const float *row = q + (h * M + m) * D;
      for (n = 0; n < N; ++n) {
        int distance = m + offset - n;
        double s = 0, w;
        if (distance < 0 || distance >= W)
          continue;
        for (d = 0; d < D; ++d)
          s += (double)row[d] * k[(h / 2 * N + n) * D + d];
        w = exp(0.25 * s - slope[h] * distance);
        sum += w;
        for (d = 0; d < D; ++d)
          o[d] += w * v[(h / 2 * N + n) * D + d];
      }
      for (d = 0; d < D; ++d)
        error = fmax(
            error, fabs((sum > 0 ? o[d] / sum : 0) - out[(h * M + m) * D + d]));
      if (sum > 0)
        error = fmax(error, fabs(log(sum) - lse[h * M + m]));
    }
  return error;
}

/* The slowest parallel_for there is; it shows that the order does not matter.
 */
static void backwards(void *pool, int64_t count,
                      void (*body)(void *, int64_t, int64_t), void *task) {
  int64_t i;
  ++*(int *)pool;
  for (i = count; i-- > 0;)
    body(task, i, i % 3);
}

/* What would end in memory that is not the caller's. */
static void refuse(const fovea_tensor *q, const fovea_tensor *k,
                   const fovea_tensor *v, const fovea_tensor *slope,
                   const fovea_tensor *o, const fovea_tensor *l,
                   void *workspace, size_t bytes) {
  const int64_t many[4] = {(int64_t)1 << 61, H, M, D}, still[4] = {0, 0, 0, 1};
  fovea_tensor wrong = *slope;
  fovea_aot_options options;
  char message[256] = "";
  memset(&options, 0, sizeof options);
  options.message = message;
  options.message_size = sizeof message;
  wrong.data = (char *)slope->data + 1;
  printf("%d ",
         window(q, k, v, &wrong, o, l, 0.25, workspace, &bytes, &options));
  printf("%s\n", message);
  printf("%d ",
         window(q, k, v, slope, o, l, HUGE_VAL, workspace, &bytes, &options));
  printf("%s\n", message);
  wrong = *q;
  wrong.sizes = many;
  wrong.strides = still;
  printf("%d ",
         window(&wrong, k, v, slope, o, l, 0.25, NULL, &bytes, &options));
  printf("%s\n", message);
  options.parallel_for = backwards;
  options.workers = INT64_MAX;
  printf("%d ", window(q, k, v, slope, o, l, 0.25, NULL, &bytes, &options));
  printf("%s\n", message);
  printf("without lse: %d\n",
         window(q, k, v, slope, o, NULL, 0.25, workspace, &bytes, NULL));
}

int main(void) {
  const int64_t qs[4] = {B, H, M, D}, ks[4] = {B, HK, N, D}, ls[3] = {B, H, M};
  const int64_t qt[4] = {H * M * D, M * D, D, 1};
  const int64_t kt[4] = {HK * N * D, N * D, D, 1}, lt[3] = {H * M, M, 1};
  const int64_t ss[1] = {H}, st[1] = {1}, offset[1] = {7};
  float slope[H] = {0.5f, 0.25f, 0.125f, 0};
  fovea_tensor tq = make(q, 4, qs, qt), tk = make(k, 4, ks, kt);
  const int64_t still[4] = {0, 0, 0, 0};
  fovea_tensor tv = make(v, 4, ks, kt), to = make(out, 4, qs, qt);
  fovea_tensor tl = make(lse, 3, ls, lt), ts = make(slope, 1, ss, st);
  fovea_aot_options options;
  char message[256] = "";
  size_t bytes = 0, small;
  void *workspace;
  int calls = 0, i;

  for (i = 0; i < H * M * D; ++i)
    q[i] = (float)((i * 7919) % 101) / 50 - 1;
  for (i = 0; i < HK * N * D; ++i) {
    k[i] = (float)((i * 104729) % 97) / 48 - 1;
    v[i] = (float)((i * 13) % 89) / 44 - 1;
  }
  memset(&options, 0, sizeof options);
  options.message = message;
  options.message_size = sizeof message;

  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, NULL, &bytes, NULL) != 0)
    return 1;
  workspace = malloc(bytes);
  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes, NULL) != 0)
    return 2;
  printf("serial: %s\n", worst(slope, 0) < 1e-5 ? "right" : "wrong");
  memcpy(again, out, sizeof out);
  free(workspace);

  options.parallel_for = backwards;
  options.pool = &calls;
  options.workers = 3;
  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, NULL, &bytes, &options) != 0)
    return 3;
  workspace = malloc(bytes);
  memset(out, 0xff, sizeof out);
  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes, &options))
    return 4;
  printf("parallel: %s, %d pass\n",
         memcmp(again, out, sizeof out) == 0 ? "the same" : "different", calls);

  options.q_offset = offset;
  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes, &options))
    return 5;
  printf("offset: %s\n", worst(slope, 7) < 1e-5 ? "right" : "wrong");
  options.q_offset = NULL;

  v[3 * D + 1] = (float)INFINITY; /* key 3 of the first head of v */
  if (window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes, &options))
    return 6;
  for (calls = 0, i = 0; i < H * M * D; ++i)
    calls += !isfinite(out[i]);
  printf("rows that see an infinity: %d\n", calls);

  small = bytes - 1;
  printf("%d ", window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &small,
                       &options));
  printf("%s\n", message);
  tk.rank = 3;
  printf("%d ", window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes,
                       &options));
  printf("%s\n", message);
  tk.rank = 4;
  printf("%d ", window(&tq, &tk, &tv, NULL, &to, &tl, 0.25, workspace, &bytes,
                       &options));
  printf("%s\n", message);
  to.data = q;
  printf("%d ", window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes,
                       &options));
  printf("%s\n", message);
  to.data = out;
  to.strides = still;
  printf("%d ", window(&tq, &tk, &tv, &ts, &to, &tl, 0.25, workspace, &bytes,
                       &options));
  printf("%s\n", message);
  to.strides = qt;
  refuse(&tq, &tk, &tv, &ts, &to, &tl, workspace, bytes);
  free(workspace);
  return 0;
}
