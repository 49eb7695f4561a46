//===- Run.h - A program and what it prints ---------------------*- C++ -*-===//
#ifndef FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H
#define FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/Program.h"

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

/// A program at work, without input; ended where nobody waits for it.
class RunningProgram {
public:
  static llvm::Expected<RunningProgram>
  start(llvm::StringRef program, llvm::ArrayRef<llvm::StringRef> arguments);
  RunningProgram(RunningProgram &&other)
      : folder(std::move(other.folder)), program(std::move(other.program)),
        process(other.process) {
    other.process = {};
  }
  RunningProgram &operator=(RunningProgram &&) = delete;
  ~RunningProgram();
  /// Waits for a minute at most.
  llvm::Expected<Ran> finish();

private:
  RunningProgram(TemporaryFolder folder, std::string program)
      : folder(std::move(folder)), program(std::move(program)) {}
  TemporaryFolder folder;
  std::string program;
  llvm::sys::ProcessInfo process;
};

/// Runs a program to its end.
llvm::Expected<Ran> runProgram(llvm::StringRef program,
                               llvm::ArrayRef<llvm::StringRef> arguments);

} // namespace fovea

#endif // FOVEA_LIB_TARGET_NVVM_ASSEMBLER_RUN_H
