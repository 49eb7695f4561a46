// The multiply-add rate of this machine, all of some threads at once.
//
//   cc -O3 -march=native -shared -fPIC peak.c -o peak.so -lpthread
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

// All threads measure at once: without this, one could finish before another
// starts and the sum of their rates would mean nothing.
static pthread_barrier_t gate;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// Twelve independent chains in named registers: enough for a latency of four at
// one or two instructions a clock.
#define CHAINS(X)                                                              \
  X(a0) X(a1) X(a2) X(a3) X(a4) X(a5) X(a6) X(a7) X(a8) X(a9) X(a10) X(a11)
enum { Chains = 12, Most = 256 };
static long steps;

#if defined(__AVX512F__)
typedef __m512 Vector;
enum { Lanes = 16 };
#define SET1 _mm512_set1_ps
#define LOW(x) _mm_cvtss_f32(_mm512_castps512_ps128(x))
#elif defined(__AVX2__) && defined(__FMA__)
typedef __m256 Vector;
enum { Lanes = 8 };
#define SET1 _mm256_set1_ps
#define LOW(x) _mm_cvtss_f32(_mm256_castps256_ps128(x))
#else
#error "peak.c needs a processor with fused multiply-add (x86-64-v3)"
#endif

typedef struct Result {
  int index; // of the thread
  double rate;
  double keep; // what was computed, so that it is not optimised away
} Result;

// A thread a processor: two that begin on one would measure the scheduler. A
// thread calls it for itself, as one that ended has no processors to set.
static void pin(int index) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed))
    return;
  index %= CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed) || index--)
      continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

#define DECLARE(x) Vector x = one;
#define SUM(x) keep += LOW(x);

static void *measureF32(void *argument) {
  Result *result = argument;
  Vector one = SET1(1), b = SET1(1e-7f), c = SET1(0.9999999f);
  CHAINS(DECLARE)
  pin(result->index);
  pthread_barrier_wait(&gate);
  double start = now();
#define FMA(x)                                                                 \
  __asm__ volatile("vfmadd132ps %1, %2, %0" : "+v"(x) : "v"(c), "v"(b));
  for (long i = 0; i < steps; i++) {
    CHAINS(FMA)
  }
  double seconds = now() - start, keep = 0;
  CHAINS(SUM)
  result->rate = 2.0 * Lanes * Chains * steps / seconds / 1e9;
  result->keep = keep;
  return 0;
}

#ifdef __AVX512BF16__
static void *measureBF16(void *argument) {
  Result *result = argument;
  Vector one = SET1(1);
  __m512i b = _mm512_set1_epi16(0x3c00);
  CHAINS(DECLARE)
  pin(result->index);
  pthread_barrier_wait(&gate);
  double start = now();
#define DOT(x) __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(x) : "v"(b));
  for (long i = 0; i < steps; i++) {
    CHAINS(DOT)
  }
  double seconds = now() - start, keep = 0;
  CHAINS(SUM)
  result->rate = 4.0 * Lanes * Chains * steps / seconds / 1e9;
  result->keep = keep;
  return 0;
}
#else
static void *(*const measureBF16)(void *) = 0;
#endif

// GFLOP/s of f32 multiply-adds, or of bf16 dot products: 0 without them.
double peak_rate(int bf16, int threads, long count) {
  void *(*measure)(void *) = bf16 ? measureBF16 : measureF32;
  pthread_t handles[Most];
  Result results[Most];
  double total = 0;
  threads = threads < 1 ? 1 : threads > Most ? Most : threads;
  steps = count;
  if (!measure)
    return 0;
  pthread_barrier_init(&gate, 0, threads);
  for (int i = 0; i < threads; i++) {
    results[i].index = i;
    pthread_create(&handles[i], 0, measure, &results[i]);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(handles[i], 0);
    total += results[i].rate;
  }
  pthread_barrier_destroy(&gate);
  return total;
}
