//===- fovea-reduce.cpp - Shrinks a module that shows a defect ------------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  mlir::MLIRContext context(registry);
  return fovea::runToolMain("fovea-reduce", [&] {
    return mlir::succeeded(mlir::mlirReduceMain(argc, argv, context));
  });
}
