//===- ProgramNodeReader.h - JSON to one node ------------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_PROGRAMNODEREADER_H
#define FOVEA_LIB_FRONTEND_PROGRAMNODEREADER_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace fovea {

template <typename... Args>
llvm::Error failJSON(const char *format, Args &&...args) {
  return llvm::createStringError(
      llvm::inconvertibleErrorCode(),
      llvm::formatv(format, std::forward<Args>(args)...).str());
}

/// What a value is, for messages.
llvm::StringRef describe(const llvm::json::Value &value);

/// `where` begins the message.
llvm::Expected<int64_t> readInt(llvm::StringRef where,
                                const llvm::json::Value &value);

/// Reads one node of a region whose earlier nodes are there; `where` is its
/// place for messages.
llvm::Expected<Node> readNode(const Program &program,
                              const llvm::StringMap<ValueType> &params,
                              const Region &region,
                              const llvm::json::Array &array,
                              std::string where);

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_PROGRAMNODEREADER_H
