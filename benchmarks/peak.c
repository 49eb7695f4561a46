// The multiply-add rates of this machine: of f32, of bf16 dot products, of bf16
// tiles (AMX). What the processor has is found when asked, so that one build
// serves every machine of an architecture. Elsewhere than on x86-64 and AArch64
// every rate is 0.
//
//   cc -O3 -shared -fPIC peak.c -o peak.so -lpthread
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

enum { Most = 256 };
enum Kind { F32, BF16, AMX, Kinds };

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// Independent chains in named registers, enough for the latency of what they
// measure: twelve for four clocks at two or three instructions a clock.
#define TWELVE(X)                                                              \
  X(a0) X(a1) X(a2) X(a3) X(a4) X(a5) X(a6) X(a7) X(a8) X(a9) X(a10) X(a11)
#define DECLARE(x) Vector x = one;

// Seconds that so many steps take by a clock. USE: every chain is used, so that
// none is optimised away.
#define PROBE(NAME, ISA, VECTOR, ONE, CHAINS, STEP, USE)                       \
  ISA static double NAME(long steps, clockid_t clock) {                        \
    typedef VECTOR Vector;                                                     \
    Vector one = ONE(1.0f), b = ONE(1e-7f), c = ONE(0.9999999f);               \
    CHAINS(DECLARE)                                                            \
    (void)c;                                                                   \
    double start = now(clock);                                                 \
    for (long i = 0; i < steps; i++) {                                         \
      CHAINS(STEP)                                                             \
    }                                                                          \
    double seconds = now(clock) - start;                                       \
    CHAINS(USE)                                                                \
    return seconds;                                                            \
  }

// A product of a few queries with 96 KiB of keys, as kernels compute it: its
// rate tells whether loads and the caches are disturbed, which multiply-adds in
// registers do not see.
enum { Keys = 384, Depth = 64, MostLanes = 16 };
static float keys[Keys * Depth], queries[Depth * 2 * MostLanes];

#define STEP_OF(i)                                                             \
  x = keys[(k + i) * Depth + d];                                               \
  s[i][0] += x * b0;                                                           \
  s[i][1] += x * b1;
#define PRODUCT(NAME, ISA, LANES)                                              \
  ISA static double NAME(long rounds, clockid_t clock) {                       \
    typedef float V __attribute__((vector_size(4 * LANES), aligned(4)));       \
    double start = now(clock);                                                 \
    for (long k = 0, r = 0; r < rounds; k += 6, r += k == Keys, k %= Keys) {   \
      V s[6][2] = {{{0}}};                                                     \
      for (int d = 0; d < Depth; d++) {                                        \
        V b0 = *(const V *)(queries + 2 * d * LANES);                          \
        V b1 = *(const V *)(queries + (2 * d + 1) * LANES);                    \
        float x;                                                               \
        STEP_OF(0) STEP_OF(1) STEP_OF(2) STEP_OF(3) STEP_OF(4) STEP_OF(5)      \
      }                                                                        \
      __asm__ volatile("" ::"m"(s));                                           \
    }                                                                          \
    return now(clock) - start;                                                 \
  }

typedef double Probe(long, clockid_t);
// The probe of a kind and the operations of one of its steps; null without.
typedef struct Found {
  Probe *probe;
  double operations;
} Found;

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOR(ISA) __attribute__((target(ISA)))
#define USE_X(x) __asm__ volatile("" ::"x"(x));
#define USE_V(x) __asm__ volatile("" ::"v"(x));
#define FMA_X(x)                                                               \
  __asm__ volatile("vfmadd132ps %1, %2, %0" : "+x"(x) : "x"(c), "x"(b));
#define FMA_V(x)                                                               \
  __asm__ volatile("vfmadd132ps %1, %2, %0" : "+v"(x) : "v"(c), "v"(b));
#define DOT_V(x) __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(x) : "v"(b));

PROBE(probeAVX2, FOR("avx2,fma"), __m256, _mm256_set1_ps, TWELVE, FMA_X, USE_X)
PROBE(probeAVX512, FOR("avx512f"), __m512, _mm512_set1_ps, TWELVE, FMA_V, USE_V)
PROBE(probeDots, FOR("avx512f,avx512bf16"), __m512, _mm512_set1_ps, TWELVE,
      DOT_V, USE_V)

