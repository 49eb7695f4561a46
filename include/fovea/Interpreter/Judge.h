//===- Judge.h - Whether a result is as good as it can be -------*- C++ -*-===//
//
// An error bound instead of a tolerance: a result may be at most F times as far
// from the f64 result as the plain computation in the working type is.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_INTERPRETER_JUDGE_H
#define FOVEA_INTERPRETER_JUDGE_H

#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/Launch.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace fovea {

/// Three results of one computation, as rows × columns.
struct JudgeCase {
  llvm::ArrayRef<double> actual, exact, plain;
  int64_t columns = 1;
  DType workType = DType::F32;
  /// The type that `actual` is stored in.
  DType storedType = DType::F32;
  /// 1 for rows that see no key; empty: there are none.
  llvm::ArrayRef<uint8_t> deadRows;
};

struct Judgement {
  bool passed = true;
  /// Mean distances from the f64 result, and what is allowed.
  double error = 0, allowed = 0;
  /// The worst row's mean distance, and what is allowed.
  double rowError = 0, rowAllowed = 0;
  int64_t worstRow = -1;
  /// Empty where all is well.
  std::string reason;
};

/// Dead rows must be exact. Elsewhere only elements count that are finite both
/// exactly and plainly; there the result must be finite, and a NaN where both
/// give one.
Judgement judge(const JudgeCase &values);

struct LaunchJudgement {
  Judgement out, lse;
  bool hasLse = false;
  bool passed() const { return out.passed && (!hasLse || lse.passed); }
};

/// What results of a launch are judged by. Holds for all of them while its
/// inputs stay as they are.
struct LaunchReference {
  /// Computes a launch exactly and plainly.
  static llvm::Expected<LaunchReference> compute(const Program &program,
                                                 const LaunchView &launch);
  /// Judges the results that a launch holds.
  LaunchJudgement judge(const LaunchView &launch) const;

  struct Results {
    std::vector<double> out, lse;
  };
  Results exact, plain;
  std::vector<uint8_t> deadRows;
  DType workType = DType::F32;
};

/// Both for one result.
llvm::Expected<LaunchJudgement> judgeLaunch(const Program &program,
                                            const LaunchView &launch);

} // namespace fovea

#endif // FOVEA_INTERPRETER_JUDGE_H
