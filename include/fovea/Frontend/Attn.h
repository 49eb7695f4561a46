//===- Attn.h - The .attn language ------------------------------*- C++ -*-===//
//
// Text to Program and back. The language is docs/attn.md; there is one format,
// and printing what was parsed is a fixed point after one round.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_FRONTEND_ATTN_H
#define FOVEA_FRONTEND_ATTN_H

#include "fovea/Frontend/Program.h"

#include "llvm/Support/LogicalResult.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {

struct AttnLimits {
  static constexpr size_t textBytes = 1u << 20;
  static constexpr unsigned nesting = 256;
  static constexpr size_t nameBytes = 128;
  /// Operations that one clause may expand to, with all fn calls inlined.
  static constexpr unsigned operations = 1u << 18;
  static constexpr size_t fnParams = 256;
  static constexpr unsigned errors = 20;
};

/// Parses a file into one canonical Program per variant, dtype and dims left
/// out. `defines` are (name, value) pairs for compile-time parameters, of
/// `variant` where it names one; fileName is for messages, which go to
/// `diagnostics` in clang's form: file:line:col, source line, caret. Warnings
/// alone do not make it fail.
llvm::FailureOr<std::vector<Program>>
parseAttn(llvm::StringRef text, llvm::StringRef fileName,
          llvm::ArrayRef<std::pair<std::string, std::string>> defines,
          llvm::raw_ostream &diagnostics, llvm::StringRef variant = "");

/// Prints an error that was found later as parseAttn prints its own.
void printAttnError(llvm::StringRef text, llvm::StringRef fileName,
                    unsigned line, unsigned column, const llvm::Twine &message,
                    llvm::raw_ostream &os);

/// The one format. Fails on what the language cannot say (a NaN constant).
llvm::Expected<std::string> printAttn(const Program &program);
llvm::Expected<std::string> printAttn(llvm::ArrayRef<Program> programs);

} // namespace fovea

#endif // FOVEA_FRONTEND_ATTN_H
