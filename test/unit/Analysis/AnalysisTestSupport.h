//===- AnalysisTestSupport.h - Regions made in memory ------------*- C++-*-===//
#ifndef FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H
#define FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H

#include "fovea/Analysis/KeyBounds.h"
#include "fovea/Analysis/MaskAnalysis.h"
#include "fovea/Analysis/RegionFacts.h"
#include "fovea/Interpreter/RegionEvaluator.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

namespace fovea::test {

inline unsigned fuzzSetting(const char *name, unsigned otherwise) {
  const char *given = std::getenv(name);
  return given ? static_cast<unsigned>(std::atoi(given)) : otherwise;
}

inline unsigned fuzzRounds() { return fuzzSetting("FOVEA_FUZZ_ROUNDS", 1500); }

/// The first seed: other ones than every day's.
inline unsigned fuzzSeed() { return fuzzSetting("FOVEA_FUZZ_SEED", 1); }

struct Builder {
  explicit Builder(RegionKind kind = RegionKind::Mask) {
    for (llvm::StringRef name : getRegionArgs(kind))
      region.args.push_back(name.str());
  }
  unsigned add(Node node) {
    region.nodes.push_back(std::move(node));
    return static_cast<unsigned>(region.nodes.size()) - 1;
  }
  unsigned arg(llvm::StringRef name) {
    Node node;
    node.kind = NodeKind::Arg;
    node.type = getArgType(name);
    node.symbol = name.str();
    return add(node);
  }
  unsigned constant(int64_t value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::I64;
    node.integer = value;
    return add(node);
  }
  unsigned real(double value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::F;
    node.real = value;
    return add(node);
  }
  unsigned boolean(bool value) {
    Node node;
    node.kind = NodeKind::Const;
    node.type = ValueType::I1;
    node.integer = value;
    return add(node);
  }
  unsigned read(unsigned capture, ValueType type,
                llvm::ArrayRef<unsigned> indices) {
    Node node;
    node.kind = NodeKind::Read;
    node.type = type;
    node.capture = capture;
    node.operands.assign(indices.begin(), indices.end());
    return add(node);
  }
  unsigned op(NodeKind kind, llvm::ArrayRef<unsigned> operands) {
    Node node;
    node.kind = kind;
    node.type = kind == NodeKind::Select ? region.nodes[operands[1]].type
                                         : getSignature(kind).result;
    node.operands.assign(operands.begin(), operands.end());
    return add(node);
  }
  Region finish(unsigned result) {
    region.results = {result};
    return region;
  }
  Region region;
};

template <typename T>
TensorView viewOf(std::vector<T> &values, DType dtype,
                  llvm::ArrayRef<int64_t> sizes) {
  TensorView view;
  view.data = values.data();
  view.dtype = dtype;
  view.sizes.assign(sizes.begin(), sizes.end());
  int64_t stride = 1;
  view.strides.resize(sizes.size());
  for (size_t dim = sizes.size(); dim-- > 0;) {
    view.strides[dim] = stride;
    stride *= sizes[dim];
  }
  return view;
}

/// What the evaluator says at one point.
class Oracle {
public:
  Oracle(const Program &program, const Region &region, bool isScore,
         llvm::ArrayRef<TensorView> captures, const RegionSizes &sizes)
      : compiled(RegionProgram::compile(program, region, {})),
        frame(compiled, captures, sizes), isScore(isScore) {
    frame.setFloat(compiled.findArg("s"), 0);
  }
  bool isVisible(int64_t b, int64_t h, int64_t q, int64_t kv) {
    frame.setInt(compiled.findArg("b"), b);
    frame.setInt(compiled.findArg("h"), h);
    frame.setInt(compiled.findArg("q"), q);
    frame.setInt(compiled.findArg("kv"), kv);
    frame.run(1);
    return isScore ? frame.resultFloat(0, 0) != -HUGE_VAL
                   : frame.resultInt(0, 0) != 0;
  }

private:
  RegionProgram compiled;
  RegionFrame frame;
  bool isScore;
};

/// The bounds of a program's mask, which know no value of the launch, on
/// launches with values.
class BoundsCheck {
public:
  BoundsCheck(const Program &program, llvm::ArrayRef<TensorView> captures,
              const RegionSizes &sizes, bool narrow)
      : bounds(findKeyBounds(program, *program.mask, KeyDomain::of(narrow))),
        numbers(program, *program.mask, environmentOf(captures, sizes)) {}

  struct Result {
    /// Keys inside the parts that no row sees, and keys known to be full.
    int64_t wasted = 0, full = 0;
    std::string error;
  };
  /// Compares all points. The rows and keys are not empty.
  Result run(Oracle &oracle, int64_t b, int64_t h, Interval rows,
             Interval keys) {
    numbers.enter(b, h);
    std::vector<int64_t> values =
        evaluate(bounds.expressions, [&](const BoundExpression &leaf) {
          switch (leaf.kind) {
          case BoundExpression::FirstRow:
            return rows.low;
          case BoundExpression::LastRow:
            return rows.high;
          case BoundExpression::FirstKey:
            return keys.low;
          case BoundExpression::EndKey:
            return keys.high + 1;
          default:
            return numbers.ints(static_cast<unsigned>(leaf.integer)).low;
          }
        });
    Result result;
    auto fail = [&](int64_t key, llvm::StringRef what) {
      result.error += "key " + std::to_string(key) + what.str() + "; ";
    };
    int64_t last = keys.low;
    for (const KeyInterval &part : bounds.parts) {
      int64_t begin = values[part.begin], end = values[part.end];
      if (begin > end || begin < keys.low || end > keys.high + 1)
        fail(begin, " begins a part that is none");
      if (begin < last)
        fail(begin, " begins a part inside another");
      last = std::max(last, end);
    }
    for (int64_t key = keys.low; key <= keys.high; ++key) {
      bool any = false, all = true, inside = false, full = false;
      for (int64_t row = rows.low; row <= rows.high; ++row) {
        bool visible = oracle.isVisible(b, h, row, key);
        any |= visible;
        all &= visible;
      }
      for (const KeyInterval &part : bounds.parts) {
        auto holds = [&](unsigned from, unsigned to) {
          return values[from] <= key && key < values[to];
        };
        inside |= holds(part.begin, part.end);
        full |= part.full && holds(part.full->begin, part.full->end);
      }
      if (any && !inside)
        fail(key, " is lost");
      if (full && (!all || !inside))
        fail(key, " is not full");
      result.wasted += inside && !any;
      result.full += full;
    }
    return result;
  }
  bool isClosedForm() const { return bounds.isClosedForm; }

private:
  static RegionEnvironment environmentOf(llvm::ArrayRef<TensorView> captures,
                                         const RegionSizes &sizes) {
    RegionEnvironment environment;
    environment.captures = captures;
    environment.sizes = sizes;
    return environment;
  }
  KeyBounds bounds;
  RegionBounds numbers;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_ANALYSIS_ANALYSISTESTSUPPORT_H
