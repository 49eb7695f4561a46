//===- GatherPages.h - Pages copied to whole sequences ----------*- C++ -*-===//
//
// For engines that read keys and values in one piece: the interpreter, kernels
// for many queries, the exact kernels.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_RUNTIME_GATHERPAGES_H
#define FOVEA_RUNTIME_GATHERPAGES_H

#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

#include <cstdlib>
#include <memory>
#include <vector>

namespace fovea {

/// A launch without pages, and the memory that it reads.
struct GatheredPages {
  using Memory = std::unique_ptr<void, void (*)(void *)>;
  static llvm::Expected<GatheredPages> make(const LaunchView &view);

  LaunchView view;
  std::vector<Memory> memory;
};

} // namespace fovea

#endif // FOVEA_RUNTIME_GATHERPAGES_H
