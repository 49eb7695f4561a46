//===- RowInterpreter.h - One row of an attention variant -------*- C++ -*-===//
#ifndef FOVEA_LIB_INTERPRETER_ROWINTERPRETER_H
#define FOVEA_LIB_INTERPRETER_ROWINTERPRETER_H

#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Interpreter/RegionEvaluator.h"

#include <memory>
#include <optional>
#include <string>

namespace fovea {

/// The regions of a program, compiled; shared by the threads.
struct CompiledVariant {
  CompiledVariant(const Program &program, const LaunchView &launch,
                  Arithmetic arithmetic);

  const Program &program;
  const LaunchView &launch;
  RegionSizes sizes;
  std::optional<RegionProgram> score, mask, stat, weight, denom, seed,
      seedValue, finish;
  bool isSoftmax, hasStat, hasDenom;
  FinishKind finishKind;
  /// What the plain computation rounds to; none where all is exact.
  std::optional<DType> workType, scoreType;
};

/// One thread's buffers.
class RowInterpreter {
public:
  explicit RowInterpreter(const CompiledVariant &variant);

  struct Position {
    int64_t b, h, m;
  };
  /// Computes and stores one row. A text is the first bad index that a visible
  /// pair reads.
  std::optional<std::string> run(Position position);
  /// Whether the last row saw a key.
  bool sawKey() const { return anyVisible; }

private:
  /// A region's frame with the positions of its arguments.
  struct Frame {
    Frame(const RegionProgram &program, const CompiledVariant &variant);
    void enter(int64_t batch, int64_t head, int64_t query);
    RegionFrame frame;
    int s, t, b, h, q, kv, o, l, e;
  };
  struct State {
    double t, l;
  };

  void enterHead(int64_t batch, int64_t keyHead);
  const double *keyRow(unsigned pair, int64_t n);
  const double *valueRow(int64_t n);
  void loadQuery();
  void maskChunk(int64_t first, unsigned count);
  void scoreChunk(int64_t first, unsigned count);
  double dot(int64_t n);
  State runSeed();
  double runStat(double t);
  void runWeights(State &state);
  void addWeights(State &state);
  double divide(size_t e, double l) const;
  void weightChunk(int64_t first, unsigned count, double t, double &l);
  void finishRow(const State &state);
  void noteBad(const Frame &frame, unsigned lane, std::optional<int64_t> key);
  double work(double value) const {
    return variant.workType ? roundToType(value, *variant.workType) : value;
  }
  double score(double value) const {
    return variant.scoreType ? roundToType(value, *variant.scoreType) : value;
  }

  const CompiledVariant &variant;
  const LaunchView &launch;
  Position position{};
  int64_t query = 0, keyOffset = 0, keyCount = 0;
  std::unique_ptr<Frame> scoreFrame, maskFrame, statFrame, weightFrame,
      denomFrame, seedFrame, seedValueFrame, finishFrame;
  std::vector<double> scores, accumulators, queryData, rowBuffer;
  /// Sums of a row whose accumulators overflowed, of a wider range.
  std::vector<long double> wideSums;
  std::vector<uint8_t> visible;
  /// Keys and values of the head in f64, where they are few enough.
  std::vector<double> headKeys, headValues;
  int64_t cachedBatch = -1, cachedHead = -1, headDims = 0;
  std::vector<int64_t> pairOffsets;
  bool isCached = false, anyVisible = false;
  std::optional<std::string> bad;
};

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_ROWINTERPRETER_H
