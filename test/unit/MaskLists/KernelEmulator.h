//===- KernelEmulator.h - GPU kernels on the host ---------------*- C++ -*-===//
//
// Runs kernels without inline assembly: compiled for the host, a fiber a
// thread. Votes, shuffles, reductions and barriers are where fibers meet; lanes
// of a warp that meet at different ones are an error.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TEST_UNIT_MASKLISTS_KERNELEMULATOR_H
#define FOVEA_TEST_UNIT_MASKLISTS_KERNELEMULATOR_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace fovea::test {

class KernelEmulator {
public:
  /// Compiles these kernels; the module loses all others.
  static llvm::Expected<std::unique_ptr<KernelEmulator>>
  compile(mlir::ModuleOp module, llvm::ArrayRef<std::string> kernels);
  ~KernelEmulator();

  /// Arguments are the bits of integers and addresses. Returns what was wrong,
  /// or nothing.
  std::string run(llvm::StringRef kernel, int64_t grid, unsigned threads,
                  llvm::ArrayRef<uint64_t> arguments);

  /// Votes of warps so far: what grows with the work on mixed tiles.
  int64_t votes = 0;

private:
  struct Code;
  explicit KernelEmulator(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_MASKLISTS_KERNELEMULATOR_H
