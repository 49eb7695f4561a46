//===- fovea-cubin.cpp - Kernels for sm_90a from level 1 ------------------===//
//
// fovea-cubin IN.mlir OUT [SCHEDULE]: writes OUT.ptx, OUT.cubin and the
// manifest OUT.json of the one variant in a level-1 module.
//
//===----------------------------------------------------------------------===//

#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Registration/Registration.h"
#include "fovea/Target/NVVM/Assembler.h"
#include "fovea/Target/NVVM/PTX.h"
#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

static llvm::Error write(llvm::StringRef path, llvm::StringRef bytes) {
  std::error_code failed;
  llvm::raw_fd_ostream file(path, failed);
  if (failed)
    return llvm::createFileError(path, failed);
  file << bytes;
  return llvm::Error::success();
}

static llvm::Error assemble(llvm::StringRef ptx, llvm::StringRef out) {
  auto ptxas = fovea::findPtxas();
  if (!ptxas)
    return ptxas.takeError();
  if (!*ptxas)
    return llvm::createStringError("no ptxas: pip install nvidia-cuda-nvcc");
  auto assembly = fovea::assemblePTX(**ptxas, ptx, "sm_90a");
  if (!assembly)
    return assembly.takeError();
  llvm::outs() << out << ": " << assembly->registers << " registers, "
               << assembly->spillBytes << " bytes spilled, ptxas "
               << (*ptxas)->version.str() << "\n";
  return write((out + ".cubin").str(), assembly->cubin);
}

/// As compilers print what they say of a file.
static void print(mlir::Diagnostic &diagnostic) {
  bool isNote = diagnostic.getSeverity() == mlir::DiagnosticSeverity::Note;
  if (!isNote && diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error)
    return;
  mlir::Location where = diagnostic.getLocation();
  if (auto place = where->findInstanceOf<mlir::FileLineColLoc>())
    llvm::errs() << place.getFilename().getValue() << ":" << place.getLine()
                 << ":" << place.getColumn();
  else
    llvm::errs() << where;
  llvm::errs() << (isNote ? ": note: " : ": error: ") << diagnostic << "\n";
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    print(note);
}

static mlir::LogicalResult checkNames(mlir::ModuleOp module) {
  for (auto func : module.getOps<mlir::func::FuncOp>())
    if (llvm::Error error = fovea::checkKernelName(func.getName()))
      return func.emitError(llvm::toString(std::move(error)));
  return mlir::success();
}

static llvm::Error run(llvm::StringRef in, llvm::StringRef out,
                       llvm::StringRef schedule) {
  mlir::DialectRegistry registry;
  fovea::registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = fovea::readModule(in, context);
  if (!module)
    return llvm::createStringError("not compiled");
  mlir::ScopedDiagnosticHandler handler(&context, print);
  if (failed(checkNames(*module)) ||
      failed(fovea::lowerAttnToNVVM(*module, {schedule.str()})))
    return llvm::createStringError("not compiled");
  auto kernel = fovea::emitPTX(*module);
  if (!kernel)
    return kernel.takeError();
  if (llvm::Error error = write((out + ".ptx").str(), kernel->ptx))
    return error;
  if (llvm::Error error = write((out + ".json").str(), kernel->manifest + "\n"))
    return error;
  return assemble(kernel->ptx, out);
}

int main(int argc, char **argv) {
  fovea::explainWriteErrors("fovea-cubin");
  if (argc != 3 && argc != 4) {
    llvm::errs() << "usage: fovea-cubin IN.mlir OUT [SCHEDULE]\n";
    return 2;
  }
  if (llvm::Error error = run(argv[1], argv[2], argc > 3 ? argv[3] : "")) {
    llvm::errs() << argv[1] << ": " << llvm::toString(std::move(error)) << "\n";
    return 1;
  }
  return 0;
}
