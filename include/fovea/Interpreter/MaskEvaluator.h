//===- MaskEvaluator.h - Masks of a Program, point by point -----*- C++ -*-===//
#ifndef FOVEA_INTERPRETER_MASKEVALUATOR_H
#define FOVEA_INTERPRETER_MASKEVALUATOR_H

#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Runtime/ThreadPool.h"

#include <optional>

namespace fovea {

/// Which positions the mask is asked about.
struct MaskDomain {
  int64_t batch = 1, heads = 1, queries = 0, keys = 0;
  int64_t queryOffset = 0, keyOffset = 0;
};

/// Evaluates a Program's mask or, where it has none, "the score is not -inf" at
/// a dot product of 0. Classes come from bounds of whole rectangles as far as
/// these decide, from point by point evaluation elsewhere. Memory beside the
/// results: a row of points, and minima and maxima of the captures. The program
/// and the captures must outlive the evaluator.
class MaskEvaluator {
public:
  MaskEvaluator(const Program &program, llvm::ArrayRef<TensorView> captures,
                const MaskDomain &domain);

  /// bytes 0/1 [batch, heads, queries, keys]. False: cancelled.
  bool dense(uint8_t *out, const ParallelOptions &options) const;
  /// 0 empty, 1 partial, 2 full: [batch, heads, tiles, tiles]; positions past
  /// a length count as masked.
  bool classes(int8_t *out, int64_t blockQ, int64_t blockKV,
               const ParallelOptions &options) const;

private:
  class Row;
  class Classifier;
  const Region *region = nullptr;
  const Program &program;
  std::optional<RegionProgram> compiled;
  RegionSizes sizes() const;
  /// Whether all batches and heads look alike.
  bool isShared() const;

  llvm::ArrayRef<TensorView> captures;
  MaskDomain domain;
  bool isScore = false;
};

} // namespace fovea

#endif // FOVEA_INTERPRETER_MASKEVALUATOR_H
