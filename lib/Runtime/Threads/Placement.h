//===- Placement.h - Which processor a thread runs on -----------*- C++ -*-===//
#ifndef FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H
#define FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H

namespace fovea {

/// The processor that the calling thread runs on, or -1.
int currentProcessor();

/// Where the calling thread runs on `processor` and may run on others, moves it
/// to one of them; where it may run later stays as it was. Returns the
/// processor that it runs on then.
int leaveProcessor(int processor);

} // namespace fovea

#endif // FOVEA_LIB_RUNTIME_THREADS_PLACEMENT_H
