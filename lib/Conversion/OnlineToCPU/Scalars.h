//===- Scalars.h - Scalar regions on lanes ----------------------*- C++ -*-===//
//
// Evaluates scalar code with lanes as queries. A value that does not depend on
// the query row or on a score stays one scalar for all lanes; every value is
// computed at the outermost loop level that knows its operands. Integer lanes
// are 32 bits wide where intervals prove that nothing is lost.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_LIB_CONVERSION_ONLINETOCPU_SCALARS_H
#define FOVEA_LIB_CONVERSION_ONLINETOCPU_SCALARS_H

#include "../Interval.h"
#include "Arguments.h"
#include "fovea/Dialect/Attn/IR/Attn.h"
#include "llvm/ADT/StringMap.h"

#include <optional>

namespace fovea::cpu {

using lowering::Interval;

/// What a value depends on, beyond the work item.
enum Dependence : unsigned {
  OnItem = 0,
  OnBlock = 1, // the key block
  OnRow = 2,   // the lane
  OnKey = 4,   // the key or the feature of the innermost loop
  OnScore = 8  // lane and key
};

/// An evaluated value: a scalar, or a vector of lanes.
struct Lane {
  Value v;
  Interval range;
  /// Set where lane i holds step·i + base, step = ±1: contiguous reads.
  Value base;
  int step = 0;
  /// Set where the value is v times this scalar, not yet multiplied.
  Value factor = nullptr;
  bool isVector() const { return isa<VectorType>(v.getType()); }
};

/// Whether a result reaches nothing that could turn a rounding error into
/// another integer or truth value.
bool staysContinuous(Operation *root);
/// The constant that a continuous op multiplies its other operand by, if it
/// neither over- nor underflows with others.
std::optional<double> ordinaryFactor(Operation *op);

class ScalarEmitter {
public:
  ScalarEmitter(Emitter &e, const Arguments &arguments, bool index32)
      : e(e), arguments(arguments), index32(index32) {}

  /// Says what a value depends on before it is known.
  void declare(Value value, unsigned dependence) { deps[value] = dependence; }
  void bind(Value value, Lane lane, unsigned dependence) {
    deps[value] = dependence;
    values[value] = lane;
    if (!scopes.empty())
      scopes.back().push_back(value);
  }
  void bindScalar(Value value, Value scalar, unsigned dependence,
                  Interval range = {}) {
    bind(value, Lane{scalar, range, {}, 0}, dependence);
  }
  /// A position: m, n, b, h.
  Interval positions() const {
    return index32 ? Interval{0, (int64_t(1) << 30) - 1} : Interval{};
  }

  /// Evaluates the ops of a block that depend on nothing but `available`; ops
  /// evaluated before are left alone.
  LogicalResult run(Block &block, unsigned available);
  LogicalResult runOp(Operation &op, unsigned available);
  /// Reads of a region's tensor argument go to this argument of the function.
  void alias(Value regionArgument, Value argument) {
    aliases[regionArgument] = argument;
  }
  /// Gives a result of a region's op the value of what the region yields.
  void forward(Value result, Value yielded);
  /// An evaluated value. Where the value is no scalar code of the arguments and
  /// loops, a diagnostic is emitted and `broken` set.
  Lane get(Value value);
  bool broken() const { return isBroken; }
  /// How reads of elements that follow each other by lanes that follow each
  /// other are emitted: each asks whether they are one load; they are one; they
  /// are not emitted, and `neighbours` becomes whether they would be one.
  enum class Reads { Ask, Load, Collect };
  Reads reads = Reads::Ask;
  Value neighbours;
  bool has(Value value) const {
    return values.count(value) || arguments.lookupScalar(value);
  }
  Value scalar(Value value);
  Value vector(Value value);
  /// A value of lanes times a constant.
  Value vectorTimes(Value value, double constant);
  unsigned dependence(Value value) const { return deps.lookup(value); }
  /// The libm functions that were called, with their number of arguments.
  const llvm::StringMap<unsigned> &libmCalls() const { return libm; }

  /// Values evaluated between push and pop are forgotten at pop: they do not
  /// dominate what follows.
  void push() { scopes.emplace_back(); }
  void pop();

private:
  LogicalResult emit(Operation *op);
  /// An evaluated value whose factor may be pending, and the product.
  Lane getScaled(Value value);
  Lane settle(Lane lane);
  void set(Value value, Lane lane);
  Value toVector(Lane lane, Type element);

  // Integers (ScalarsInteger.cpp).
  bool emitInteger(Operation *op);
  Lane integer(Lane x, Lane y, Interval range,
               function_ref<Value(Value, Value)> build);
  Lane compare(arith::CmpIPredicate predicate, Lane x, Lane y);
  std::optional<Lane> divideByWide(Lane x, Lane y, bool wantMod);
  Lane floorDivMod(Lane x, Lane y, bool wantMod);
  Lane shift(Lane x, Lane y, bool left);
  Lane absolute(Lane x);
  Lane pick(Lane cond, Lane x, Lane y);
  Lane sum(Lane x, Lane y);
  Lane difference(Lane x, Lane y);
  std::optional<Lane> logical(Operation *op, Lane x, Lane y);
  std::optional<Lane> lanewise(Operation *op, Lane x, Lane y);
  std::optional<Lane> division(Operation *op, Lane x, Lane y);
  std::optional<Lane> binary(Operation *op, Lane x, Lane y);

  // Floats (ScalarsFloat.cpp).
  bool emitFloat(Operation *op);
  bool emitScaled(Operation *op);
  Lane elementwise(ArrayRef<Lane> operands,
                   function_ref<Value(ValueRange)> build);
  Lane function(ArrayRef<Lane> operands, StringRef libmName,
                function_ref<Value(ValueRange)> build);
  Lane intToFloat(Lane x);
  Lane toInt(Lane x);

  // Memory (ScalarsRead.cpp).
  const Buffer *buffer(Value source) const;
  bool staysAbove(Value index, Value source, unsigned dim);
  Value clampIndex(attn::ReadOp op, unsigned dim, Value index, Value size);
  LogicalResult emitRead(attn::ReadOp op);
  LogicalResult emitDim(Operation *op, Value source, int64_t dim);
  LogicalResult emitLoad(Operation *op);

  Emitter &e;
  const Arguments &arguments;
  bool index32;
  DenseMap<Value, Lane> values;
  DenseMap<Value, unsigned> deps;
  DenseMap<Value, Value> aliases;
  SmallVector<SmallVector<Value>> scopes;
  llvm::StringMap<unsigned> libm;
  bool isBroken = false;
};

} // namespace fovea::cpu

#endif // FOVEA_LIB_CONVERSION_ONLINETOCPU_SCALARS_H
