//===- OnlineToAttnGpu.h - Level 2 to level 3 on GPUs -----------*- C++ -*-===//
#ifndef FOVEA_CONVERSION_ONLINETOATTNGPU_ONLINETOATTNGPU_H
#define FOVEA_CONVERSION_ONLINETOATTNGPU_ONLINETOATTNGPU_H

#include "fovea/Dialect/AttnGpu/IR/AttnGpu.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace fovea {
#define GEN_PASS_DECL
#include "fovea/Conversion/OnlineToAttnGpu/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "fovea/Conversion/OnlineToAttnGpu/Passes.h.inc"
} // namespace fovea

#endif // FOVEA_CONVERSION_ONLINETOATTNGPU_ONLINETOATTNGPU_H
