//===- CommandLine.h - Options of the tools ---------------------*- C++ -*-===//
//
// Long options with a value ("--seed 1", "--seed=1"), flags, and -D as C
// compilers take it. Nothing is registered globally, so that linking LLVM adds
// no option.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TOOLS_COMMANDLINE_H
#define FOVEA_TOOLS_COMMANDLINE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fovea {

struct OptionSpec {
  llvm::StringRef name;  ///< "--seed", "-D"
  llvm::StringRef value; ///< what the help calls the value; empty: a flag
  llvm::StringRef help;
  bool repeated = false;
};

class CommandLine {
public:
  CommandLine(llvm::StringRef tool, llvm::StringRef positional,
              llvm::StringRef about, llvm::ArrayRef<OptionSpec> specs)
      : tool(tool), positional(positional), about(about), specs(specs) {}

  enum class Outcome { Run, Help, BadUsage };
  /// Takes one positional argument. What is wrong is said on `errors`.
  Outcome parse(llvm::ArrayRef<const char *> arguments,
                llvm::raw_ostream &errors);
  void printHelp(llvm::raw_ostream &os) const;

  const std::string &getFile() const { return file; }
  bool has(llvm::StringRef name) const { return values.count(name.str()) != 0; }
  /// The last value given.
  std::optional<std::string> get(llvm::StringRef name) const;
  std::vector<std::string> getAll(llvm::StringRef name) const;

private:
  const OptionSpec *find(llvm::StringRef name) const;
  bool fail(llvm::raw_ostream &errors, const std::string &text) const;
  bool take(llvm::StringRef argument, llvm::ArrayRef<const char *> &rest,
            llvm::raw_ostream &errors);

  llvm::StringRef tool, positional, about;
  llvm::ArrayRef<OptionSpec> specs;
  std::string file;
  std::map<std::string, std::vector<std::string>> values;
};

/// Says that a tool leaves FOVEA_TUNING alone, where it is set.
void noteTuning(llvm::StringRef tool, llvm::StringRef instead,
                llvm::raw_ostream &errors);

} // namespace fovea

#endif // FOVEA_TOOLS_COMMANDLINE_H
