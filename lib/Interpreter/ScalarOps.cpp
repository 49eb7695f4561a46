//===- ScalarOps.cpp - The scalar ops as one table ------------------------===//

#include "ScalarOps.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Support/TotalArithmetic.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace fovea;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Ops to codes
//===----------------------------------------------------------------------===//

static ScalarCode getCode(arith::CmpIPredicate predicate) {
  return static_cast<ScalarCode>(static_cast<unsigned>(ScalarCode::EqI) +
                                 static_cast<unsigned>(predicate));
}

static ScalarCode getCode(arith::CmpFPredicate predicate) {
  return static_cast<ScalarCode>(static_cast<unsigned>(ScalarCode::CmpFFalse) +
                                 static_cast<unsigned>(predicate));
}

// The order of the codes is that of the predicates.
static_assert(static_cast<unsigned>(arith::CmpIPredicate::eq) == 0 &&
              static_cast<unsigned>(arith::CmpIPredicate::slt) == 2 &&
              static_cast<unsigned>(arith::CmpIPredicate::sge) == 5 &&
              static_cast<unsigned>(arith::CmpIPredicate::uge) == 9);
static_assert(static_cast<unsigned>(arith::CmpFPredicate::OEQ) == 1 &&
              static_cast<unsigned>(arith::CmpFPredicate::ONE) == 6 &&
              static_cast<unsigned>(arith::CmpFPredicate::ORD) == 7 &&
              static_cast<unsigned>(arith::CmpFPredicate::UEQ) == 8 &&
              static_cast<unsigned>(arith::CmpFPredicate::UNO) == 14 &&
              static_cast<unsigned>(arith::CmpFPredicate::AlwaysTrue) == 15);

/// Brings a 64-bit value to the width of an integer type, sign-extended; i1 is
/// 0 or 1.
static std::optional<ScalarCode> getTruncation(Type type) {
  if (type.isInteger(1))
    return ScalarCode::Trunc1;
  if (type.isInteger(8))
    return ScalarCode::Trunc8;
  if (type.isInteger(16))
    return ScalarCode::Trunc16;
  if (type.isInteger(32))
    return ScalarCode::Trunc32;
  if (type.isInteger(64) || type.isIndex())
    return ScalarCode::Copy;
  return std::nullopt;
}

static std::optional<ScalarCode> getZeroExtension(Type from) {
  if (from.isInteger(1))
    return ScalarCode::Copy;
  if (from.isInteger(8))
    return ScalarCode::Ext8;
  if (from.isInteger(16))
    return ScalarCode::Ext16;
  if (from.isInteger(32))
    return ScalarCode::Ext32;
  return std::nullopt;
}

static std::optional<ScalarCode> getSignExtension(Type from) {
  // i1 is held as 0 or 1, but sign-extends to 0 or -1.
  return from.isInteger(1) ? ScalarCode::ExtBool : ScalarCode::Copy;
}

static std::optional<ScalarCode> getArithCode(Operation *op) {
  using Code = std::optional<ScalarCode>;
  return llvm::TypeSwitch<Operation *, Code>(op)
      .Case<arith::AddIOp>([](auto) { return ScalarCode::AddI; })
      .Case<arith::SubIOp>([](auto) { return ScalarCode::SubI; })
      .Case<arith::MulIOp>([](auto) { return ScalarCode::MulI; })
      .Case<arith::DivSIOp>([](auto) { return ScalarCode::DivTrunc; })
      .Case<arith::RemSIOp>([](auto) { return ScalarCode::RemTrunc; })
      .Case<arith::FloorDivSIOp>([](auto) { return ScalarCode::FloorDiv; })
      .Case<arith::CeilDivSIOp>([](auto) { return ScalarCode::CeilDiv; })
      .Case<arith::DivUIOp>([](auto) { return ScalarCode::DivU; })
      .Case<arith::RemUIOp>([](auto) { return ScalarCode::RemU; })
      .Case<arith::AndIOp>([](auto) { return ScalarCode::And; })
      .Case<arith::OrIOp>([](auto) { return ScalarCode::Or; })
      .Case<arith::XOrIOp>([](auto) { return ScalarCode::Xor; })
      .Case<arith::MinSIOp>([](auto) { return ScalarCode::MinS; })
      .Case<arith::MaxSIOp>([](auto) { return ScalarCode::MaxS; })
      .Case<arith::MinUIOp>([](auto) { return ScalarCode::MinU; })
      .Case<arith::MaxUIOp>([](auto) { return ScalarCode::MaxU; })
      .Case<arith::CmpIOp>([](auto cmp) { return getCode(cmp.getPredicate()); })
      .Case<arith::CmpFOp>([](auto cmp) { return getCode(cmp.getPredicate()); })
      .Case<arith::AddFOp>([](auto) { return ScalarCode::AddF; })
      .Case<arith::SubFOp>([](auto) { return ScalarCode::SubF; })
      .Case<arith::MulFOp>([](auto) { return ScalarCode::MulF; })
      .Case<arith::DivFOp>([](auto) { return ScalarCode::DivF; })
      .Case<arith::NegFOp>([](auto) { return ScalarCode::NegF; })
      .Case<arith::MaximumFOp>([](auto) { return ScalarCode::MaxF; })
      .Case<arith::MinimumFOp>([](auto) { return ScalarCode::MinF; })
      .Case<arith::SelectOp>([](auto) { return ScalarCode::Select; })
      .Case<arith::SIToFPOp>([](auto) { return ScalarCode::SIToF; })
      .Case<arith::UIToFPOp>([](auto) { return ScalarCode::UIToF; })
      .Case<arith::ExtFOp>([](auto) { return ScalarCode::Copy; })
      .Case<arith::TruncFOp>([](auto trunc) -> Code {
        return trunc.getType().isF32() ? Code(ScalarCode::RoundF32) : Code();
      })
      .Case<arith::ExtUIOp>(
          [](auto ext) { return getZeroExtension(ext.getIn().getType()); })
      .Case<arith::ExtSIOp, arith::IndexCastOp>([](auto cast) {
        // Narrowing casts of indices wrap like every other narrowing.
        Code code = getTruncation(cast.getType());
        return code == ScalarCode::Copy
                   ? getSignExtension(cast.getIn().getType())
                   : code;
      })
      .Case<arith::TruncIOp>(
          [](auto trunc) { return getTruncation(trunc.getType()); })
      .Default([](Operation *) { return Code(); });
}

