//===- fovea-opt.cpp - Runs passes on MLIR files --------------------------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runToolMain("fovea-opt", [&] {
    return mlir::succeeded(mlir::MlirOptMain(
        argc, argv, "Fovea's optimizer: runs passes on attention IR\n",
        registry));
  });
}
