//===- RunTool.cpp - fovea-run --------------------------------------------===//

#include "fovea/Tools/RunTool.h"
#include "fovea/Interpreter/Interpreter.h"
#include "fovea/Interpreter/Judge.h"
#include "fovea/Runtime/CheckLaunch.h"
#include "fovea/Runtime/CompileService.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Tools/CommandLine.h"
#include "fovea/Tools/RunData.h"

#include "llvm/Support/JSON.h"

#include <chrono>
#include <cmath>

using namespace fovea;

static constexpr OptionSpec optionSpecs[] = {
    {"--shape", "B=1,Hq=8,...",
     "sizes: B, Hq, Hk, M, N, D, E, and named sizes of captures"},
    {"--dtype", "TYPE", "f32 (default), f64, f16 or bf16"},
    {"--seed", "NUMBER", "of the random data, 0 by default"},
    {"--target", "NAME", "cpu (default) or an architecture: x86-64-v3, ..."},
    {"--schedule", "m=192,n=256", "fixed entries of the schedule"},
    {"--interpret", "", "run the f64 interpreter instead of a kernel"},
    {"--check", "",
     "compare with the interpreter; exit 1 if it is too far off"},
    {"-D", "NAME=VALUE", "value of a compile-time parameter", true},
    {"--set", "NAME=FILE.npy", "an array to use: q, k, v or a capture", true},
    {"--out", "FILE.npy", "write the result"},
    {"--lse", "FILE.npy", "compute and write the log-sum-exp of each row"},
    {"--json", "", "report as JSON"},
};

namespace {
struct RunReport {
  std::string target, schedule;
  double compileMs = 0, runMs = 0;
  std::optional<LaunchJudgement> judgement;
};

class Stopwatch {
public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now() - begin)
        .count();
  }

private:
  std::chrono::steady_clock::time_point begin =
      std::chrono::steady_clock::now();
};
} // namespace

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

