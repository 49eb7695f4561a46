//===- Passes.h - Passes that run IR ----------------------------*- C++ -*-===//

#ifndef FOVEA_INTERPRETER_PASSES_H
#define FOVEA_INTERPRETER_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace fovea {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "fovea/Interpreter/Passes.h.inc"
} // namespace fovea

#endif // FOVEA_INTERPRETER_PASSES_H