PRODUCT(productAVX2, FOR("avx2,fma"), 8)
PRODUCT(productAVX512, FOR("avx512f"), 16)

// Six chains of tiles of 16 rows by 64 bytes, all of the same two factors.
FOR("amx-tile,amx-bf16")
static double probeTiles(long steps, clockid_t clock) {
  struct {
    unsigned char palette, start, reserved[14];
    unsigned short bytes[16];
    unsigned char rows[16];
  } __attribute__((aligned(64))) shape = {1, 0, {0}, {0}, {0}};
  unsigned factors[16 * 16]; // pairs of bf16
  for (int i = 0; i < 8; i++) {
    shape.bytes[i] = 64;
    shape.rows[i] = 16;
  }
  for (int i = 0; i < 16 * 16; i++)
    factors[i] = 0x3c003c00;
  __asm__ volatile("ldtilecfg %0" ::"m"(shape));
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm6\n\t"
                   "tileloadd (%0,%1,1), %%tmm7\n\t"
                   "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\t"
                   "tilezero %%tmm3\n\ttilezero %%tmm4\n\ttilezero %%tmm5"
                   :
                   : "r"(factors), "r"(64L)
                   : "memory");
  double start = now(clock);
  for (long i = 0; i < steps; i++)
    __asm__ volatile("tdpbf16ps %%tmm7, %%tmm6, %%tmm0\n\t"
                     "tdpbf16ps %%tmm7, %%tmm6, %%tmm1\n\t"
                     "tdpbf16ps %%tmm7, %%tmm6, %%tmm2\n\t"
                     "tdpbf16ps %%tmm7, %%tmm6, %%tmm3\n\t"
                     "tdpbf16ps %%tmm7, %%tmm6, %%tmm4\n\t"
                     "tdpbf16ps %%tmm7, %%tmm6, %%tmm5" ::);
  // The tiles are on their way: their sum has to have come.
  __asm__ volatile("tilestored %%tmm5, (%0,%1,1)"
                   :
                   : "r"(factors), "r"(64L)
                   : "memory");
  double seconds = now(clock) - start;
  __asm__ volatile("tilerelease" ::);
  return seconds;
}

