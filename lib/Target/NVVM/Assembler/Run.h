//===- Run.h - A program and what it prints ---------------------*- C++ -*-===//
#ifndef FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H
#define FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace fovea {

/// A folder of our own, gone with its files at the end.
class TemporaryFolder {
public:
  static llvm::Expected<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder &&other) : folder(std::move(other.folder)) {
    other.folder.clear();
  }
  TemporaryFolder &operator=(TemporaryFolder &&) = delete;
  ~TemporaryFolder();
  std::string file(llvm::StringRef name) const;

private:
  TemporaryFolder() = default;
  llvm::SmallString<128> folder;
};

struct Ran {
  int status = 0;
  std::string output; ///< of both streams
};

/// Runs a program without input, for a minute at most.
llvm::Expected<Ran> runProgram(llvm::StringRef program,
                               llvm::ArrayRef<llvm::StringRef> arguments);

} // namespace fovea

#endif // FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H
