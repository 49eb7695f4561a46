/* Declared sizes of captures, scales and overlaps, checked at each call. */
#include "sized.h"

#include "tensor.h"

#include <math.h>

enum { H = 2, M = 3, D = 8 };
static int64_t N = 5, offset; /* of queries */

static float q[H * M * D], k[H * 5 * D], out[2 * H * M * D], lse[H * M];
static float few[128];

typedef struct {
  int64_t x, y, slope, rows, columns;
  double scale;
  float *lse, *table, *out;
  int64_t row; /* of out: elements to the next */
} Case;

static void try(Case c) {
  static double workspace[1 << 17];
  const int64_t qs[4] = {1, H, M, D}, qt[4] = {H * M * D, M * D, D, 1};
  const int64_t ks[4] = {1, H, N, D}, kt[4] = {H * N * D, N * D, D, 1};
  const int64_t ot[4] = {H * M * c.row, M * c.row, c.row, 1};
  const int64_t ls[3] = {1, H, M}, lt[3] = {H * M, M, 1}, one[1] = {1};
  const int64_t ts[4] = {c.rows, c.columns, 1, 1}, tt[4] = {4, 1, 1, 1};
  fovea_tensor tq = make(q, 4, qs, qt), tk = make(k, 4, ks, kt);
  fovea_tensor to = make(c.out, 4, qs, ot), tl = make(c.lse, 3, ls, lt);
  fovea_tensor x = make(few, 1, &c.x, one), y = make(few, 1, &c.y, one);
  fovea_tensor slope = make(few, 1, &c.slope, one);
  fovea_tensor table = make(c.table, 4, ts, tt);
  fovea_aot_options options;
  char message[256] = "right";
  size_t bytes = sizeof workspace;
  memset(&options, 0, sizeof options);
  options.message = message;
  options.message_size = sizeof message;
  options.q_offset = &offset;
  printf("%d ", sized(&tq, &tk, &tk, &x, &y, &slope, &table, &to, &tl, c.scale,
                      workspace, &bytes, &options));
  printf("%s\n", message);
}

int main(void) {
  const Case good = {4, 4, H, 5, 4, 0.5, lse, few, out, D};
  Case c = good;
  try(c);
  c.y = 3;
  try(c);
  c = good;
  c.slope = 3;
  try(c);
  c = good;
  c.columns = 3;
  try(c);
  c = good;
  c.scale = -1e300;
  try(c);
  c = good;
  c.lse = out + 9;
  try(c);
  c.lse = q + H * M * D - 1;
  try(c);
  c.lse = k + 1;
  try(c);
  c.lse = few + 100; /* beyond all captures */
  try(c);
  c.lse = few + 1;
  try(c);
  c = good;
  c.table = out + 3;
  try(c);
  c = good;
  c.out = few + 4; /* behind x, in table */
  try(c);
  c = good;
  c.row = 2 * D; /* lse lies between the rows of out, in none of them */
  c.lse = out + D;
  try(c);
  c.lse = out + 2 * D;
  try(c);
  c = good;
  c.scale = (double)INFINITY;
  try(c);
  c = good;
  c.columns = 0;
  try(c);
  c.columns = -3;
  try(c);
  offset = -((int64_t)1 << 56) - 1;
  try(good);
  offset = 0;
  c = good;
  c.x = c.y = 0; /* where something reads them */
  try(c);
  N = 0;
  try(c); /* table has rows */
  c.rows = 1;
  try(c);
  c.rows = 0;
  c.table = NULL;
  try(c);
  return 0;
}
