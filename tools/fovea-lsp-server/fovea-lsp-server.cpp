//===- fovea-lsp-server.cpp - Editor support for Fovea's MLIR -------------===//

#include "fovea/Registration/Registration.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  return fovea::runToolMain("fovea-lsp-server", [&] {
    return mlir::succeeded(mlir::MlirLspServerMain(argc, argv, registry));
  });
}
