//===- Passes.h - Passes that answer questions -------------------*- C++-*-===//
#ifndef FOVEA_ANALYSIS_PASSES_H
#define FOVEA_ANALYSIS_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace fovea {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "fovea/Analysis/Passes.h.inc"
} // namespace fovea

#endif // FOVEA_ANALYSIS_PASSES_H
