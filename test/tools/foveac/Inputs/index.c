/* Constant indices of a capture, checked at each call. */
#include "fixed.h"

#include "tensor.h"

#include <stdlib.h>

static float q[8], out[8], table[20];

static void try(int64_t length, int64_t rows, int64_t columns) {
  const int64_t qs[4] = {1, 1, 1, 8}, ks[4] = {1, 1, length, 8};
  const int64_t strides[4] = {8, 8, 8, 1};
  const int64_t ts[2] = {rows, columns}, tt[2] = {columns, 1};
  fovea_tensor tq = make(q, 4, qs, strides), tk = make(q, 4, ks, strides);
  fovea_tensor to = make(out, 4, qs, strides), t = make(table, 2, ts, tt);
  fovea_aot_options options;
  char message[256] = "right";
  size_t bytes = 0;
  void *workspace;
  int status;
  memset(&options, 0, sizeof options);
  options.message = message;
  options.message_size = sizeof message;
  status = fixed(&tq, &tk, &tk, &t, &to, NULL, 0.5, NULL, &bytes, &options);
  workspace = malloc(bytes ? bytes : 1);
  if (!status)
    status =
        fixed(&tq, &tk, &tk, &t, &to, NULL, 0.5, workspace, &bytes, &options);
  free(workspace);
  printf("%d %s\n", status, message);
}

int main(void) {
  try(1, 2, 4);
  try(1, 1, 4);
  try(1, 2, 2);
  try(0, 1, 3);
  return 0;
}
