//===- AttnModule.h - Program to level 1 and back ---------------*- C++ -*-===//
#ifndef FOVEA_FRONTEND_ATTNMODULE_H
#define FOVEA_FRONTEND_ATTNMODULE_H

#include "fovea/Frontend/Program.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace fovea {

/// Level 1 from complete programs (docs/architecture.md, section 2): one
/// function per program, verified. dtype, D and E must be there.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildAttnModule(llvm::ArrayRef<Program> programs, mlir::MLIRContext &context);
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
buildAttnModule(const Program &program, mlir::MLIRContext &context);

/// The programs that a level-1 module holds, one per function, canonical. What
/// a Program cannot say is an error that names op and location. Promises that
/// change no result (fast-math flags, in_range, static sizes) are dropped.
llvm::Expected<std::vector<Program>> exportPrograms(mlir::ModuleOp module);
/// The same for a module that must hold one variant.
llvm::Expected<Program> exportProgram(mlir::ModuleOp module);

/// One region of an op in a program of its own, not canonical, whose captures
/// are the region's trailing arguments. `values`: of each node a value of the
/// region that it is.
llvm::Expected<Program> readRegionAlone(mlir::Region &source, RegionKind kind,
                                        std::vector<mlir::Value> &values);

/// The scalar code of a block, for analyses: what it takes from above, and what
/// it does that a program cannot say, are parameters without a value. Arguments
/// have the names that are given, the others are such as well. Nothing where
/// the block holds other types than a program's.
struct OpenRegion {
  Program program;
  Region region;                   ///< its results are those of the terminator
  std::vector<mlir::Value> values; ///< of each node
};
std::optional<OpenRegion>
readOpenBlock(mlir::Block &block, llvm::ArrayRef<llvm::StringRef> argNames);

} // namespace fovea

#endif // FOVEA_FRONTEND_ATTNMODULE_H
