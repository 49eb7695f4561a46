/*===- FakeCuda.c - A driver without a device
 * ------------------------------===//
 *
 * Answers as libcuda does, in host memory, and keeps a log of what changes the
 * state of a device. Tests set what it reports and which call fails.
 *
 *===----------------------------------------------------------------------===*/
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char fakeLog[1 << 16];
const char *fakeFailing = "";
/// What cuLaunchKernelEx answers where nothing else fails, and the version.
int fakeRefusal = 0, fakeVersion = 12030;
/// How many plain launches go well before the others fail; all: -1.
int fakeGoodLaunches = -1;
int fakeRegisters = 168, fakeLocalBytes = 0, fakeMinor = 0, fakeDevices = 1;
void *fakeParameters[64];
int fakeParameterCount = 0;
/// The parameter whose first bytes are kept; none: -1.
int fakeWide = -1;
char fakeWideBytes[40];

/// Timings and threads want neither the log nor its growth.
int fakeQuiet = 0;
/// Launches of threads: the address in the map, the capture and the lse are
/// 2^28 times one more than the stream's number, and its offset.
int fakeThreads = 0;
atomic_int fakeMismatches = 0;

static void note(const char *text) {
  if (fakeQuiet)
    return;
  strncat(fakeLog, text, sizeof fakeLog - strlen(fakeLog) - 1);
  strncat(fakeLog, "\n", sizeof fakeLog - strlen(fakeLog) - 1);
}

static int answer(const char *name) {
  return strcmp(fakeFailing, name) == 0 ? 700 : 0;
}

int cuInit(unsigned flags) {
  fakeQuiet = getenv("FAKE_CUDA_QUIET") != NULL;
  return flags == 0 ? answer("cuInit") : 1;
}
int cuGetErrorName(int status, const char **name) {
  *name = status == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_OTHER";
  return 0;
}
int cuDeviceGetCount(int *count) {
  *count = fakeDevices;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char *name, int size, int device) {
  snprintf(name, (size_t)size, "Fake %d", device);
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 16 ? 132 : attribute == 75 ? 9 : fakeMinor;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
  static int contexts[8];
  *context = &contexts[device];
  note("retain");
  return answer("cuDevicePrimaryCtxRetain");
}
/// The stack of current contexts, one a thread.
static _Thread_local void *stack[64];
static _Thread_local int depth = 0;
int fakeDepth(void) { return depth; }
int cuCtxGetCurrent(void **context) {
  *context = depth ? stack[depth - 1] : NULL;
  return 0;
}
int cuCtxPushCurrent_v2(void *context) {
  note("push");
  stack[depth++] = context;
  return 0;
}
int cuCtxPopCurrent_v2(void **context) {
  *context = stack[--depth];
  return 0;
}
int cuCtxSynchronize(void) { return 0; }
int cuModuleLoadData(void **module, const void *image) {
  char text[64];
  snprintf(text, sizeof text, "load %.20s", (const char *)image);
  note(text);
  *module = fakeLog;
  return answer("cuModuleLoadData");
}
int cuModuleUnload(void *module) {
  (void)module;
  note("unload");
  return 0;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
  char text[128];
  snprintf(text, sizeof text, "function %s", name);
  note(text);
  *function = module;
  return answer("cuModuleGetFunction");
}
int cuFuncGetAttribute(int *value, int attribute, void *function) {
  (void)function;
  *value = attribute == 3 ? fakeLocalBytes : fakeRegisters;
  return 0;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
  char text[64];
  (void)function;
  snprintf(text, sizeof text, "attribute %d = %d", attribute, value);
  note(text);
  return 0;
}
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  char text[64];
  snprintf(text, sizeof text, "allocate %zu", bytes);
  note(text);
  *address = (uint64_t)(uintptr_t)malloc(bytes);
  return answer("cuMemAlloc");
}
int cuMemFree_v2(uint64_t address) {
  note("free");
  free((void *)(uintptr_t)address);
  return 0;
}
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes,
                    void *stream) {
  (void)stream;
  memset((void *)(uintptr_t)address, value, bytes);
  return 0;
}
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address,
                           const uint64_t *sizes, const uint64_t *strides,
                           const uint32_t *box, const uint32_t *steps,
                           int interleave, int swizzle, int promotion,
                           int fill) {
  char text[256];
  int at =
      snprintf(text, sizeof text, "map type %d swizzle %d promotion %d:", type,
               swizzle, promotion);
  (void)steps, (void)interleave, (void)fill;
  if ((uintptr_t)map % 64 != 0 || (uintptr_t)address % 16 != 0)
    return 1;
  for (uint32_t i = 0; i < rank; ++i)
    at += snprintf(text + at, sizeof text - (size_t)at, " %llu/%u",
                   (unsigned long long)sizes[i], box[i]);
  for (uint32_t i = 0; i + 1 < rank; ++i)
    at += snprintf(text + at, sizeof text - (size_t)at, " +%llu",
                   (unsigned long long)strides[i]);
  note(text);
  memset(map, 0x5a, 128);
  return answer("cuTensorMapEncodeTiled");
}
int cuTensorMapReplaceAddress(void *map, uint64_t address) {
  note("replace");
  memcpy(map, &address, sizeof address);
  return answer("cuTensorMapReplaceAddress");
}
int cuDriverGetVersion(int *version) {
  *version = fakeVersion;
  return 0;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz,
                   unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **parameters, void **extra) {
  char text[128];
  (void)function, (void)extra;
  snprintf(text, sizeof text,
           "launch %ux%ux%u of %ux%ux%u, %u bytes, stream %p", gx, gy, gz, bx,
           by, bz, shared, stream);
  note(text);
  if (fakeThreads) {
    uint64_t map = *(uint64_t *)parameters[0];
    uint64_t slope = *(uint64_t *)parameters[1],
             lse = *(uint64_t *)parameters[2];
    int fresh = map == 0x5a5a5a5a5a5a5a5au;
    if (slope != lse + 0x1000000 ||
        (lse >> 28) != ((uint64_t)stream >> 20) + 1 ||
        (!fresh && map != lse - 0x4000000))
      ++fakeMismatches;
  }
  for (int i = 0; i < fakeParameterCount; ++i)
    memcpy(&fakeParameters[i], parameters[i], sizeof(void *));
  if (fakeWide >= 0)
    memcpy(fakeWideBytes, parameters[fakeWide], sizeof fakeWideBytes);
  if (fakeGoodLaunches == 0)
    return 700;
  fakeGoodLaunches -= fakeGoodLaunches > 0;
  return answer("cuLaunchKernel");
}

/// As the driver's header has them.
struct attribute {
  int number;
  char pad[4];
  union {
    char bytes[64];
    int value;
    void *pointer;
  } value;
};
struct config {
  unsigned gx, gy, gz, bx, by, bz, shared;
  void *stream;
  struct attribute *attributes;
  unsigned count;
};
int cuLaunchKernelEx(const struct config *config, void *function,
                     void **parameters, void **extra) {
  char text[64];
  for (unsigned i = 0; i < config->count; ++i) {
    snprintf(text, sizeof text, "with %d = %d", config->attributes[i].number,
             config->attributes[i].value.value);
    note(text);
  }
  if (fakeRefusal)
    return fakeRefusal;
  return cuLaunchKernel(function, config->gx, config->gy, config->gz,
                        config->bx, config->by, config->bz, config->shared,
                        config->stream, parameters, extra);
}
