//===- fovea-opt.cpp - Runs passes on MLIR files ------------------------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/MLIRTools.h"
#include "mlir/IR/DialectRegistry.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runOptTool(argc, argv, "fovea-opt",
                           "Fovea's optimizer: runs passes on attention IR\n",
                           registry);
}
