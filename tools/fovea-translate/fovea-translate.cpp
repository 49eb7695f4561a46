//===- fovea-translate.cpp - .attn to MLIR and back -----------------------===//

#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

/// MLIR's main would run one translation on the result of the other.
static bool namesBoth(llvm::ArrayRef<const char *> arguments) {
  auto given = [&](llvm::StringRef name) {
    return llvm::any_of(arguments, [&](llvm::StringRef argument) {
      return (argument.consume_front("--") || argument.consume_front("-")) &&
             argument == name;
    });
  };
  return given("import-attn") && given("export-attn");
}

int main(int argc, char **argv) {
  if (namesBoth({argv, size_t(argc)})) {
    llvm::errs() << "fovea-translate: --import-attn and --export-attn: only "
                    "one of them can be given\n";
    return 2;
  }
  fovea::registerTranslations();
  return fovea::runToolMain("fovea-translate", [&] {
    return mlir::succeeded(mlir::mlirTranslateMain(
        argc, argv, "Fovea's translator between .attn files and MLIR\n"));
  });
}
