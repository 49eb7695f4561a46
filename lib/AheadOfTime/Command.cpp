//===- Command.cpp - The command foveac -----------------------------------===//
#include "fovea/AheadOfTime/Command.h"
#include "fovea/AheadOfTime/AheadOfTime.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/ReadSource.h"
#include "fovea/Tools/CommandLine.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

static constexpr OptionSpec optionSpecs[] = {
    {"-o", "NAME", "write NAME.o and NAME.h"},
    {"--head-dim", "NUMBER", "head dim of q and k"},
    {"--value-dim", "NUMBER", "head dim of v, that of q and k by default"},
    {"--dtype", "TYPE", "f32 (default), f64, f16 or bf16"},
    {"--target", "NAMES",
     "processors, as in x86-64-v3,x86-64-v4+avx512bf16; cpu by default", true},
    {"-D", "NAME=VALUE", "value of a compile-time parameter", true},
};

namespace {
struct Options {
  std::string input, output;
  ReadOptions source;
  std::vector<CPUTarget> targets;
};

/// False: bad usage, which was said.
bool complain(llvm::Error error) {
  llvm::errs() << "foveac: " << takeStatus(std::move(error)).second << "\n";
  return false;
}

bool readTargets(const CommandLine &line, Options &options) {
  std::vector<std::string> lists = line.getAll("--target");
  if (lists.empty())
    lists.push_back("cpu");
  for (const std::string &list : lists) {
    llvm::SmallVector<llvm::StringRef> names;
    llvm::StringRef(list).split(names, ',');
    for (llvm::StringRef name : names) {
      if (name.empty())
        return complain(invalid("--target: must be names separated by commas, "
                                "got '" +
                                list + "'"));
      auto target = resolveCPUTarget(name, /*mustRun=*/false);
      if (!target)
        return complain(invalid("--" + takeStatus(target.takeError()).second));
      options.targets.push_back(std::move(*target));
    }
  }
  return true;
}

bool readOptions(const CommandLine &line, Options &options) {
  options.input = line.getFile();
  options.output = line.get("-o").value_or("");
  ReadOptions &source = options.source;
  source.defineOption = "-D";
  source.headDimOption = "--head-dim:";
  source.valueDimOption = "--value-dim:";
  source.defaultDType = DType::F32;
  source.dtype = line.get("--dtype").value_or("");
  if (!source.dtype.empty())
    if (auto dtype = parseInputDType(source.dtype, "--dtype"); !dtype)
      return complain(dtype.takeError());
  for (const std::string &text : line.getAll("-D"))
    if (llvm::Error error = addAssignment(source.defines, text, "-D"))
      return complain(std::move(error));
  if (!readTargets(line, options))
    return false;
  if (options.output.empty()) {
    llvm::errs() << "foveac: needs -o NAME; --help says more\n";
    return false;
  }
  if (llvm::Error error =
          checkObjectName(llvm::sys::path::filename(options.output)))
    return complain(std::move(error));
  for (auto [name, dim] : {std::pair("--head-dim", &source.headDim),
                           std::pair("--value-dim", &source.valueDim)}) {
    std::optional<std::string> text = line.get(name);
    int64_t number;
    if (!text)
      continue;
    if (llvm::StringRef(*text).getAsInteger(10, number)) {
      llvm::errs() << "foveac: " << name << ": must be an int, got '" << *text
                   << "'\n";
      return false;
    }
    *dim = number;
  }
  if (llvm::Error error = checkDims(source))
    return complain(std::move(error));
  return true;
}

llvm::Error ioError(llvm::StringRef path, std::error_code code) {
  return makeError(FOVEA_IO_ERROR, path + ": " + code.message());
}

llvm::Error writeFile(const std::string &path, llvm::StringRef bytes) {
  std::error_code code;
  llvm::ToolOutputFile file(path, code, llvm::sys::fs::OF_None);
  if (code)
    return ioError(path, code);
  file.os() << bytes;
  file.os().flush();
  if (file.os().has_error()) {
    code = file.os().error();
    file.os().clear_error();
    return ioError(path, code);
  }
  file.keep();
  return llvm::Error::success();
}

llvm::Expected<Program> readProgram(const Options &options) {
  auto program = readSourceFile(options.input, options.source, llvm::errs());
  if (!program)
    return program.takeError();
  // Whether the log-sum-exp is wanted shows at the call.
  program->returnLse = !program->normalizer || program->normalizer->denom;
  if (llvm::Error error = verifyProgram(*program))
    return std::move(error);
  return program;
}

llvm::Error run(const Options &options) {
  auto program = readProgram(options);
  if (!program)
    return program.takeError();
  auto output = compileAheadOfTime(*program, options.targets,
                                   llvm::sys::path::filename(options.output));
  if (!output)
    return output.takeError();
  if (!output->keys.scanReason.empty())
    llvm::errs() << "foveac: note: every call evaluates the mask at all keys, "
                    "as "
                 << output->keys.scanReason
                 << "; the header says how options->tiles spares them\n";
  noteTuning("foveac", "schedules here are those of the cost model",
             llvm::errs());
  if (llvm::Error error = writeFile(options.output + ".o", output->object))
    return error;
  return writeFile(options.output + ".h", output->header);
}
} // namespace

int fovea::runFoveac(int argc, char **argv) {
  CommandLine line(
      "foveac", "FILE[:variant]",
      "Compiles an attention variant ahead of time. FILE is .attn, "
      "MLIR text or bytecode; - is standard input.",
      optionSpecs);
  Options options;
  CommandLine::Outcome outcome = line.parse(
      llvm::ArrayRef<const char *>(argv + 1, argv + argc), llvm::errs());
  if (outcome == CommandLine::Outcome::Help) {
    line.printHelp(llvm::outs());
    return 0;
  }
  if (outcome == CommandLine::Outcome::BadUsage || !readOptions(line, options))
    return 2;
  llvm::Error error = run(options);
  int code = error.isA<UsageError>() ? 2 : 1;
  auto [status, text] = takeStatus(std::move(error));
  if (status == FOVEA_OK)
    return 0;
  // Without a text, diagnostics that name their place have said it.
  if (!text.empty())
    printToolError(text,
                   code == 2 ? "foveac: " : "foveac: error: ", llvm::errs());
  return code;
}
