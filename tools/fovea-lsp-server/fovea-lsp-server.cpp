//===- fovea-lsp-server.cpp - Editor support for Fovea's MLIR -----------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/MLIRTools.h"
#include "mlir/IR/DialectRegistry.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runLanguageServer(argc, argv, registry);
}
