//===- Command.cpp - The command foveac -----------------------------------===//
#include "fovea/AheadOfTime/Command.h"
#include "fovea/AheadOfTime/AheadOfTime.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/ReadSource.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

namespace {
/// The options; made when the command runs, so that nothing is registered in
/// programs that only link this library.
struct Options {
  llvm::cl::OptionCategory category{"foveac options"};
  llvm::cl::opt<std::string> input{
      llvm::cl::Positional, llvm::cl::Required, llvm::cl::cat(category),
      llvm::cl::desc("FILE[:variant]"), llvm::cl::value_desc("file")};
  llvm::cl::opt<std::string> output{
      "o", llvm::cl::Required, llvm::cl::cat(category),
      llvm::cl::desc("Write NAME.o and NAME.h"), llvm::cl::value_desc("NAME")};
  llvm::cl::opt<int64_t> headDim{"head-dim", llvm::cl::init(0),
                                 llvm::cl::cat(category),
                                 llvm::cl::desc("Head dim of q and k")};
  llvm::cl::opt<int64_t> valueDim{"value-dim", llvm::cl::init(-1),
                                  llvm::cl::cat(category),
                                  llvm::cl::desc("Head dim of v")};
  llvm::cl::opt<std::string> dtype{"dtype", llvm::cl::cat(category),
                                   llvm::cl::desc("f32, f64, f16 or bf16")};
  llvm::cl::list<std::string> targets{
      "target", llvm::cl::CommaSeparated, llvm::cl::cat(category),
      llvm::cl::desc("Processors, as in x86-64-v3,x86-64-v4+avx512bf16")};
  llvm::cl::list<std::string> defines{
      "D", llvm::cl::Prefix, llvm::cl::cat(category),
      llvm::cl::desc("Compile-time parameter"), llvm::cl::value_desc("W=64")};
};

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
  ReadOptions source;
  source.defineOption = "-D";
  source.defaultDType = DType::F32;
  source.dtype = options.dtype;
  for (const std::string &define : options.defines) {
    auto pair = splitAssignment(define, "-D");
    if (!pair)
      return pair.takeError();
    source.defines.push_back(std::move(*pair));
  }
  if (options.headDim.getNumOccurrences())
    source.headDim = options.headDim;
  if (options.valueDim.getNumOccurrences())
    source.valueDim = options.valueDim;
  auto program = readSourceFile(options.input, source, llvm::errs());
  if (!program)
    return program.takeError();
  // Whether the log-sum-exp is wanted shows at the call.
  program->returnLse = !program->normalizer || program->normalizer->denom;
  program->blockMask = false;
  if (llvm::Error error = verifyProgram(*program))
    return std::move(error);
  return program;
}

llvm::Error run(const Options &options) {
  std::vector<CPUTarget> targets;
  std::vector<std::string> names(options.targets.begin(),
                                 options.targets.end());
  if (names.empty())
    names.push_back("cpu");
  for (const std::string &name : names) {
    auto target = resolveCPUTarget(name, /*mustRun=*/false);
    if (!target)
      return target.takeError();
    targets.push_back(std::move(*target));
  }
  auto program = readProgram(options);
  if (!program)
    return program.takeError();
  auto output = compileAheadOfTime(*program, targets,
                                   llvm::sys::path::filename(options.output));
  if (!output)
    return output.takeError();
  if (llvm::Error error = writeFile(options.output + ".o", output->object))
    return error;
  return writeFile(options.output + ".h", output->header);
}
} // namespace

int fovea::runFoveac(int argc, char **argv) {
  Options options;
  std::string usage;
  llvm::raw_string_ostream os(usage);
  llvm::cl::HideUnrelatedOptions(options.category);
  if (!llvm::cl::ParseCommandLineOptions(
          argc, argv, "Compiles an attention variant ahead of time\n", &os)) {
    llvm::errs() << usage;
    return 2;
  }
  auto [status, text] = takeStatus(run(options));
  if (status == FOVEA_OK)
    return 0;
  // Without a text, diagnostics that name their place have said it.
  if (!text.empty())
    llvm::errs() << "foveac: error: " << text << "\n";
  return 1;
}
