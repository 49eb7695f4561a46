//===- fovea-translate.cpp - .attn to MLIR and back -----------------------===//

#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

int main(int argc, char **argv) {
  fovea::registerTranslations();
  return fovea::runToolMain("fovea-translate", [&] {
    return mlir::succeeded(mlir::mlirTranslateMain(
        argc, argv, "Fovea's translator between .attn files and MLIR\n"));
  });
}
