//===- MLIRTools.h - Tools on MLIR's mains ----------------------*- C++ -*-===//
//
// What MLIR's mains would read by themselves is checked by isReadable first:
// their readers of bytecode and text take what is in a file for granted.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TOOLS_MLIRTOOLS_H
#define FOVEA_TOOLS_MLIRTOOLS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>

namespace fovea {

/// False for MLIR bytecode or text that would end the process, after a line on
/// standard error.
bool isReadable(llvm::MemoryBufferRef input);

/// A file of any kind, `-` for standard input; null, after a line on standard
/// error, where it cannot be opened.
std::unique_ptr<llvm::MemoryBuffer> openInput(llvm::StringRef path);

/// Writes a file, `-` for standard output, that is kept where `write` succeeds;
/// false, after a line on standard error, where it cannot be opened.
bool writeOutput(llvm::StringRef path,
                 llvm::function_ref<bool(llvm::raw_ostream &)> write);

/// The module of a file of MLIR text or bytecode.
mlir::OwningOpRef<mlir::ModuleOp> readModule(llvm::StringRef path,
                                             mlir::MLIRContext &context);

/// The options that say what .attn files leave open: --head-dim, --value-dim,
/// --dtype, -D.
void registerImportOptions();
/// Whether one of them is given, after a line on standard error: MLIR takes
/// none.
bool hasImportOptions();
/// The variants of a .attn file; `registerImportOptions` comes first.
mlir::OwningOpRef<mlir::ModuleOp> importAttn(const llvm::MemoryBuffer &source,
                                             mlir::MLIRContext &context);

/// The two translations of fovea-translate, --import-attn and --export-attn.
void registerTranslations();

/// The mains of tools, which return their exit status. The first also takes
/// .attn files.
int runOptTool(int argc, char **argv, const char *tool, llvm::StringRef title,
               mlir::DialectRegistry &registry);
int runReduceTool(int argc, char **argv, mlir::DialectRegistry &registry);
int runLanguageServer(int argc, char **argv, mlir::DialectRegistry &registry);

} // namespace fovea

#endif // FOVEA_TOOLS_MLIRTOOLS_H
