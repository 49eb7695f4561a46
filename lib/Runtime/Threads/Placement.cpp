//===- Placement.cpp - Which processor a thread runs on -------------------===//
#include "Placement.h"

#include <cerrno>

using namespace fovea;

int fovea::currentProcessor() { return sched_getcpu(); }

/// Lets the thread run where it could before. The system may lack memory for a
/// moment; where it refuses the set (EINVAL), all of these processors were
/// taken from the process meanwhile, and it has said itself where the thread
/// runs.
static void restore(SetAffinity setAffinity, size_t size,
                    const cpu_set_t *set) {
  for (int attempts = 0; attempts < 100; ++attempts) {
    if (setAffinity(0, size, set) == 0 || errno == EINVAL)
      return;
    sched_yield();
  }
}

int fovea::leaveProcessor(int processor, SetAffinity setAffinity) {
  int own = currentProcessor();
  if (own < 0 || own != processor)
    return own;
  constexpr int most = 1 << 16; // processors of the largest set that is tried
  for (int bits = CPU_SETSIZE; bits <= most; bits *= 2) {
    cpu_set_t *set = CPU_ALLOC(bits);
    if (!set)
      return own;
    size_t size = CPU_ALLOC_SIZE(bits);
    bool found = sched_getaffinity(0, size, set) == 0;
    if (found && CPU_COUNT_S(size, set) > 1 && CPU_ISSET_S(own, size, set)) {
      CPU_CLR_S(own, size, set);
      if (setAffinity(0, size, set) == 0) {
        processor = currentProcessor();
        CPU_SET_S(own, size, set);
        restore(setAffinity, size, set);
      }
    }
    CPU_FREE(set);
    if (found)
      break;
  }
  return processor;
}