static llvm::Expected<RunOptions> readOptions(const CommandLine &line) {
  RunOptions options;
  options.file = line.getFile();
  options.source.defineOption = "-D";
  options.source.defaultDType = DType::F32;
  for (auto [option, assignments] : {std::pair("-D", &options.source.defines),
                                     std::pair("--set", &options.arrays)})
    for (const std::string &text : line.getAll(option))
      if (llvm::Error error = addAssignment(*assignments, text, option))
        return std::move(error);
  auto shape = RunShape::parse(line.get("--shape").value_or(""));
  if (!shape)
    return shape.takeError();
  options.shape = *shape;
  options.source.headDim = shape->D;
  options.source.valueDim = shape->E;
  options.source.headDimOption = "--shape: D";
  options.source.valueDimOption = "--shape: E";
  if (llvm::Error error = checkDims(options.source))
    return std::move(error);
  if (auto text = line.get("--dtype")) {
    options.source.dtype = *text;
    if (auto dtype = parseInputDType(*text, "--dtype"); !dtype)
      return dtype.takeError();
  }
  if (auto seed = line.get("--seed"))
    if (llvm::StringRef(*seed).getAsInteger(0, options.seed))
      return invalid("--seed: must be a number from 0 to 2^64 - 1, got '" +
                     *seed + "'");
  options.target = line.get("--target").value_or("cpu");
  options.schedule = line.get("--schedule").value_or("");
  options.outFile = line.get("--out").value_or("");
  options.lseFile = line.get("--lse").value_or("");
  if (!options.lseFile.empty() && options.lseFile == options.outFile)
    return invalid("--lse: must not be the file of --out, got '" +
                   options.lseFile + "'");
  options.interpret =
      line.has("--interpret") || options.target == "interpreter";
  if (isGPUTarget(options.target))
    return invalid("--target: must be a CPU or the interpreter, whose arrays "
                   "are those of this program, got '" +
                   options.target + "'");
  if (!options.interpret)
    if (auto target = resolveCPUTarget(options.target, /*mustRun=*/true);
        !target)
      return invalid("--" + takeStatus(target.takeError()).second);
  options.check = line.has("--check");
  options.json = line.has("--json");
  if (line.has("--interpret") && line.has("--target") &&
      options.target != "interpreter")
    return invalid("--interpret and --target exclude each other");
  return options;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// What is not written must not look right.
static void poison(const TensorView &view) {
  for (int64_t i = 0, end = view.numElements(); i < end; ++i)
    view.storeFloat(i, std::nan(""));
}

static llvm::Error runKernel(const Program &program, const RunOptions &options,
                             const LaunchView &view, RunReport &report) {
  Stopwatch compiling;
  auto compiled =
      CompileService::get().compile(program, options.target, options.schedule);
  if (!compiled)
    return compiled.takeError();
  report.compileMs = compiling.milliseconds();
  Kernel &kernel = *compiled->first;
  report.target = kernel.getTarget()->name;
  auto info = kernel.getInfo();
  if (!info)
    return info.takeError();
  if (auto parsed = llvm::json::parse(*info)) {
    if (auto schedule = parsed->getAsObject()->getString("schedule"))
      report.schedule = schedule->str();
  } else {
    llvm::consumeError(parsed.takeError());
  }
  auto form = kernel.chooseForm(view);
  if (!form)
    return form.takeError();
  auto fast = kernel.getCode(*form);
  if (!fast)
    return fast.takeError();
  Stopwatch running;
  if (llvm::Error error = runKernel(view, *fast, [&] {
        return kernel.getCode({form->indexBits, /*exact=*/true});
      }))
    return error;
  report.runMs = running.milliseconds();
  return llvm::Error::success();
}

static llvm::Expected<RunReport>
run(const Program &program, const RunOptions &options, const LaunchView &view) {
  RunReport report;
  if (view.queryLength && view.kvLength)
    if (llvm::Error error = checkConstantIndices(
            program, findConstantIndices(program), view.captures))
      return std::move(error);
  poison(view.out);
  if (view.lse)
    poison(*view.lse);
  if (options.interpret) {
    report.target = "interpreter";
    Stopwatch running;
    if (llvm::Error error = interpretProgram(program, view))
      return std::move(error);
    report.runMs = running.milliseconds();
  } else if (llvm::Error error = runKernel(program, options, view, report)) {
    return std::move(error);
  }
  if (options.check) {
    auto judgement = judgeLaunch(program, view);
    if (!judgement)
      return judgement.takeError();
    report.judgement = *judgement;
  }
  return report;
}

//===----------------------------------------------------------------------===//
// Reporting
//===----------------------------------------------------------------------===//

static llvm::json::Value toJSON(const Judgement &judgement) {
  return llvm::json::Object{
      {"passed", judgement.passed},          {"error", judgement.error},
      {"allowed", judgement.allowed},        {"row_error", judgement.rowError},
      {"row_allowed", judgement.rowAllowed}, {"reason", judgement.reason}};
}

static void printJSON(const Program &program, const RunOptions &options,
                      const RunReport &report, llvm::raw_ostream &out) {
  const RunShape &shape = options.shape;
  llvm::json::Object object{
      {"variant", program.name},
      {"dtype", stringify(*program.dtype)},
      {"shape", llvm::json::Object{{"B", shape.B},
                                   {"Hq", shape.Hq},
                                   {"Hk", shape.Hk},
                                   {"M", shape.M},
                                   {"N", shape.N},
                                   {"D", program.headDims[0]},
                                   {"E", *program.valueDim}}},
      {"target", report.target},
      {"schedule", report.schedule},
      {"compile_ms", report.compileMs},
      {"run_ms", report.runMs}};
  if (report.judgement) {
    llvm::json::Object check{{"passed", report.judgement->passed()},
                             {"out", toJSON(report.judgement->out)}};
    if (report.judgement->hasLse)
      check["lse"] = toJSON(report.judgement->lse);
    object["check"] = std::move(check);
  }
  out << llvm::json::Value(std::move(object)) << "\n";
}

static void printJudgement(llvm::StringRef name, const Judgement &judgement,
                           llvm::raw_ostream &out) {
  out << llvm::format("check    %-4s error %.3g, allowed %.3g; worst row %.3g, "
                      "allowed %.3g: ",
                      name.str().c_str(), judgement.error, judgement.allowed,
                      judgement.rowError, judgement.rowAllowed)
      << (judgement.passed ? "ok" : judgement.reason) << "\n";
}

static void printText(const Program &program, const RunOptions &options,
                      const RunReport &report, llvm::raw_ostream &out) {
  const RunShape &shape = options.shape;
  out << program.name << ", " << stringify(*program.dtype) << ", B=" << shape.B
      << " Hq=" << shape.Hq << " Hk=" << shape.Hk << " M=" << shape.M
      << " N=" << shape.N << " D=" << program.headDims[0]
      << " E=" << *program.valueDim << "\n";
  out << "target   " << report.target;
  if (!report.schedule.empty())
    out << ", schedule " << report.schedule;
  out << "\n";
  if (!options.interpret)
    out << llvm::format("compile  %.1f ms\n", report.compileMs);
  out << llvm::format("run      %.3f ms\n", report.runMs);
  if (!report.judgement)
    return;
  printJudgement("out", report.judgement->out, out);
  if (report.judgement->hasLse)
    printJudgement("lse", report.judgement->lse, out);
}

static bool hasDenominator(const Program &program) {
  return !program.normalizer || program.normalizer->denom;
}

/// An index beyond a size that was assumed: says that it can be given.
static llvm::Error explainSizes(llvm::Error error, const RunData &data) {
  if (error.isA<UsageError>() || data.assumed.empty())
    return error;
  auto [status, text] = takeStatus(std::move(error));
  if (status == FOVEA_INDEX_ERROR) {
    llvm::StringRef separator = "; assumed ";
    for (const auto &[name, size] : data.assumed) {
      text += (separator + name + "=" + llvm::Twine(size)).str();
      separator = ", ";
    }
    text += ", which --shape can give";
  }
  return makeError(status, text);
}

/// 0 or 1, or an error.
static llvm::Expected<int> runAll(const RunOptions &options,
                                  llvm::raw_ostream &out,
                                  llvm::raw_ostream &errors) {
  auto program = readSourceFile(options.file, options.source, errors);
  if (!program)
    return program.takeError();
  if (program->blockMask)
    return invalid("'" + program->name +
                   "' takes a block mask, which this tool has none for");
  if (!options.lseFile.empty() && !hasDenominator(*program))
    return invalid("--lse: the normalizer '" + program->normalizer->name +
                   "' has no denominator");
  program->returnLse |=
      !options.lseFile.empty() || (options.check && hasDenominator(*program));
  auto data = makeRunData(*program, options);
  if (!data)
    return data.takeError();
  if (!options.interpret && options.schedule.empty())
    noteTuning("fovea-run", "--schedule takes what such a file found", errors);
  auto report = run(*program, options, data->view);
  if (!report)
    return explainSizes(report.takeError(), *data);
  if (!options.outFile.empty())
    if (llvm::Error error = writeNpy(options.outFile, data->view.out))
      return std::move(error);
  if (!options.lseFile.empty())
    if (llvm::Error error = writeNpy(options.lseFile, *data->view.lse))
      return std::move(error);
  (options.json ? printJSON : printText)(*program, options, *report, out);
  return report->judgement && !report->judgement->passed() ? 1 : 0;
}

int fovea::runFoveaRun(int argc, const char *const *argv,
                       llvm::raw_ostream &out, llvm::raw_ostream &errors) {
  CommandLine line("fovea-run", "FILE[:variant]",
                   "Runs an attention variant on seeded random or given data.",
                   optionSpecs);
  switch (line.parse(llvm::ArrayRef(argv, argc).drop_front(), errors)) {
  case CommandLine::Outcome::Help:
    line.printHelp(out);
    return 0;
  case CommandLine::Outcome::BadUsage:
    return 2;
  case CommandLine::Outcome::Run:
    break;
  }
  auto report = [&](llvm::Error error) {
    std::string text = takeStatus(std::move(error)).second;
    if (!text.empty())
      printToolError(text, "fovea-run: ", errors);
  };
  auto options = readOptions(line);
  if (!options) {
    report(options.takeError());
    return 2;
  }
  auto status = runAll(*options, out, errors);
  if (status)
    return *status;
  llvm::Error error = status.takeError();
  int code = error.isA<UsageError>() ? 2 : 1;
  report(std::move(error));
  return code;
}

int fovea::finishTool(int status) {
  llvm::outs().flush();
  if (!llvm::outs().has_error())
    return status;
  llvm::outs().clear_error();
  llvm::errs() << "cannot write to standard output\n";
  return status == 0 ? 1 : status;
}
