// Reads two arrays with several threads and returns the seconds: what a decode
// step cannot be faster than. Pieces of 1 MiB are handed out by one counter,
// the threads start together. With a table the arrays are pages, read in its
// order: a page of the first array, then that of the second.
//
//   cc -O3 -march=native -shared -fPIC read.c -o read.so -lpthread
#include <immintrin.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

enum { Piece = 1 << 20, MostThreads = 256 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

typedef struct Job {
  const char *arrays[2];
  size_t bytes; // of each
  size_t next;
  const long *table; // null without
  size_t page;       // bytes
  pthread_barrier_t gate;
  double begin[MostThreads], end[MostThreads];
  int number;
} Job;

// The sum is kept, so that reading is not optimised away.
static volatile int kept;

static int readPiece(const char *from, size_t bytes) {
  __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256(), _mm256_setzero_si256()};
#pragma clang loop unroll(disable)
  for (size_t i = 0; i + 128 <= bytes; i += 128)
    for (int j = 0; j < 4; j++)
      sum[j] = _mm256_xor_si256(
          sum[j], _mm256_loadu_si256((const __m256i *)(from + i + 32 * j)));
  sum[0] = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]),
                            _mm256_xor_si256(sum[2], sum[3]));
  return _mm256_extract_epi32(sum[0], 0) ^ _mm256_extract_epi32(sum[0], 5);
}

static int readPages(const Job *job, size_t first, size_t end) {
  int sum = 0;
  for (size_t i = first; i < end; ++i)
    for (int j = 0; j < 2; ++j)
      sum ^= readPiece(job->arrays[j] + job->table[i] * job->page, job->page);
  return sum;
}

static void *work(void *argument) {
  Job *job = argument;
  int self = __atomic_fetch_add(&job->number, 1, __ATOMIC_RELAXED), sum = 0;
  size_t pieces = (job->bytes + Piece - 1) / Piece;
  pthread_barrier_wait(&job->gate);
  job->begin[self] = now();
  for (size_t i; (i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) <
                 2 * pieces;) {
    size_t start = i / 2 * Piece;
    size_t bytes = job->bytes - start < Piece ? job->bytes - start : Piece;
    if (!job->table)
      sum ^= readPiece(job->arrays[i % 2] + start, bytes);
    else if (i % 2 == 0) // both arrays at once
      sum ^= readPages(job, start / job->page,
                       (start + bytes + job->page - 1) / job->page);
  }
  job->end[self] = now();
  kept = sum;
  return NULL;
}

double read_seconds(const char *first, const char *second, size_t bytes,
                    const long *table, size_t page, int threads) {
  static Job job;
  pthread_t others[MostThreads];
  job.arrays[0] = first;
  job.arrays[1] = second;
  job.bytes = bytes;
  job.table = table;
  job.page = page;
  job.next = job.number = 0;
  pthread_barrier_init(&job.gate, NULL, threads);
  for (int i = 1; i < threads; i++)
    pthread_create(&others[i], NULL, work, &job);
  work(&job);
  for (int i = 1; i < threads; i++)
    pthread_join(others[i], NULL);
  pthread_barrier_destroy(&job.gate);
  double begin = job.begin[0], end = job.end[0];
  for (int i = 1; i < threads; i++) {
    begin = job.begin[i] < begin ? job.begin[i] : begin;
    end = job.end[i] > end ? job.end[i] : end;
  }
  return end - begin;
}
