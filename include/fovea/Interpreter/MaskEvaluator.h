//===- MaskEvaluator.h - Masks of a Program, point by point -----*- C++ -*-===//
#ifndef FOVEA_INTERPRETER_MASKEVALUATOR_H
#define FOVEA_INTERPRETER_MASKEVALUATOR_H

#include "fovea/Analysis/MaskAnalysis.h"
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Runtime/ThreadPool.h"

#include <optional>
#include <string>
#include <vector>

namespace fovea {

/// Which positions the mask is asked about.
struct MaskDomain {
  int64_t batch = 1, heads = 1, queries = 0, keys = 0;
  int64_t queryOffset = 0, keyOffset = 0;
  /// What each batch adds to the offsets; none: nothing.
  llvm::ArrayRef<int64_t> queryOffsets = {}, keyOffsets = {};
  /// The sizes that the mask names, where they are not those of the domain.
  std::optional<RegionSizes> sizes = std::nullopt;
  /// Of a mask that is "the score is not -inf": what bounds take the scaled
  /// products to be. Points are always evaluated at 0.
  FloatBounds score = FloatBounds::of(0);
};

/// How far single tiles that bounds leave open are looked into.
enum class MaskEffort : uint8_t {
  Bounds,   ///< not at all: they are partial, and so may be full or empty
  Analysis, ///< two points, polyhedra
  Exact     ///< all their points
};

/// How tiles were decided.
struct MaskStatistics {
  int64_t full = 0, partial = 0, empty = 0;
  /// Single tiles that bounds left open, by what decided them: two points that
  /// differ, integer polyhedra, all points; or nothing (partial stays).
  int64_t byPoints = 0, byPolyhedra = 0, byEvaluation = 0, undecided = 0;
  /// Rectangles whose bounds were taken.
  int64_t rectangles = 0;
  void add(const MaskStatistics &more, int64_t times = 1);
};

/// Classes of rows of tiles as runs of equal tiles: a run is its end (one past
/// its last column) times 4 plus its class; a row's runs follow each other.
struct MaskRuns {
  int64_t rowTiles = 0, keyTiles = 0;
  /// Whether one plane stands for all batches and heads.
  bool shared = false;
  /// Per plane and row of tiles where its runs begin; one more at the end.
  std::vector<int64_t> offsets;
  std::vector<int32_t> runs;
};

/// Evaluates a Program's mask or, where it has none, "the score is not -inf" at
/// a dot product of 0. Classes come from the mask analysis for whole rectangles
/// as far as that decides, from point by point evaluation elsewhere. Memory
/// beside the results: a row of points, and minima and maxima of the captures.
/// The program and the captures must outlive the evaluator.
class MaskEvaluator {
public:
  MaskEvaluator(const Program &program, llvm::ArrayRef<TensorView> captures,
                const MaskDomain &domain);

  /// bytes 0/1 [batch, heads, queries, keys]. False: cancelled.
  bool dense(uint8_t *out, const ParallelOptions &options) const;
  /// 0 empty, 1 partial, 2 full: [batch, heads, tiles, tiles]; positions past
  /// a length count as masked.
  bool classes(int8_t *out, int64_t blockQ, int64_t blockKV,
               const ParallelOptions &options,
               MaskEffort effort = MaskEffort::Exact,
               MaskStatistics *statistics = nullptr) const;
  /// The same without an array of all tiles.
  bool counts(MaskStatistics &out, int64_t blockQ, int64_t blockKV,
              const ParallelOptions &options,
              MaskEffort effort = MaskEffort::Exact) const;
  bool runs(MaskRuns &out, MaskStatistics &statistics, int64_t blockQ,
            int64_t blockKV, const ParallelOptions &options,
            MaskEffort effort = MaskEffort::Exact) const;

  /// The analysis of one batch and head, for reports.
  MaskMethod method(int64_t batch, int64_t head) const;
  /// The polyhedra of one batch and head in words; empty without.
  std::string describe(int64_t batch, int64_t head) const;

private:
  class Row;
  class Classifier;
  /// Decides all tiles; `take` gets rectangles of tiles (band, plane, first
  /// row, end row, first column, end column, class), rows of one band from left
  /// to right.
  struct Sink;
  bool walk(Sink &sink, int64_t blockQ, int64_t blockKV,
            const ParallelOptions &options, MaskEffort effort,
            MaskStatistics *statistics) const;
  RegionSizes sizes() const;
  int64_t queryOffset(int64_t batch) const;
  int64_t keyOffset(int64_t batch) const;
  RegionEnvironment environment() const;
  /// Whether all batches and heads look alike.
  bool isShared() const;

  const Region *region = nullptr;
  const Program &program;
  std::optional<RegionProgram> compiled;
  llvm::ArrayRef<TensorView> captures;
  MaskDomain domain;
  bool isScore = false;
};

} // namespace fovea

#endif // FOVEA_INTERPRETER_MASKEVALUATOR_H
