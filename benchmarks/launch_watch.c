/* A driver in front of the driver: forwards what the library calls, adds up the
 * time of each function, and keeps the last launch so that it can be repeated
 * bare. What a launch costs beside this is the library's own part.
 *
 *   cc -O2 -shared -fPIC launch_watch.c -o libwatch.so -ldl
 *   FOVEA_LIBCUDA=./libwatch.so launch_cost
 *
 * WATCHED_LIBCUDA names the driver behind it, by default libcuda.so.1. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void *find(const char *name) {
  static void *driver;
  if (!driver) {
    const char *path = getenv("WATCHED_LIBCUDA");
    driver = dlopen(path && *path ? path : "libcuda.so.1", RTLD_NOW);
  }
  return driver ? dlsym(driver, name) : NULL;
}

/* Functions that a launch may call: type, name, parameters, arguments. */
#define WATCHED(F)                                                             \
  F(cuCtxGetCurrent, (void **c), (c))                                          \
  F(cuCtxPushCurrent_v2, (void *c), (c))                                       \
  F(cuCtxPopCurrent_v2, (void **c), (c))                                       \
  F(cuMemAlloc_v2, (uint64_t *a, size_t n), (a, n))                            \
  F(cuMemFree_v2, (uint64_t a), (a))                                           \
  F(cuMemsetD8Async, (uint64_t a, unsigned char v, size_t n, void *s),         \
    (a, v, n, s))                                                              \
  F(cuTensorMapEncodeTiled,                                                    \
    (void *m, int t, uint32_t r, void *a, const uint64_t *n,                   \
     const uint64_t *s, const uint32_t *b, const uint32_t *e, int i, int w,    \
     int p, int f),                                                            \
    (m, t, r, a, n, s, b, e, i, w, p, f))                                      \
  F(cuTensorMapReplaceAddress, (void *m, uint64_t a), (m, a))

/* The others are passed on. */
#define PASSED(F)                                                              \
  F(cuInit, (unsigned f), (f))                                                 \
  F(cuDriverGetVersion, (int *v), (v))                                         \
  F(cuGetErrorName, (int s, const char **n), (s, n))                           \
  F(cuDeviceGetCount, (int *n), (n))                                           \
  F(cuDeviceGet, (int *d, int i), (d, i))                                      \
  F(cuDeviceGetName, (char *n, int s, int d), (n, s, d))                       \
  F(cuDeviceGetAttribute, (int *v, int a, int d), (v, a, d))                   \
  F(cuDevicePrimaryCtxRetain, (void **c, int d), (c, d))                       \
  F(cuModuleLoadData, (void **m, const void *i), (m, i))                       \
  F(cuModuleUnload, (void *m), (m))                                            \
  F(cuModuleGetFunction, (void **f, void *m, const char *n), (f, m, n))        \
  F(cuFuncGetAttribute, (int *v, int a, void *f), (v, a, f))                   \
  F(cuFuncSetAttribute, (void *f, int a, int v), (f, a, v))                    \
  F(cuFuncGetParamInfo, (void *f, size_t i, size_t *o, size_t *s),             \
    (f, i, o, s))                                                              \
  F(cuCtxSynchronize, (void), ())

struct count {
  const char *name;
  unsigned calls;
  double total;
};
static struct count counts[16];
static void count(int at, const char *name, double start) {
  counts[at].name = name;
  counts[at].calls++;
  counts[at].total += now() - start;
}

