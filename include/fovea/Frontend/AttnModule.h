//===- AttnModule.h - Program to level 1 and back ----------------*- C++
//-*-===//
#ifndef FOVEA_FRONTEND_ATTNMODULE_H
#define FOVEA_FRONTEND_ATTNMODULE_H

#include "fovea/Frontend/Program.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace fovea {

/// Level 1 from a complete program (docs/architecture.md, section 2).
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildAttnModule(const Program &program, mlir::MLIRContext &context);

/// The program that a level-1 module holds.
llvm::Expected<Program> exportProgram(mlir::ModuleOp module);

} // namespace fovea

#endif // FOVEA_FRONTEND_ATTNMODULE_H
