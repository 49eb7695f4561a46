//===- Regions.h - Scalar regions on fragments ------------------*- C++ -*-===//
#ifndef FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_REGIONS_H
#define FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_REGIONS_H

#include "Scalar.h"
#include "fovea/Target/NVVM/Layouts.h"

namespace fovea::gpu {

/// What a value of a region depends on.
enum class Dependence { Uniform, Row, Column, Diagonal, Element };

/// Registers of a thread that share a value, by its dependence.
struct Key {
  int a = 0, b = 0;
  bool operator<(const Key &other) const {
    return std::tie(a, b) < std::tie(other.a, other.b);
  }
};

/// The thread's registers: register i is row (i / 2) % 2 of two that are 8
/// apart, column 8 · (i / 4) + i % 2 from the lane's first.
struct Position : layouts::Slices {
  static Position of(size_t i) { return {layouts::slicesOf(int64_t(i))}; }
  int column() const { return columnOffset(); }
  Key key(Dependence dependence) const {
    switch (dependence) {
    case Dependence::Uniform:
      return {};
    case Dependence::Row:
      return {row, 0};
    case Dependence::Column:
      return {box, pair};
    case Dependence::Diagonal: // m − n: rows and boxes are both 8 apart
      return {difference(), pair};
    case Dependence::Element:
      return {row, column()};
    }
    llvm_unreachable("unknown dependence");
  }
};

/// How a region's integers are made of m and n: `m + c`, `n + c`, `m − n + c`,
/// `n − m + c` with c uniform.
enum class Shape { None, M, N, MinusN, MinusM };

/// What such a value is at a register beyond what it is at the first one.
inline int64_t stepOf(Shape shape, Position position) {
  int64_t rows = 8 * position.row, columns = position.column();
  switch (shape) {
  case Shape::None:
    return 0;
  case Shape::M:
    return rows;
  case Shape::N:
    return columns;
  case Shape::MinusN:
    return rows - columns;
  case Shape::MinusM:
    return columns - rows;
  }
  llvm_unreachable("unknown shape");
}

/// Evaluates one region on all registers, each value once for all registers
/// that share it.
class RegionEvaluator {
public:
  using Input = std::function<Scalar(Value argument, Position)>;
  RegionEvaluator(Emitter &e, ScalarEmitter &scalars, Block &block,
                  std::function<FailureOr<Scalar>(Value)> outside, Input input)
      : e(e), scalars(scalars), block(block), outside(outside), input(input) {}

  void setArgument(unsigned index, Dependence dependence, Shape shape) {
    dependences[block.getArgument(index)] = dependence;
    shapes[block.getArgument(index)] = shape;
  }
  void classify();
  FailureOr<Scalar> get(Value value, size_t i);

  Dependence dependenceOf(Value value) const {
    auto it = dependences.find(value);
    return it == dependences.end() ? Dependence::Uniform : it->second;
  }
  Shape shapeOf(Value value) const { return shapes.lookup(value); }

private:
  FailureOr<Scalar> compute(Value value, size_t i);
  FailureOr<Scalar> computeScaled(arith::MulFOp op, size_t i);
  FailureOr<Scalar> computePosition(Value position, Value factor, size_t i);
  Value splitFactors(Value value, SmallVectorImpl<Value> &factors);

  DenseMap<Value, Dependence> dependences;
  DenseMap<Value, Shape> shapes;
  Emitter &e;
  ScalarEmitter &scalars;
  Block &block;
  std::function<FailureOr<Scalar>(Value)> outside;
  Input input;
  std::map<std::pair<void *, Key>, Scalar> computed;
  std::map<void *, Value> bases, products;
  std::map<std::pair<void *, void *>, Value> scaledBases;
};

} // namespace fovea::gpu

#endif // FOVEA_LIB_CONVERSION_ATTNGPUTONVVM_REGIONS_H