#define TYPED(name, parameters)                                                \
  static int(*typed_##name) parameters;                                        \
  if (!typed_##name)                                                           \
    typed_##name = (int(*) parameters)find(#name);                             \
  if (!typed_##name)                                                           \
    return 1;

#define INDEX(name, parameters, arguments) at_##name,
enum { WATCHED(INDEX) at_cuLaunchKernel, at_cuLaunchKernelEx, watched };

#define WATCH(name, parameters, arguments)                                     \
  int name parameters {                                                        \
    TYPED(name, parameters)                                                    \
    double start = now();                                                      \
    int status = typed_##name arguments;                                       \
    count(at_##name, #name, start);                                            \
    return status;                                                             \
  }
WATCHED(WATCH)
#define PASS(name, parameters, arguments)                                      \
  int name parameters {                                                        \
    TYPED(name, parameters)                                                    \
    return typed_##name arguments;                                             \
  }
PASSED(PASS)

enum { maxParameters = 64, maxBytes = 4096 };
/* As the driver's header has them. */
struct attribute {
  int number;
  uint64_t value[8];
};
struct config {
  unsigned grid[3], block[3], shared;
  void *stream;
  struct attribute *attributes;
  unsigned count;
};

/* The last launch, its parameters copied, and its attribute if it has one. */
static struct {
  void *function;
  struct config config;
  struct attribute attribute;
  void *parameters[maxParameters];
} last;

typedef int (*launcher)(void *, unsigned, unsigned, unsigned, unsigned,
                        unsigned, unsigned, unsigned, void *, void **, void **);
typedef int (*launcherEx)(const struct config *, void *, void **, void **);
static launcher launchKernel;
static launcherEx launchKernelEx;

static void keep(void *function, struct config config, void **parameters) {
  static _Alignas(64) char bytes[maxBytes];
  size_t at = 0, offset, size;
  if (last.function == function)
    return;
  last.function = function;
  last.config = config;
  if (config.count)
    last.attribute = config.attributes[0];
  last.config.attributes = &last.attribute;
  memset(last.parameters, 0, sizeof last.parameters);
  for (size_t i = 0; i < maxParameters; ++i) {
    if (cuFuncGetParamInfo(last.function, i, &offset, &size) != 0 ||
        at + size + 64 > sizeof bytes)
      return;
    last.parameters[i] = memcpy(bytes + at, parameters[i], size);
    at += (size + 63) / 64 * 64;
  }
}

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z,
                   unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **parameters, void **extra) {
  if (!launchKernel)
    launchKernel = (launcher)find("cuLaunchKernel");
  if (!launchKernel)
    return 1;
  double start = now();
  int status = launchKernel(function, x, y, z, bx, by, bz, shared, stream,
                            parameters, extra);
  count(at_cuLaunchKernel, "cuLaunchKernel", start);
  keep(function,
       (struct config){{x, y, z}, {bx, by, bz}, shared, stream, NULL, 0},
       parameters);
  return status;
}

int cuLaunchKernelEx(const struct config *config, void *function,
                     void **parameters, void **extra) {
  if (!launchKernelEx)
    launchKernelEx = (launcherEx)find("cuLaunchKernelEx");
  if (!launchKernelEx)
    return 801; /* not supported */
  double start = now();
  int status = launchKernelEx(config, function, parameters, extra);
  count(at_cuLaunchKernelEx, "cuLaunchKernelEx", start);
  keep(function, *config, parameters);
  return status;
}

static int repeat(void) {
  const struct config *c = &last.config;
  if (c->count)
    return launchKernelEx(c, last.function, last.parameters, NULL);
  return launchKernel(last.function, c->grid[0], c->grid[1], c->grid[2],
                      c->block[0], c->block[1], c->block[2], c->shared,
                      c->stream, last.parameters, NULL);
}

/* Repeats the first launch of the last kernel; microseconds a launch. */
double watch_repeat(int times) {
  double start = now();
  for (int i = 0; i < times; ++i)
    if (repeat())
      return -1;
  return (now() - start) / times;
}

/* Forgets what was counted. */
void watch_reset(void) { memset(counts, 0, sizeof counts); }

/* Microseconds of each function in a launch, as members of a JSON object. */
void watch_print(FILE *out, int launches) {
  for (int i = 0; i < watched; ++i)
    if (counts[i].calls)
      fprintf(out, ", \"%s_us\": %.3f", counts[i].name,
              counts[i].total / launches);
}
