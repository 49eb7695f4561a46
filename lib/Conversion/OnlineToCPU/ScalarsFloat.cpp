//===- ScalarsFloat.cpp - Floating point on lanes -------------------------===//

#include "Scalars.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <optional>

using namespace fovea::cpu;

Lane ScalarEmitter::elementwise(ArrayRef<Lane> operands,
                                function_ref<Value(ValueRange)> build) {
  bool vector =
      llvm::any_of(operands, [](const Lane &l) { return l.isVector(); });
  Values in;
  for (const Lane &lane : operands)
    in.push_back(vector ? toVector(lane, getElementTypeOrSelf(lane.v.getType()))
                        : lane.v);
  return Lane{build(in), {}, {}, 0};
}

Lane ScalarEmitter::function(ArrayRef<Lane> operands, StringRef libmName,
                             function_ref<Value(ValueRange)> build) {
  bool vector =
      llvm::any_of(operands, [](const Lane &l) { return l.isVector(); });
  if (e.f.isF64() && !libmName.empty()) {
    // Mods in f64 call libm, lane by lane.
    libm[libmName] = operands.size();
    auto call = [&](ValueRange in) -> Value {
      return LLVM::CallOp::create(e.b, e.loc, TypeRange{e.f}, libmName, in)
          .getResult();
    };
    if (!vector) {
      Values in;
      for (const Lane &lane : operands)
        in.push_back(lane.v);
      return Lane{call(in), {}, {}, 0};
    }
    Value result = e.vc(0.0);
    for (int64_t i = 0; i < e.lanes; ++i) {
      Values in;
      for (const Lane &lane : operands)
        in.push_back(
            lane.isVector()
                ? vector::ExtractOp::create(e.b, e.loc, lane.v, i).getResult()
                : lane.v);
      result = vector::InsertOp::create(e.b, e.loc, call(in), result, i);
    }
    return Lane{result, {}, {}, 0};
  }
  Values in;
  for (const Lane &lane : operands)
    in.push_back(toVector(lane, e.f));
  Value result = build(in);
  if (!vector)
    result = vector::ExtractOp::create(e.b, e.loc, result, 0);
  return Lane{result, {}, {}, 0};
}

Lane ScalarEmitter::intToFloat(Lane x) {
  Type target = x.isVector() ? Type(e.vf) : e.f;
  if (getElementTypeOrSelf(x.v.getType()).isInteger(1))
    return Lane{arith::UIToFPOp::create(e.b, e.loc, target, x.v), {}, {}, 0};
  return Lane{arith::SIToFPOp::create(e.b, e.loc, target, x.v), {}, {}, 0};
}

Lane ScalarEmitter::toInt(Lane x) {
  // The saturating intrinsic also gives 0 for NaN (S8).
  Type target = x.isVector() ? Type(e.vec(e.i64)) : e.i64;
  Value v = LLVM::CallIntrinsicOp::create(e.b, e.loc, target,
                                          e.b.getStringAttr("llvm.fptosi.sat"),
                                          ValueRange{x.v})
                .getResult(0);
  return Lane{v, {}, {}, 0};
}

bool fovea::cpu::staysContinuous(Operation *root) {
  SmallVector<Operation *> todo{root};
  DenseSet<Operation *> seen;
  while (!todo.empty()) {
    Operation *op = todo.pop_back_val();
    if (!seen.insert(op).second)
      continue;
    if (isa<arith::CmpFOp, attn::ToIntOp, math::FloorOp>(op))
      return false;
    for (Operation *user : op->getUsers())
      todo.push_back(user);
  }
  return true;
}

/// 1/c of x / c, where multiplying by it is as good: c is an ordinary constant
/// and the quotient stays a real number.
static std::optional<double> reciprocal(arith::DivFOp div) {
  FloatAttr divisor;
  if (!matchPattern(div.getRhs(), m_Constant(&divisor)))
    return std::nullopt;
  double c = divisor.getValueAsDouble();
  if (!(std::fabs(c) > 1e-30 && std::fabs(c) < 1e30) || !staysContinuous(div))
    return std::nullopt;
  return 1.0 / c;
}

