//===- Passes.h - Passes on attn_gpu ----------------------------*- C++ -*-===//
#ifndef FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES_H
#define FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES_H

#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::attn_gpu {
#define GEN_PASS_DECL
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "fovea/Dialect/AttnGpu/Transforms/Passes.h.inc"
} // namespace mlir::attn_gpu

#endif // FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES_H