static std::optional<ScalarCode> getMathCode(Operation *op) {
  using Code = std::optional<ScalarCode>;
  return llvm::TypeSwitch<Operation *, Code>(op)
      .Case<math::AbsFOp>([](auto) { return ScalarCode::AbsF; })
      .Case<math::AbsIOp>([](auto) { return ScalarCode::AbsI; })
      .Case<math::FloorOp>([](auto) { return ScalarCode::Floor; })
      .Case<math::PowFOp>([](auto) { return ScalarCode::Pow; })
      .Case<math::ExpOp>([](auto) { return ScalarCode::Exp; })
      .Case<math::Exp2Op>([](auto) { return ScalarCode::Exp2; })
      .Case<math::LogOp>([](auto) { return ScalarCode::Log; })
      .Case<math::Log2Op>([](auto) { return ScalarCode::Log2; })
      .Case<math::Log1pOp>([](auto) { return ScalarCode::Log1p; })
      .Case<math::TanhOp>([](auto) { return ScalarCode::Tanh; })
      .Case<math::SinOp>([](auto) { return ScalarCode::Sin; })
      .Case<math::CosOp>([](auto) { return ScalarCode::Cos; })
      .Case<math::SqrtOp>([](auto) { return ScalarCode::Sqrt; })
      .Case<math::RsqrtOp>([](auto) { return ScalarCode::Rsqrt; })
      .Case<math::ErfOp>([](auto) { return ScalarCode::Erf; })
      .Case<math::FmaOp>([](auto) { return ScalarCode::Fma; })
      .Case<attn::FloorDivOp>([](auto) { return ScalarCode::FloorDiv; })
      .Case<attn::ModOp>([](auto) { return ScalarCode::Mod; })
      .Case<attn::ShlOp>([](auto) { return ScalarCode::Shl; })
      .Case<attn::ShrOp>([](auto) { return ScalarCode::Shr; })
      .Case<attn::ToIntOp>([](auto) { return ScalarCode::ToInt; })
      .Default([](Operation *) { return Code(); });
}

static bool isScalarType(Type type) {
  return type.isIndex() || type.isF32() || type.isF64() ||
         (isa<IntegerType>(type) && getTruncation(type));
}

/// The same op on i1, which is held as 0 or 1 although true is -1 when signed.
static std::optional<ScalarCode> getBoolCode(ScalarCode code) {
  switch (code) {
  case ScalarCode::AddI:
  case ScalarCode::SubI:
    return ScalarCode::Xor;
  case ScalarCode::MulI:
    return ScalarCode::And;
  case ScalarCode::MinS:
    return ScalarCode::MaxU;
  case ScalarCode::MaxS:
    return ScalarCode::MinU;
  case ScalarCode::LtS:
    return ScalarCode::GtU;
  case ScalarCode::LeS:
    return ScalarCode::GeU;
  case ScalarCode::GtS:
    return ScalarCode::LtU;
  case ScalarCode::GeS:
    return ScalarCode::LeU;
  case ScalarCode::AbsI:
    return ScalarCode::Copy;
  case ScalarCode::SIToF:
    return ScalarCode::SBoolToF;
  default:
    // Divisions of i1 have no meaning worth giving.
    if (code >= ScalarCode::FloorDiv && code <= ScalarCode::RemU)
      return std::nullopt;
    return code;
  }
}

