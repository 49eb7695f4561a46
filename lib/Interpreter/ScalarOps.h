//===- ScalarOps.h - The scalar ops as one table ----------------*- C++ -*-===//

#ifndef FOVEA_LIB_INTERPRETER_SCALAROPS_H
#define FOVEA_LIB_INTERPRETER_SCALAROPS_H

#include "fovea/Interpreter/ScalarRegion.h"

#include <optional>

namespace fovea {

enum class ScalarCode : uint8_t {
  Read,
  // Integers
  AddI,
  SubI,
  MulI,
  FloorDiv,
  Mod,
  DivTrunc,
  RemTrunc,
  CeilDiv,
  DivU,
  RemU,
  And,
  Or,
  Xor,
  MinS,
  MaxS,
  MinU,
  MaxU,
  Shl,
  Shr,
  AbsI,
  // Comparisons: integers by predicate, floats ordered or not
  EqI,
  NeI,
  LtS,
  LeS,
  GtS,
  GeS,
  LtU,
  LeU,
  GtU,
  GeU,
  CmpFFalse,
  OEq,
  OGt,
  OGe,
  OLt,
  OLe,
  ONe,
  Ord,
  UEq,
  UGt,
  UGe,
  ULt,
  ULe,
  UNe,
  Uno,
  CmpFTrue,
  // Floats
  AddF,
  SubF,
  MulF,
  DivF,
  MinF,
  MaxF,
  NegF,
  AbsF,
  Floor,
  Pow,
  Exp,
  Exp2,
  Log,
  Log2,
  Log1p,
  Tanh,
  Sin,
  Cos,
  Sqrt,
  Rsqrt,
  Erf,
  Fma,
  RoundF32,
  // Right also on sign-extended narrow integers
  Select,
  Copy,
  Trunc1,
  Trunc8,
  Trunc16,
  Trunc32,
  Ext8,
  Ext16,
  Ext32,
  ExtBool,
  SIToF,
  SBoolToF,
  UIToF,
  ToInt
};

/// The code of an op, or none where it is not a scalar op. Not for
/// `attn.read`, `attn.extent`, `attn.size` and constants.
std::optional<ScalarCode> getScalarCode(mlir::Operation *op);

/// The value of `arith.constant` or `attn.param`, or none.
std::optional<ScalarValue> getScalarConstant(mlir::Operation *op);

ScalarValue applyScalarCode(ScalarCode code, const ScalarValue &a,
                            const ScalarValue &b, const ScalarValue &c);

} // namespace fovea

#endif // FOVEA_LIB_INTERPRETER_SCALAROPS_H
