//===- AttnGpu.h - The attn_gpu dialect -------------------------*- C++ -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H
#define FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H

#include "fovea/Dialect/Online/IR/Online.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "fovea/Dialect/AttnGpu/IR/AttnGpuDialect.h.inc"
#include "fovea/Dialect/AttnGpu/IR/AttnGpuEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuAttrs.h.inc"

#define GET_OP_CLASSES
#include "fovea/Dialect/AttnGpu/IR/AttnGpuOps.h.inc"

namespace mlir::attn_gpu {
/// Query rows of one warpgroup.
inline constexpr int64_t kGroupRows = 64;
} // namespace mlir::attn_gpu

#endif // FOVEA_DIALECT_ATTNGPU_IR_ATTNGPU_H
