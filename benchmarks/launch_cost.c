/* What a launch costs the caller: fovea_kernel_launch on a CUDA device, in
 * bursts, without waiting. Prints microseconds a launch: of the best burst and
 * of the median one. With launch_watch.c in front of the driver also those of
 * the same launch by the driver alone, and where its share went.
 *
 *   cc -O2 launch_cost.c -I include -L LIB -lfovea -ldl
 *
 * The driver is that of the library: FOVEA_LIBCUDA, else libcuda.so.1. */
#include "fovea-c/fovea.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { B = 1, H = 2, LENGTH = 128, D = 128, BURST = 64, ROUNDS = 200 };

static const char source[] = "attention noop {}";

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void *driver;
static void *function(const char *name) {
  void *found = dlsym(driver, name);
  if (!found)
    fail(name, "not in the driver");
  return found;
}

static void check(const char *what, int status) {
  char text[16];
  snprintf(text, sizeof text, "%d", status);
  if (status)
    fail(what, text);
}

/* Makes the device's context current and returns zeroed memory. */
static void *allocate(size_t bytes) {
  int (*init)(unsigned) = (int (*)(unsigned))function("cuInit");
  int (*retain)(void **, int) =
      (int (*)(void **, int))function("cuDevicePrimaryCtxRetain");
  int (*push)(void *) = (int (*)(void *))function("cuCtxPushCurrent_v2");
  int (*get)(uint64_t *, size_t) =
      (int (*)(uint64_t *, size_t))function("cuMemAlloc_v2");
  int (*set)(uint64_t, unsigned char, size_t, void *) = (int (*)(
      uint64_t, unsigned char, size_t, void *))function("cuMemsetD8Async");
  void *context;
  uint64_t address;
  check("cuInit", init(0));
  check("cuDevicePrimaryCtxRetain", retain(&context, 0));
  check("cuCtxPushCurrent", push(context));
  check("cuMemAlloc", get(&address, bytes));
  check("cuMemsetD8Async", set(address, 0, bytes, NULL));
  return (void *)(uintptr_t)address;
}

static fovea_kernel *compile(void) {
  fovea_compile_options options = {.struct_size = sizeof options};
  fovea_kernel *kernel;
  fovea_message message = {.struct_size = sizeof message};
  options.source_kind = FOVEA_SOURCE_ATTN;
  options.source = source;
  options.source_size = sizeof source - 1;
  options.dtype = "bf16";
  options.head_dim = D;
  options.value_dim = -1;
  options.target = "cuda";
  options.want_lse = 1;
  options.want_block_mask = -1;
  if (fovea_compile(&options, &kernel, NULL, &message))
    fail("fovea_compile", message.text);
  return kernel;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of sorted times. */
static double *sorted(double *times) {
  qsort(times, ROUNDS, sizeof *times, ascending);
  return times;
}
static double best(double *times) { return sorted(times)[0]; }
static double middle(double *times) { return sorted(times)[ROUNDS / 2]; }

static void wait(int (*synchronize)(void)) {
  if (synchronize)
    check("cuCtxSynchronize", synchronize());
}

int main(void) {
  const char *path = getenv("FOVEA_LIBCUDA");
  driver = dlopen(path && *path ? path : "libcuda.so.1", RTLD_NOW);
  if (!driver)
    fail("driver", dlerror());
  fovea_kernel *kernel = compile();
  size_t bytes = (size_t)B * H * LENGTH * D * 2;
  int64_t sizes[] = {B, H, LENGTH, D};
  int64_t strides[] = {H * LENGTH * D, LENGTH * D, D, 1};
  int64_t rows[] = {H * LENGTH, LENGTH, 1};
  fovea_tensor q = {sizeof q, allocate(bytes), FOVEA_BF16, 4,
                    sizes,    strides,         FOVEA_CUDA, 0};
  fovea_tensor out = q, lse = q;
  double scale = 0.1;
  out.data = allocate(bytes);
  lse.data = allocate(bytes);
  lse.dtype = FOVEA_F32;
  lse.rank = 3;
  lse.strides = rows;
  fovea_launch launch = {.struct_size = sizeof launch};
  launch.queries = launch.keys = launch.value = &q;
  launch.num_pairs = 1;
  launch.out = &out;
  launch.lse = &lse;
  launch.scales = &scale;
  int (*synchronize)(void) = (int (*)(void))dlsym(driver, "cuCtxSynchronize");
  fovea_message message = {.struct_size = sizeof message};
  double (*repeat)(int) = (double (*)(int))dlsym(driver, "watch_repeat");
  void (*reset)(void) = (void (*)(void))dlsym(driver, "watch_reset");
  void (*print)(FILE *, int) =
      (void (*)(FILE *, int))dlsym(driver, "watch_print");
  static double times[ROUNDS], bare[ROUNDS];
  for (int round = -3; round < ROUNDS; ++round) {
    if (round == 0 && reset)
      reset();
    double start = now();
    for (int i = 0; i < BURST; ++i)
      if (fovea_kernel_launch(kernel, &launch, &message))
        fail("fovea_kernel_launch", message.text);
    double took = (now() - start) / BURST;
    wait(synchronize);
    double alone = repeat ? repeat(BURST) : 0;
    wait(synchronize);
    if (round >= 0) {
      times[round] = took;
      bare[round] = alone;
    }
  }
  printf("{\"best_us\": %.3f, \"median_us\": %.3f", best(times), middle(times));
  if (repeat)
    printf(", \"bare_best_us\": %.3f, \"bare_median_us\": %.3f", best(bare),
           middle(bare));
  if (print)
    print(stdout, ROUNDS * BURST);
  printf("}\n");
  fovea_kernel_free(kernel);
  return 0;
}
