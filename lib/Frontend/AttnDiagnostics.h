//===- AttnDiagnostics.h - Messages with source lines -----------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNDIAGNOSTICS_H
#define FOVEA_LIB_FRONTEND_ATTNDIAGNOSTICS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/LogicalResult.h"
#include "llvm/Support/raw_ostream.h"

#include <vector>

namespace fovea {

/// Prints `file:line:col: error: text`, the source line and a caret.
class AttnDiagnostics {
public:
  AttnDiagnostics(llvm::StringRef text, llvm::StringRef fileName,
                  llvm::raw_ostream &os);

  llvm::LogicalResult error(size_t offset, const llvm::Twine &message);
  void warning(size_t offset, const llvm::Twine &message);
  void note(size_t offset, const llvm::Twine &message);

  unsigned getNumErrors() const { return numErrors; }
  bool hasTooManyErrors() const;
  /// 1-based line and column (in bytes).
  std::pair<unsigned, unsigned> getLineAndColumn(size_t offset) const;

private:
  void print(size_t offset, llvm::StringRef kind, const llvm::Twine &message);
  void printSourceLine(size_t offset);

  llvm::StringRef text, fileName;
  llvm::raw_ostream &os;
  std::vector<size_t> lineStarts;
  unsigned numErrors = 0, numWarnings = 0;
};

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNDIAGNOSTICS_H
