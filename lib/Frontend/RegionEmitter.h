//===- RegionEmitter.h - Nodes to scalar ops -------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_REGIONEMITTER_H
#define FOVEA_LIB_FRONTEND_REGIONEMITTER_H

#include "fovea/Frontend/Program.h"

#include "mlir/IR/Builders.h"

namespace fovea {

/// Fills a block with the ops of a region. Its arguments are those of the
/// region, then one for each of `captures` (indices in program.captures).
void emitRegion(mlir::OpBuilder &builder, const Program &program,
                mlir::Type scoreType, const Region &region, mlir::Block &block,
                llvm::ArrayRef<unsigned> captures);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_REGIONEMITTER_H