/// A constant that neither over- nor underflows with others.
static std::optional<double> ordinary(Value factor) {
  FloatAttr value;
  if (!matchPattern(factor, m_Constant(&value)))
    return std::nullopt;
  double number = value.getValueAsDouble(), magnitude = std::fabs(number);
  if (magnitude > 1e-6 && magnitude < 1e6)
    return number;
  return std::nullopt;
}

std::optional<double> fovea::cpu::ordinaryFactor(Operation *op) {
  if (!isa<arith::MulFOp, arith::DivFOp>(op) || !staysContinuous(op))
    return std::nullopt;
  std::optional<double> factor = ordinary(op->getOperand(1));
  if (isa<arith::DivFOp>(op))
    return factor ? std::optional(1.0 / *factor) : std::nullopt;
  return factor ? factor : ordinary(op->getOperand(0));
}

/// Lanes times a scalar keep the scalar aside: a chain of constants is then one
/// product, and tanh takes it into its own.
bool ScalarEmitter::emitScaled(Operation *op) {
  Lane x, y;
  if (isa<math::TanhOp>(op)) {
    x = getScaled(op->getOperand(0));
    if (!x.factor || e.f.isF64())
      return false;
    Value result = e.math().tanh(x.v, e.splat(x.factor));
    set(op->getResult(0), Lane{result, {}, {}, 0});
    return true;
  }
  if (!isa<arith::MulFOp, arith::DivFOp>(op) || !op->getResult(0).hasOneUse())
    return false;
  x = getScaled(op->getOperand(0));
  if (auto div = dyn_cast<arith::DivFOp>(op)) {
    std::optional<double> inverse = reciprocal(div);
    if (!inverse)
      return false;
    y.v = e.cf(*inverse);
  } else {
    y = getScaled(op->getOperand(1));
    if (!x.isVector())
      std::swap(x, y);
  }
  if (!x.isVector() || y.isVector())
    return false;
  if (x.factor) {
    bool merged = staysContinuous(op) && ordinary(y.v);
    if (merged)
      y.v = e.fmul(x.factor, y.v);
    else
      x = settle(x);
  }
  set(op->getResult(0), Lane{x.v, {}, {}, 0, y.v});
  return true;
}

