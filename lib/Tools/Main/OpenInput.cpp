//===- OpenInput.cpp - The files of tools on MLIR's mains -----------------===//
#include "fovea/Registration/CheckBytecode.h"
#include "fovea/Registration/CheckText.h"
#include "fovea/Tools/MLIRTools.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

bool fovea::isReadable(llvm::MemoryBufferRef input) {
  auto check = [&](llvm::StringRef bytes, llvm::StringRef name) {
    return mlir::isBytecode(input) ? checkBytecode(bytes, name)
                                   : checkText(bytes, name);
  };
  llvm::Error error = check(input.getBuffer(), input.getBufferIdentifier());
  if (!error)
    return true;
  llvm::errs() << llvm::toString(std::move(error)) << "\n";
  return false;
}

std::unique_ptr<llvm::MemoryBuffer> fovea::openInput(llvm::StringRef path) {
  std::string problem;
  auto buffer = mlir::openInputFile(path, &problem);
  if (!buffer)
    llvm::errs() << problem << "\n";
  return buffer;
}

bool fovea::writeOutput(llvm::StringRef path,
                        llvm::function_ref<bool(llvm::raw_ostream &)> write) {
  std::string problem;
  auto file = mlir::openOutputFile(path, &problem);
  if (!file) {
    llvm::errs() << problem << "\n";
    return false;
  }
  if (!write(file->os()))
    return false;
  file->keep();
  return true;
}

mlir::OwningOpRef<mlir::ModuleOp>
fovea::readModule(llvm::StringRef path, mlir::MLIRContext &context) {
  auto buffer = openInput(path);
  if (!buffer || !isReadable(*buffer))
    return nullptr;
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  return mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
}
