//===- fovea-interpret.cpp - fovea-opt with passes that run IR ------------===//

#include "fovea/Interpreter/Passes.h"
#include "fovea/Registration/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  fovea::registerInterpreterPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return mlir::failed(mlir::MlirOptMain(
      argc, argv, "Fovea's optimizer with passes that run IR\n", registry));
}
