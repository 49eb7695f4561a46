//===- Passes.h - Passes on attn --------------------------------*- C++ -*-===//
#ifndef FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES_H
#define FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES_H

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::attn {
#define GEN_PASS_DECL
#include "fovea/Dialect/Attn/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "fovea/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

#endif // FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES_H
