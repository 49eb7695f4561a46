//===- RunOptions.h - What fovea-run is asked for ---------------*- C++ -*-===//
#ifndef FOVEA_TOOLS_RUNOPTIONS_H
#define FOVEA_TOOLS_RUNOPTIONS_H

#include "fovea/Frontend/Program.h"
#include "fovea/Runtime/ReadSource.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace fovea {

/// "B=1,Hq=8,Hk=8,M=1024,N=1024,D=64,E=64,S=4096": sizes by name. The first
/// seven are the launch's, others belong to captures.
struct RunShape {
  int64_t B = 1, Hq = 8, Hk = 8, M = 1024, N = 1024;
  std::optional<int64_t> D, E;
  llvm::StringMap<int64_t> others;

  static llvm::Expected<RunShape> parse(llvm::StringRef text);
};

struct RunOptions {
  std::string file; ///< FILE[:variant]
  ReadOptions source;
  RunShape shape;
  uint64_t seed = 0;
  std::string target = "cpu", schedule;
  bool interpret = false, check = false, json = false;
  /// Arrays by name: q, k, v or a capture, as files.
  std::vector<std::pair<std::string, std::string>> arrays;
  std::string outFile, lseFile;
};

} // namespace fovea

#endif // FOVEA_TOOLS_RUNOPTIONS_H
