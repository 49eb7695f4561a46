//===- OptTool.cpp - fovea-opt and its kin --------------------------------===//
#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

/// By its name; on standard input by how no line of MLIR begins.
static bool isAttn(llvm::StringRef text, llvm::StringRef path) {
  return path.ends_with(".attn") ||
         (path == "-" &&
          (text.starts_with("attention ") || text.contains("\nattention ")));
}

/// The MLIR text of a .attn file, whose lines its locations name.
static std::unique_ptr<llvm::MemoryBuffer>
importText(const llvm::MemoryBuffer &source) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = importAttn(source, context);
  if (!module)
    return nullptr;
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, mlir::OpPrintingFlags().enableDebugInfo());
  return llvm::MemoryBuffer::getMemBufferCopy(text,
                                              source.getBufferIdentifier());
}

static bool runOpt(int argc, char **argv, llvm::StringRef title,
                   mlir::DialectRegistry &registry) {
  registerImportOptions();
  auto [input, output] =
      mlir::registerAndParseCLIOptions(argc, argv, title, registry);
  auto config = mlir::MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return succeeded(mlir::MlirOptMain(argc, argv, input, output, registry));
  auto buffer = openInput(input);
  if (buffer && isAttn(buffer->getBuffer(), input))
    buffer = importText(*buffer);
  else if (buffer && hasImportOptions())
    return false;
  if (!buffer || !isReadable(*buffer))
    return false;
  return writeOutput(output, [&](llvm::raw_ostream &os) {
    return succeeded(
        mlir::MlirOptMain(os, std::move(buffer), registry, config));
  });
}

int fovea::runOptTool(int argc, char **argv, const char *tool,
                      llvm::StringRef title, mlir::DialectRegistry &registry) {
  return runToolMain(tool, [&] { return runOpt(argc, argv, title, registry); });
}
