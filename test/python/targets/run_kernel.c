/* Runs one form of a kernel on a call that lies in a file, standard input.
 *
 * The file is mapped where its pointers say, so results appear in it. Pages
 * between the tensors are taken away: whoever reads or writes outside of one
 * faults. Scratch and workspace hold NaN before each use. Freestanding but for
 * what it declares, so that no headers of the target are needed.
 */
#include "fovea/Target/CPU/KernelABI.h"

#include <stddef.h>

int64_t plan_function(const fovea_cpu_args *, fovea_cpu_plan *);
int64_t run_function(const fovea_cpu_args *, int64_t, int64_t, int64_t, void *);

void *mmap(void *, size_t, int, int, int, long);
int munmap(void *, size_t);
void *memset(void *, int, size_t);
_Noreturn void _exit(int);

/* As in foreign_memory.py. */
enum { PAGE = 1 << 16 };
#define BASE ((void *)0x1000000000)
struct request {
  int64_t bytes;
  const int64_t *holes;
  int64_t holes_count;
  const int64_t *only;         /* items to compute; null: all */
  int64_t only_count, only_of; /* where the call has as many as they are of */
  int64_t *reported;           /* takes the items that met non-finite values */
  int64_t reported_count, items;
  fovea_cpu_args args;
};

enum { READ_WRITE = 3, SHARED = 1, PRIVATE = 2, FIXED = 16, ANONYMOUS = 32 };

static void *map_file(size_t bytes) {
  if (mmap(BASE, bytes, READ_WRITE, SHARED | FIXED, 0, 0) != BASE)
    _exit(70);
  return BASE;
}

/* Memory that ends, within 64 bytes, where nothing is. */
static char *allocate(int64_t bytes) {
  size_t used = ((size_t)bytes + 63) / 64 * 64;
  size_t pages = (used + PAGE - 1) / PAGE * PAGE;
  char *memory =
      mmap(NULL, pages + PAGE, READ_WRITE, PRIVATE | ANONYMOUS, -1, 0);
  if (memory == (void *)-1 || munmap(memory + pages, PAGE))
    _exit(71);
  return memory + pages - used;
}

#if defined(__x86_64__)
/* No call has left an address on the stack. */
__attribute__((force_align_arg_pointer))
#endif
void _start(void) {
  struct request *request = map_file(PAGE);
  map_file((size_t)request->bytes);
  for (int64_t i = 0; i < request->holes_count; ++i)
    if (munmap((void *)request->holes[i], PAGE))
      _exit(72);

  fovea_cpu_plan plan = {0, 0, 0, 0};
  request->items = plan_function(&request->args, &plan);
  char *scratch = allocate(plan.scratch_bytes);
  if (plan.workspace_bytes) {
    char *workspace = allocate(plan.workspace_bytes);
    memset(workspace, 0xff, (size_t)plan.workspace_bytes);
    memset(workspace, 0, (size_t)plan.cleared_bytes);
    request->args.workspace = workspace;
  }
  int some = request->only && request->items == request->only_of;
  int64_t count = some ? request->only_count : request->items;
  for (int64_t i = 0; i < count; ++i) {
    int64_t item = some ? request->only[i] : i;
    int64_t next = item + 1 < request->items ? item + 1 : item;
    memset(scratch, 0xff, (size_t)plan.scratch_bytes);
    if (run_function(&request->args, item, item + 1, next, scratch))
      request->reported[request->reported_count++] = item;
  }
  _exit(0);
}
