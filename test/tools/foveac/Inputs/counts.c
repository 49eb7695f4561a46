/* Calls whose items or bytes 64 bits cannot count, and those that lengths make
   small. All elements of a tensor are one in memory where nothing is read. */
#include "plain.h"

#include "tensor.h"

#include <stdlib.h>

enum { BATCHES = 1 << 16 };
static float q = 2, k = 3, v = 5, out[BATCHES];
static int64_t lengths[BATCHES];

typedef struct {
  int64_t B, H, M, HK, N;
  const int64_t *kv_lengths;
  void *workspace;
  int parallel;
} Case;

static void serial(void *pool, int64_t count,
                   void (*body)(void *, int64_t, int64_t), void *task) {
  int64_t i;
  (void)pool;
  for (i = 0; i < count; ++i)
    body(task, i, 0);
}

static int call(Case c, size_t *bytes, char *message, size_t size) {
  const int64_t qs[4] = {c.B, c.H, c.M, 1}, ks[4] = {1, c.HK, c.N, 1};
  const int64_t same[4] = {0, 0, 0, 0};
  const int64_t near[4] = {0, 1, 2, 1}; /* heads nearer than tokens */
  const int64_t each[4] = {1, 1, 1, 1};
  int small = c.B <= BATCHES && c.H == 1 && c.M == 1;
  void *far = (void *)((uintptr_t)1 << 62);
  fovea_tensor tq = make(&q, 4, qs, same), tv = make(&v, 4, ks, same);
  fovea_tensor tk = make(&k, 4, ks, c.HK > 1 ? near : same);
  fovea_tensor to = make(small ? (void *)out : far, 4, qs, each);
  fovea_aot_options options;
  memset(&options, 0, sizeof options);
  options.kv_lengths = c.kv_lengths;
  options.message = message;
  options.message_size = size;
  if (c.parallel) {
    options.parallel_for = serial;
    options.workers = 64;
  }
  return plain(&tq, &tk, &tv, &to, NULL, 1.0, c.workspace, bytes, &options);
}

static void try(const char *what, Case c) {
  char message[256] = "right";
  size_t bytes = c.workspace ? SIZE_MAX / 2 : 0;
  int status = call(c, &bytes, message, sizeof message);
  printf("%s: %d %s\n", what, status, message);
}

/* The bytes of a call and whether it gives v. */
static size_t run(Case c) {
  char message[256] = "";
  size_t bytes = 0;
  int64_t b, wrong = 0;
  int status = call(c, &bytes, message, sizeof message);
  c.workspace = malloc(bytes);
  if (!status)
    status = call(c, &bytes, message, sizeof message);
  free(c.workspace);
  for (b = 0; b < c.B; ++b)
    wrong += out[b] != v;
  printf("%d %s, %lld wrong\n", status, message, (long long)wrong);
  return bytes;
}

int main(void) {
  const int64_t far = (int64_t)1 << 56;
  static double memory[64];
  Case c = {(int64_t)1 << 22, 1, 1, 1, 0, NULL, NULL, 0};
  int64_t b;
  c.N = far;
  try("workspace", c);
  c.parallel = 1;
  c.workspace = memory;
  try("call", c);
  c.workspace = NULL;
  c.B = 1;
  c.N = 1;
  c.H = c.HK = (int64_t)1 << 33;
  try("heads", c);
  c.parallel = 0;
  c.B = BATCHES;
  c.H = c.HK = 1;
  c.N = far;
  for (b = 0; b < BATCHES; ++b)
    lengths[b] = 1;
  c.kv_lengths = lengths;
  run(c);
  c.B = 2;
  c.N = (int64_t)1 << 21;
  c.kv_lengths = NULL;
  {
    size_t all = run(c), some;
    c.kv_lengths = lengths;
    lengths[1] = 3;
    some = run(c);
    printf("%s\n", some < all ? "fewer bytes" : "as many bytes");
  }
  lengths[1] = c.N + 1;
  try("longer", c);
  lengths[1] = -1;
  try("shorter", c);
  return 0;
}
