//===- fovea-interpret.cpp - fovea-opt with passes that run IR ----------===//

#include "fovea/Interpreter/Passes.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Tools/MLIRTools.h"
#include "mlir/IR/DialectRegistry.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  fovea::registerInterpreterPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runOptTool(argc, argv, "fovea-interpret",
                           "Fovea's optimizer with passes that run IR\n",
                           registry);
}
