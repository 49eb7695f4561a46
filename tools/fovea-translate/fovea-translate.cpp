//===- fovea-translate.cpp - .attn to MLIR and back -----------------------===//

#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

/// MLIR's main would run one translation on the result of the other, and say
/// twice that there is none.
static bool namesOne(llvm::ArrayRef<const char *> arguments) {
  auto given = [&](llvm::StringRef name) {
    return llvm::any_of(arguments, [&](llvm::StringRef argument) {
      return (argument.consume_front("--") || argument.consume_front("-")) &&
             argument == name;
    });
  };
  bool importing = given("import-attn"), exporting = given("export-attn");
  if (importing && exporting)
    llvm::errs() << "fovea-translate: --import-attn and --export-attn: only "
                    "one of them can be given\n";
  else if (!importing && !exporting &&
           llvm::none_of(
               llvm::ArrayRef<llvm::StringRef>{"h", "help", "help-hidden",
                                               "help-list", "help-list-hidden",
                                               "version"},
               given))
    llvm::errs() << "fovea-translate: needs --import-attn or --export-attn\n";
  else
    return true;
  return false;
}

int main(int argc, char **argv) {
  if (!namesOne({argv, size_t(argc)}))
    return 2;
  fovea::registerTranslations();
  return fovea::runToolMain("fovea-translate", [&] {
    return mlir::succeeded(mlir::mlirTranslateMain(
        argc, argv, "Fovea's translator between .attn files and MLIR\n"));
  });
}