bool ScalarEmitter::emitFloat(Operation *op) {
  if (op->getNumResults() != 1)
    return false;
  if (emitScaled(op))
    return true;
  Value result = op->getResult(0);
  SmallVector<Lane> in;
  for (Value operand : op->getOperands())
    in.push_back(get(operand));
  auto unary = [&](function_ref<Value(Value)> build) {
    set(result, elementwise(in, [&](ValueRange v) { return build(v[0]); }));
    return true;
  };
  auto binary = [&](function_ref<Value(Value, Value)> build) {
    set(result,
        elementwise(in, [&](ValueRange v) { return build(v[0], v[1]); }));
    return true;
  };
  auto call = [&](StringRef libm,
                  function_ref<Value(VectorMath, ValueRange)> build) {
    set(result,
        function(in, libm, [&](ValueRange v) { return build(e.math(), v); }));
    return true;
  };
  using V = VectorMath;
  return TypeSwitch<Operation *, bool>(op)
      .Case<arith::AddFOp>([&](auto) {
        return binary([&](Value x, Value y) { return e.fadd(x, y); });
      })
      .Case<arith::SubFOp>([&](auto) {
        return binary([&](Value x, Value y) { return e.fsub(x, y); });
      })
      .Case<arith::MulFOp>([&](auto) {
        return binary([&](Value x, Value y) { return e.fmul(x, y); });
      })
      .Case<arith::DivFOp>([&](arith::DivFOp div) {
        if (std::optional<double> factor = reciprocal(div)) {
          set(result, elementwise({in[0]}, [&](ValueRange v) {
                Value c = e.cf(*factor);
                return e.fmul(v[0], in[0].isVector() ? e.splat(c) : c);
              }));
          return true;
        }
        return binary([&](Value x, Value y) { return e.fdiv(x, y); });
      })
      .Case<arith::NegFOp>([&](auto) {
        return unary([&](Value x) -> Value {
          return arith::NegFOp::create(e.b, e.loc, x);
        });
      })
      .Case<arith::MaximumFOp>([&](auto) {
        return binary([&](Value x, Value y) -> Value {
          return arith::MaximumFOp::create(e.b, e.loc, x, y);
        });
      })
      .Case<arith::MinimumFOp>([&](auto) {
        return binary([&](Value x, Value y) -> Value {
          return arith::MinimumFOp::create(e.b, e.loc, x, y);
        });
      })
      .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) {
        return binary(
            [&](Value x, Value y) { return e.fcmp(cmp.getPredicate(), x, y); });
      })
      .Case<arith::SelectOp>([&](auto) {
        if (!in[0].isVector() && (in[1].isVector() || in[2].isVector())) {
          set(result, Lane{e.select(in[0].v, toVector(in[1], e.f),
                                    toVector(in[2], e.f)),
                           {},
                           {},
                           0});
          return true;
        }
        set(result, elementwise(in, [&](ValueRange v) {
              return e.select(v[0], v[1], v[2]);
            }));
        return true;
      })
      .Case<arith::SIToFPOp, arith::UIToFPOp>([&](auto) {
        set(result, intToFloat(in[0]));
        return true;
      })
      .Case<math::AbsFOp>([&](auto) {
        return unary([&](Value x) -> Value {
          return LLVM::FAbsOp::create(e.b, e.loc, x);
        });
      })
      .Case<math::FloorOp>([&](auto) {
        return unary([&](Value x) -> Value {
          return LLVM::FFloorOp::create(e.b, e.loc, x);
        });
      })
      .Case<math::SqrtOp>([&](auto) {
        return unary([&](Value x) -> Value {
          return LLVM::SqrtOp::create(e.b, e.loc, x);
        });
      })
      .Case<math::RsqrtOp>([&](auto) {
        return unary([&](Value x) -> Value {
          Value root = LLVM::SqrtOp::create(e.b, e.loc, x);
          Value one = isa<VectorType>(x.getType()) ? e.vc(1.0) : e.cf(1.0);
          return e.fdiv(one, root);
        });
      })
      .Case<math::ExpOp>([&](auto) {
        return call("exp", [](V m, ValueRange v) { return m.exp(v[0]); });
      })
      .Case<math::Exp2Op>([&](auto) {
        return call("", [](V m, ValueRange v) { return m.exp2(v[0]); });
      })
      .Case<math::LogOp>([&](auto) {
        return call("log", [](V m, ValueRange v) { return m.log(v[0]); });
      })
      .Case<math::Log2Op>([&](auto) {
        return call("log2", [](V m, ValueRange v) { return m.log2(v[0]); });
      })
      .Case<math::Log1pOp>([&](auto) {
        return call("log1p", [](V m, ValueRange v) { return m.log1p(v[0]); });
      })
      .Case<math::TanhOp>([&](auto) {
        return call("tanh", [](V m, ValueRange v) { return m.tanh(v[0]); });
      })
      .Case<math::SinOp>([&](auto) {
        return call("sin", [](V m, ValueRange v) { return m.sin(v[0]); });
      })
      .Case<math::CosOp>([&](auto) {
        return call("cos", [](V m, ValueRange v) { return m.cos(v[0]); });
      })
      .Case<math::ErfOp>([&](auto) {
        return call("erf", [](V m, ValueRange v) { return m.erf(v[0]); });
      })
      .Case<math::PowFOp>([&](auto) {
        return call("pow", [](V m, ValueRange v) { return m.pow(v[0], v[1]); });
      })
      .Default([](Operation *) { return false; });
}
