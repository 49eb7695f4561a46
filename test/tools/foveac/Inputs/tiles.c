/* What a caller knows of a mask: tiles that are skipped, asked or taken whole.
 */
#include "packed.h"

#include "tensor.h"

#include <math.h>
#include <stdlib.h>

enum { B = 2, H = 2, M = 200, N = 150, D = 8, TILES = 4 * 3 };

static float q[B * H * M * D], k[B * H * N * D], v[B * H * N * D],
    out[B * H * M * D], again[B * H * M * D];
static int32_t doc[M];
static char message[256];
static int64_t rows = M; /* of each head that are asked for */

static int run(float *result, const fovea_aot_tiles *tiles) {
  const int64_t qs[4] = {B, H, rows, D}, ks[4] = {B, H, N, D}, ds[1] = {M};
  const int64_t qt[4] = {H * M * D, M * D, D, 1},
                kt[4] = {H * N * D, N * D, D, 1};
  const int64_t dt[1] = {1};
  fovea_tensor tq = make_of(q, 10, 4, qs, qt), tk = make_of(k, 10, 4, ks, kt),
               tv = make_of(v, 10, 4, ks, kt),
               to = make_of(result, 10, 4, qs, qt),
               td = make_of(doc, 5, 1, ds, dt);
  fovea_aot_options options;
  size_t bytes = 0;
  void *workspace;
  int status;
  memset(&options, 0, sizeof options);
  options.message = message;
  options.message_size = sizeof message;
  options.tiles = tiles;
  status = packed(&tq, &tk, &tv, &td, &to, NULL, 0.5, NULL, &bytes, &options);
  if (status)
    return status;
  workspace = malloc(bytes);
  status =
      packed(&tq, &tk, &tv, &td, &to, NULL, 0.5, workspace, &bytes, &options);
  free(workspace);
  return status;
}

/* Of documents of 100 tokens in tiles of 64 x 64. */
static int8_t class_of(int row, int column) {
  int m0 = row * 64, m1 = m0 + 63 < M ? m0 + 63 : M - 1;
  int n0 = column * 64, n1 = n0 + 63 < N ? n0 + 63 : N - 1;
  if (doc[m0] > doc[n1] || doc[m1] < doc[n0])
    return 0;
  return doc[m0] == doc[m1] && doc[n0] == doc[n1] && doc[m0] == doc[n0] ? 2 : 1;
}

/* Keys are taken in other blocks, so that sums round otherwise. */
static const char *compare(void) {
  double error = 0;
  int i;
  for (i = 0; i < B * H * M * D; ++i)
    error = fmax(error, fabs((double)out[i] - again[i]));
  return error < 1e-6 ? "the same" : "differs";
}

static void refuse(fovea_aot_tiles tiles) {
  int status = run(again, &tiles);
  printf("%d %s\n", status, message);
}

int main(void) {
  int8_t classes[B * H * TILES];
  fovea_aot_tiles tiles = {classes, 1, 1, 64, 64}, wrong;
  int i;
  for (i = 0; i < M; ++i)
    doc[i] = i / 100;
  for (i = 0; i < B * H * M * D; ++i)
    q[i] = (float)sin(i);
  for (i = 0; i < B * H * N * D; ++i) {
    k[i] = (float)sin(3 * i + 1);
    v[i] = (float)cos(i);
  }
  for (i = 0; i < B * H * TILES; ++i)
    classes[i] = class_of(i % TILES / 3, i % 3);
  if (run(out, NULL) || run(again, &tiles))
    return 1;
  printf("one plane: %s\n", compare());
  tiles.batches = B;
  tiles.heads = H;
  if (run(again, &tiles))
    return 1;
  printf("all planes: %s\n", compare());
  /* Of the last plane: nothing is visible of its first tile of rows. */
  memset(classes + 3 * TILES, 0, 3);
  if (run(again, &tiles))
    return 1;
  printf("skipped: %g, its neighbour %s\n", again[3 * M * D],
         again[2 * M * D] == out[2 * M * D] ? "as before" : "differs");
  /* All of it is, past what the mask says: the last row's keys have weight 0.
   */
  memset(q, 0, sizeof q);
  memset(v, 0, sizeof v);
  for (i = 0; i < N; ++i)
    v[i * D] = 1.0f + (float)(i >= 100);
  memset(classes, 2, 3);
  if (run(again, &tiles))
    return 1;
  printf("whole: %.4f\n", again[0]);
  /* The form for few rows would not look at tiles. */
  rows = 8;
  memset(classes, 0, sizeof classes);
  if (run(again, &tiles))
    return 1;
  printf("few rows, all skipped: %g\n", again[0]);
  rows = M;

  wrong = tiles, wrong.query_tile = 96, refuse(wrong);
  wrong = tiles, wrong.key_tile = 0, refuse(wrong);
  wrong = tiles, wrong.batches = 3, refuse(wrong);
  wrong = tiles, wrong.heads = 0, refuse(wrong);
  wrong = tiles, wrong.classes = NULL, refuse(wrong);
  classes[5] = 3;
  refuse(tiles);
  return 0;
}
