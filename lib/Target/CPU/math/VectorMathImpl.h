//===- VectorMathImpl.h - What the files of VectorMath share ----*- C++ -*-===//
#ifndef FOVEA_LIB_TARGET_CPU_MATH_VECTORMATHIMPL_H
#define FOVEA_LIB_TARGET_CPU_MATH_VECTORMATHIMPL_H

#include "fovea/Target/CPU/VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace fovea::cpu {
/// The vector of integers with as many bits as a vector of floats.
mlir::Type integersLike(mlir::Type type);
/// Clamps to [lo, hi] and keeps NaN.
mlir::Value clampKeepNaN(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                         mlir::Value lo, mlir::Value hi);
} // namespace fovea::cpu

#endif // FOVEA_LIB_TARGET_CPU_MATH_VECTORMATHIMPL_H
