//===- OnlineInterpreter.h - Level 2, executed in f64 -----------*- C++ -*-===//
//
// Runs a function of online ops on real buffers: slow, obvious, the oracle of
// what lowers online further. Tiles are f64 (integers 64-bit); a store rounds
// to the element type of its view.
//
// What a kernel may leave undefined is an error here, at the op and with the
// position: a capture index out of range (S7) and a broken promise of a class,
// wherever they reach a stored element. Positions that reach none, masked keys
// and rows past a length, have no effect and are no error.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_INTERPRETER_ONLINEINTERPRETER_H
#define FOVEA_INTERPRETER_ONLINEINTERPRETER_H

#include "fovea/Interpreter/ScalarRegion.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <functional>
#include <memory>

namespace fovea {

/// An argument or a result: the data of a memref, or a scalar.
struct OnlineArgument {
  std::optional<TensorView> tensor;
  ScalarValue scalar;

  static OnlineArgument ofTensor(TensorView tensor) {
    OnlineArgument result;
    result.tensor = std::move(tensor);
    return result;
  }
  static OnlineArgument ofInt(int64_t value) {
    OnlineArgument result;
    result.scalar.i = value;
    return result;
  }
  static OnlineArgument ofFloat(double value) {
    OnlineArgument result;
    result.scalar.f = value;
    return result;
  }
};

/// Which pairs the function has to take, once each. Positions are global: the
/// rows of batch b are those from rows(b).first to below rows(b).second, the
/// keys likewise.
struct OnlineCoverage {
  int64_t batch = 0, heads = 0;
  std::function<std::pair<int64_t, int64_t>(int64_t b)> rows, keys;
  std::function<bool(int64_t b, int64_t h, int64_t m, int64_t n)> visible;
};

struct OnlineOptions {
  /// What `attn.size` gives; none: an error where it is met.
  std::optional<ScalarSizes> sizes;
  /// Checked after the run, where given: a pair that is visible and was left
  /// out, was taken though it is not, or was taken twice is an error.
  std::optional<OnlineCoverage> coverage;
};

class OnlineEngine;

/// Runs functions of one module; owns what they allocate.
class OnlineInterpreter {
public:
  explicit OnlineInterpreter(OnlineOptions options = {});
  ~OnlineInterpreter();

  /// Errors are diagnostics at the op. Results stay valid with the interpreter.
  llvm::LogicalResult run(mlir::func::FuncOp function,
                          llvm::ArrayRef<OnlineArgument> arguments,
                          llvm::SmallVectorImpl<OnlineArgument> &results);

private:
  std::unique_ptr<OnlineEngine> engine;
};

} // namespace fovea

#endif // FOVEA_INTERPRETER_ONLINEINTERPRETER_H
