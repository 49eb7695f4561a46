//===- Interpreter.h - Level 1, executed in f64 -----------------*- C++ -*-===//
//
// Slow and obvious: two passes over the keys of a row, no tiles, no rescaling.
// The oracle of every other way to compute a variant.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_INTERPRETER_INTERPRETER_H
#define FOVEA_INTERPRETER_INTERPRETER_H

#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/Launch.h"

#include "llvm/Support/Error.h"

#include <vector>

namespace fovea {

enum class Arithmetic {
  /// All in f64.
  Exact,
  /// The plain computation that the judge measures with: products, weights and
  /// outputs rounded to the working type, sums, mods and rows in the score
  /// type.
  Plain
};

struct InterpretOptions {
  Arithmetic arithmetic = Arithmetic::Exact;
  /// Where given: 1 for each row [B, Hq, M] that sees no key.
  std::vector<uint8_t> *deadRows = nullptr;
};

/// Computes a launch row by row, on all threads. The first bad capture index of
/// a visible pair is an error (S7, FOVEA_INDEX_ERROR). Results are rounded to
/// the types of the launch's tensors, which may be wider than the program's.
llvm::Error interpretProgram(const Program &program, const LaunchView &launch,
                             const InterpretOptions &options = {});

/// A value rounded to a float type, ties to even.
double roundToType(double value, DType type);

} // namespace fovea

#endif // FOVEA_INTERPRETER_INTERPRETER_H