/// Whether a code is right on sign-extended values of fewer than 64 bits.
static bool isRightWhenNarrow(ScalarCode code) {
  return (code >= ScalarCode::EqI && code <= ScalarCode::GeU) ||
         (code >= ScalarCode::Select && code <= ScalarCode::SIToF);
}

std::optional<ScalarCode> fovea::getScalarCode(Operation *op) {
  if (op->getNumResults() != 1 || op->getNumOperands() == 0 ||
      !llvm::all_of(op->getOperandTypes(), isScalarType) ||
      !isScalarType(op->getResult(0).getType()))
    return std::nullopt;
  std::optional<ScalarCode> code = getArithCode(op);
  if (!code)
    code = getMathCode(op);
  Type type = op->getOperand(0).getType();
  if (code && type.isInteger(1) && !isa<arith::SelectOp>(op))
    return getBoolCode(*code);
  bool narrow = isa<IntegerType>(type) && !type.isInteger(64);
  if (code && narrow && !isRightWhenNarrow(*code))
    return std::nullopt;
  return code;
}

std::optional<ScalarValue> fovea::getScalarConstant(Operation *op) {
  Attribute value;
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    value = constant.getValue();
  else if (auto param = dyn_cast<attn::ParamOp>(op))
    value = param.getValue();
  if (auto integer = dyn_cast_or_null<IntegerAttr>(value)) {
    if (integer.getValue().getBitWidth() > 64)
      return std::nullopt;
    return ScalarValue::ofInt(integer.getType().isInteger(1)
                                  ? integer.getValue().getZExtValue()
                                  : integer.getValue().getSExtValue());
  }
  if (auto real = dyn_cast_or_null<FloatAttr>(value))
    return ScalarValue::ofFloat(real.getValueAsDouble());
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Codes to values
//===----------------------------------------------------------------------===//

/// Truncating division, made total as the floor division is.
static int64_t divTrunc(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  return b == -1 ? wrapSub(0, a) : a / b;
}

static int64_t ceilDiv(int64_t a, int64_t b) {
  return wrapSub(0, floorDiv(wrapSub(0, a), b));
}

static int64_t applyInteger(ScalarCode code, int64_t a, int64_t b) {
  auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (code) {
  case ScalarCode::AddI:
    return wrapAdd(a, b);
  case ScalarCode::SubI:
    return wrapSub(a, b);
  case ScalarCode::MulI:
    return wrapMul(a, b);
  case ScalarCode::FloorDiv:
    return floorDiv(a, b);
  case ScalarCode::Mod:
    return floorMod(a, b);
  case ScalarCode::DivTrunc:
    return divTrunc(a, b);
  case ScalarCode::RemTrunc:
    return wrapSub(a, wrapMul(divTrunc(a, b), b));
  case ScalarCode::CeilDiv:
    return ceilDiv(a, b);
  case ScalarCode::DivU:
    return ub ? ua / ub : 0;
  case ScalarCode::RemU:
    return ub ? ua % ub : 0;
  case ScalarCode::And:
    return a & b;
  case ScalarCode::Or:
    return a | b;
  case ScalarCode::Xor:
    return a ^ b;
  case ScalarCode::MinS:
    return std::min(a, b);
  case ScalarCode::MaxS:
    return std::max(a, b);
  case ScalarCode::MinU:
    return std::min(ua, ub);
  case ScalarCode::MaxU:
    return std::max(ua, ub);
  case ScalarCode::Shl:
    return shiftLeft(a, b);
  case ScalarCode::Shr:
    return shiftRight(a, b);
  default:
    return a < 0 ? wrapSub(0, a) : a; // AbsI
  }
}

static int64_t applyIntegerComparison(ScalarCode code, int64_t a, int64_t b) {
  auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (code) {
  case ScalarCode::EqI:
    return a == b;
  case ScalarCode::NeI:
    return a != b;
  case ScalarCode::LtS:
    return a < b;
  case ScalarCode::LeS:
    return a <= b;
  case ScalarCode::GtS:
    return a > b;
  case ScalarCode::GeS:
    return a >= b;
  case ScalarCode::LtU:
    return ua < ub;
  case ScalarCode::LeU:
    return ua <= ub;
  case ScalarCode::GtU:
    return ua > ub;
  default:
    return ua >= ub; // GeU
  }
}

static int64_t applyWidth(ScalarCode code, int64_t a) {
  switch (code) {
  case ScalarCode::Trunc1:
    return a & 1;
  case ScalarCode::Trunc8:
    return static_cast<int8_t>(a);
  case ScalarCode::Trunc16:
    return static_cast<int16_t>(a);
  case ScalarCode::Trunc32:
    return static_cast<int32_t>(a);
  case ScalarCode::Ext8:
    return static_cast<uint8_t>(a);
  case ScalarCode::Ext16:
    return static_cast<uint16_t>(a);
  case ScalarCode::Ext32:
    return static_cast<uint32_t>(a);
  default:
    return -a; // ExtBool: i1 true is -1
  }
}

static int64_t applyFloatComparison(ScalarCode code, double a, double b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (code) {
  case ScalarCode::OEq:
    return a == b;
  case ScalarCode::OGt:
    return a > b;
  case ScalarCode::OGe:
    return a >= b;
  case ScalarCode::OLt:
    return a < b;
  case ScalarCode::OLe:
    return a <= b;
  case ScalarCode::ONe:
    return !unordered && a != b;
  case ScalarCode::Ord:
    return !unordered;
  case ScalarCode::UEq:
    return unordered || a == b;
  case ScalarCode::UGt:
    return unordered || a > b;
  case ScalarCode::UGe:
    return unordered || a >= b;
  case ScalarCode::ULt:
    return unordered || a < b;
  case ScalarCode::ULe:
    return unordered || a <= b;
  case ScalarCode::UNe:
    return unordered || a != b;
  case ScalarCode::Uno:
    return unordered;
  case ScalarCode::CmpFTrue:
    return 1;
  default:
    return 0; // CmpFFalse
  }
}

static double applyFloat(ScalarCode code, double a, double b) {
  switch (code) {
  case ScalarCode::AddF:
    return a + b;
  case ScalarCode::SubF:
    return a - b;
  case ScalarCode::MulF:
    return a * b;
  case ScalarCode::DivF:
    return a / b;
  case ScalarCode::MinF:
    return minimum(a, b);
  case ScalarCode::MaxF:
    return maximum(a, b);
  case ScalarCode::NegF:
    return -a;
  case ScalarCode::AbsF:
    return std::fabs(a);
  case ScalarCode::Floor:
    return std::floor(a);
  case ScalarCode::Pow:
    return std::pow(a, b);
  case ScalarCode::Exp:
    return std::exp(a);
  case ScalarCode::Exp2:
    return std::exp2(a);
  case ScalarCode::Log:
    return std::log(a);
  case ScalarCode::Log2:
    return std::log2(a);
  case ScalarCode::Log1p:
    return std::log1p(a);
  case ScalarCode::Tanh:
    return std::tanh(a);
  case ScalarCode::Sin:
    return std::sin(a);
  case ScalarCode::Cos:
    return std::cos(a);
  case ScalarCode::Sqrt:
    return std::sqrt(a);
  case ScalarCode::Rsqrt:
    return 1 / std::sqrt(a);
  case ScalarCode::Erf:
    return std::erf(a);
  case ScalarCode::RoundF32:
    return static_cast<float>(a);
  default:
    return 0;
  }
}

ScalarValue fovea::applyScalarCode(ScalarCode code, const ScalarValue &a,
                                   const ScalarValue &b, const ScalarValue &c) {
  switch (code) {
  case ScalarCode::Select:
    return a.i ? b : c;
  case ScalarCode::Copy:
    return a;
  case ScalarCode::Fma:
    return ScalarValue::ofFloat(std::fma(a.f, b.f, c.f));
  case ScalarCode::SIToF:
    return ScalarValue::ofFloat(static_cast<double>(a.i));
  case ScalarCode::SBoolToF:
    return ScalarValue::ofFloat(a.i ? -1 : 0);
  case ScalarCode::UIToF:
    return ScalarValue::ofFloat(
        static_cast<double>(static_cast<uint64_t>(a.i)));
  case ScalarCode::ToInt:
    return ScalarValue::ofInt(toInt(a.f));
  default:
    break;
  }
  if (code >= ScalarCode::CmpFFalse && code <= ScalarCode::CmpFTrue)
    return ScalarValue::ofInt(applyFloatComparison(code, a.f, b.f));
  if (code >= ScalarCode::AddF && code <= ScalarCode::RoundF32)
    return ScalarValue::ofFloat(applyFloat(code, a.f, b.f));
  if (code >= ScalarCode::EqI && code <= ScalarCode::GeU)
    return ScalarValue::ofInt(applyIntegerComparison(code, a.i, b.i));
  if (code >= ScalarCode::Trunc1 && code <= ScalarCode::ExtBool)
    return ScalarValue::ofInt(applyWidth(code, a.i));
  return ScalarValue::ofInt(applyInteger(code, a.i, b.i));
}
