// Measured ceilings of this machine, as JSON: f32 and bf16 multiply-add rate
// and copy bandwidth (--bandwidth) of a number of threads at once.
//
//   cc -O3 -march=native peak.c -o peak -lpthread
//   ./peak THREADS [--bandwidth]
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
enum { Chains = 12, Steps = 6000000 };

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
  double rate;
  double keep; // what was computed, so that it is not optimised away
} Result;

#define DECLARE(x) Vector x = one;
#define SUM(x) keep += LOW(x);

static void *measureF32(void *argument) {
  Result *result = argument;
  Vector one = SET1(1), b = SET1(1e-7f), c = SET1(0.9999999f);
  CHAINS(DECLARE)
  pthread_barrier_wait(&gate);
  double start = now();
#define FMA(x)                                                                 \
  __asm__ volatile("vfmadd132ps %1, %2, %0" : "+v"(x) : "v"(c), "v"(b));
  for (long i = 0; i < Steps; i++) {
    CHAINS(FMA)
  }
  double seconds = now() - start, keep = 0;
  CHAINS(SUM)
  result->rate = 2.0 * Lanes * Chains * Steps / seconds / 1e9;
  result->keep = keep;
  return 0;
}

#ifdef __AVX512BF16__
static void *measureBF16(void *argument) {
  Result *result = argument;
  Vector one = SET1(1);
  __m512i b = _mm512_set1_epi16(0x3c00);
  CHAINS(DECLARE)
  pthread_barrier_wait(&gate);
  double start = now();
#define DOT(x) __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(x) : "v"(b));
  for (long i = 0; i < Steps; i++) {
    CHAINS(DOT)
  }
  double seconds = now() - start, keep = 0;
  CHAINS(SUM)
  result->rate = 4.0 * Lanes * Chains * Steps / seconds / 1e9;
  result->keep = keep;
  return 0;
}
#endif

enum { Bytes = 256 << 20 };

static void *measureCopy(void *argument) {
  Result *result = argument;
  char *from = malloc(Bytes), *to = malloc(Bytes);
  memset(from, 1, Bytes);
  memset(to, 2, Bytes);
  pthread_barrier_wait(&gate);
  double best = 1e9;
  for (int round = 0; round < 4; round++) {
    double start = now();
    memcpy(to, from, Bytes);
    __asm__ volatile("" : : "r"(to) : "memory"); // it is read
    double seconds = now() - start;
    best = seconds < best ? seconds : best;
  }
  result->rate = 2.0 * Bytes / best / 1e9;
  result->keep = to[Bytes / 2];
  free(from);
  free(to);
  return 0;
}

static double run(void *(*measure)(void *), int threads) {
  enum { Most = 256 };
  pthread_t handles[Most];
  Result results[Most];
  threads = threads < 1 ? 1 : threads > Most ? Most : threads;
  double best = 0;
  pthread_barrier_init(&gate, 0, threads);
  for (int round = 0; round < 3; round++) {
    double total = 0;
    for (int i = 0; i < threads; i++)
      pthread_create(&handles[i], 0, measure, &results[i]);
    for (int i = 0; i < threads; i++) {
      pthread_join(handles[i], 0);
      total += results[i].rate;
    }
    best = total > best ? total : best;
  }
  pthread_barrier_destroy(&gate);
  return best;
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  int bandwidth = count > 2 && !strcmp(arguments[2], "--bandwidth");
  printf("{\"threads\": %d, \"f32_gflops\": %.1f", threads,
         run(measureF32, threads));
#ifdef __AVX512BF16__
  printf(", \"bf16_gflops\": %.1f", run(measureBF16, threads));
#endif
  if (bandwidth)
    printf(", \"copy_gbs\": %.1f", run(measureCopy, threads));
  printf("}\n");
  return 0;
}
