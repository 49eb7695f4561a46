//===- LanguageServer.cpp - fovea-lsp-server ------------------------------===//
#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/LSP/Protocol.h"

#include <cstdlib>

using namespace fovea;

/// The server reads bytecode that an editor shows as text by itself, once it
/// has asked for the dialects: the last moment to end with a reason.
static void endIfUnreadable(llvm::StringRef path) {
  if (!llvm::sys::fs::is_regular_file(path))
    return;
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (buffer && !isReadable(**buffer))
    std::_Exit(1);
}

int fovea::runLanguageServer(int argc, char **argv,
                             mlir::DialectRegistry &registry) {
  return runToolMain("fovea-lsp-server", [&] {
    auto getRegistry =
        [&](const llvm::lsp::URIForFile &uri) -> mlir::DialectRegistry & {
      endIfUnreadable(uri.file());
      return registry;
    };
    return mlir::succeeded(mlir::MlirLspServerMain(argc, argv, getRegistry));
  });
}
