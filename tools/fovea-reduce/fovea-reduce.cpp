//===- fovea-reduce.cpp - Shrinks a module that shows a defect ----------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/MLIRTools.h"
#include "mlir/IR/DialectRegistry.h"

int main(int argc, char **argv) {
  fovea::registerPasses();
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runReduceTool(argc, argv, registry);
}