static int hasDots(void) {
  unsigned a, b, c, d;
  return __builtin_cpu_supports("avx512f") &&
         __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

// The system gives a process the state of tiles where it asks for it.
static int hasTiles(void) {
#ifdef SYS_arch_prctl
  enum { RequestPermission = 0x1023, TileData = 18 };
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return 0;
  int bf16 = d >> 22 & 1, tiles = d >> 24 & 1;
  return bf16 && tiles &&
         syscall(SYS_arch_prctl, RequestPermission, TileData) == 0;
#else
  return 0;
#endif
}

static Found find(enum Kind kind) {
  __builtin_cpu_init();
  if (kind == AMX && hasTiles())
    return (Found){probeTiles, 6 * 2.0 * 16 * 16 * 32};
  if (kind == BF16 && hasDots())
    return (Found){probeDots, 12 * 4.0 * 16};
  if (kind == F32 && __builtin_cpu_supports("avx512f"))
    return (Found){probeAVX512, 12 * 2.0 * 16};
  if (kind == F32 && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return (Found){probeAVX2, 12 * 2.0 * 8};
  return (Found){0, 0};
}

static Probe *findProduct(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") ? productAVX512 : productAVX2;
}

#elif defined(__aarch64__)
#include <arm_neon.h>

// Twenty chains: four multiply-adds a clock, four clocks each, are sixteen.
#define TWENTY(X)                                                              \
  TWELVE(X) X(a12) X(a13) X(a14) X(a15) X(a16) X(a17) X(a18) X(a19)
#define USE_W(x) __asm__ volatile("" ::"w"(x));
#define FMLA(x)                                                                \
  __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(x) : "w"(c), "w"(b));

PROBE(probeNEON, , float32x4_t, vdupq_n_f32, TWENTY, FMLA, USE_W)
PRODUCT(productNEON, , 4)

static Found find(enum Kind kind) {
  return kind == F32 ? (Found){probeNEON, 20 * 2.0 * 4} : (Found){0, 0};
}

static Probe *findProduct(void) { return productNEON; }

#else
static Found find(enum Kind kind) {
  (void)kind;
  return (Found){0, 0};
}

static Probe *findProduct(void) { return 0; }
#endif

static const Found *found(int kind) {
  static Found kinds[Kinds];
  static int asked[Kinds];
  static const Found none;
  if (kind < 0 || kind >= Kinds)
    return &none;
  if (!asked[kind]) {
    kinds[kind] = find(kind);
    asked[kind] = 1;
  }
  return &kinds[kind];
}

static double rate(const Found *one, long steps, clockid_t clock) {
  return one->operations * steps / one->probe(steps, clock) / 1e9;
}

// All threads measure at once: without this, one could finish before another
// starts and the sum of their rates would mean nothing.
static pthread_barrier_t gate;

typedef struct Thread {
  int index;
  const Found *kind;
  long steps;
  double rate;
} Thread;

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

static void *measure(void *argument) {
  Thread *thread = argument;
  pin(thread->index);
  pthread_barrier_wait(&gate);
  thread->rate = rate(thread->kind, thread->steps, CLOCK_MONOTONIC);
  return 0;
}

// GFLOP/s of a kind, all of some threads at once; 0 where there is none.
double peak_rate(int kind, int threads, long steps) {
  const Found *one = found(kind);
  pthread_t handles[Most];
  Thread all[Most];
  double total = 0;
  threads = threads < 1 ? 1 : threads > Most ? Most : threads;
  if (!one->probe)
    return 0;
  pthread_barrier_init(&gate, 0, threads);
  for (int i = 0; i < threads; i++) {
    all[i] = (Thread){i, one, steps, 0};
    pthread_create(&handles[i], 0, measure, &all[i]);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(handles[i], 0);
    total += all[i].rate;
  }
  pthread_barrier_destroy(&gate);
  return total;
}

// Seconds of processor time that so many steps take this thread; 0 without.
double peak_seconds(int kind, long steps) {
  const Found *one = found(kind);
  return one->probe ? one->probe(steps, CLOCK_THREAD_CPUTIME_ID) : 0;
}

// Seconds of processor time that so many rounds of the product take.
double product_seconds(long rounds) {
  static Probe *product;
  if (!product) {
    // What was never written is one page of zeros, wherever it is read.
    for (int i = 0; i < Keys * Depth; i++)
      keys[i] = queries[i % (Depth * 2 * MostLanes)] = 1e-3f;
    product = findProduct();
  }
  return product ? product(rounds, CLOCK_THREAD_CPUTIME_ID) : 0;
}

typedef struct Sample {
  double seconds; // of the call, processor time of this thread
  double before;  // GFLOP/s
  double after;
  double switches; // to other threads of this system meanwhile
  double product;  // seconds of the slower of two products
} Sample;

static long switches(void) {
  struct rusage used;
  return getrusage(RUSAGE_THREAD, &used) ? 0 : used.ru_nivcsw;
}

// One call on this thread between two probes of the same and two products; what
// the call gives. Where the first of them are slower than told, `idle` is
// called instead and its time is 0. There has to be such a probe.
void *peak_sample(int kind, long steps, long rounds, double least, double most,
                  void *(*call)(void *), void *argument, void *idle,
                  Sample *sample) {
  const Found *one = found(kind);
  long already = switches();
  double first = product_seconds(rounds);
  double before = rate(one, steps, CLOCK_THREAD_CPUTIME_ID);
  *sample = (Sample){0, before, before, 0, first};
  if (before < least || first > most)
    return call(idle);
  double start = now(CLOCK_THREAD_CPUTIME_ID);
  void *result = call(argument);
  sample->seconds = now(CLOCK_THREAD_CPUTIME_ID) - start;
  sample->after = rate(one, steps, CLOCK_THREAD_CPUTIME_ID);
  double last = product_seconds(rounds);
  sample->product = first > last ? first : last;
  sample->switches = switches() - already;
  return result;
}
