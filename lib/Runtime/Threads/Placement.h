//===- Placement.h - Which processor a thread runs on -----------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H
#define FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H

#include <sched.h>

namespace fovea {

/// As sched_setaffinity, by which tests stand for the system.
using SetAffinity = int (*)(pid_t, size_t, const cpu_set_t *);

/// The processor that the calling thread runs on, or -1.
int currentProcessor();

/// Where the calling thread runs on `processor` and may run on others, moves it
/// to one of them; where it may run later stays as it was. Returns the
/// processor that it runs on then.
int leaveProcessor(int processor, SetAffinity setAffinity = sched_setaffinity);

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H
