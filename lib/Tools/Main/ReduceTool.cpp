//===- ReduceTool.cpp - fovea-reduce --------------------------------------===//
#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Reducer/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

/// The value of an option in a pipeline's text.
static llvm::StringRef findOption(llvm::StringRef pipeline,
                                  llvm::StringRef name) {
  auto [before, from] = pipeline.split(name);
  if (from.empty() || !(before.ends_with("{") || before.ends_with(" ")))
    return "";
  return from.take_until([](char c) { return c == ' ' || c == '}'; });
}

/// Each reduction runs a script, which MLIR takes for given.
static mlir::LogicalResult checkScripts(mlir::PassManager &manager) {
  for (mlir::Pass &pass : manager) {
    if (pass.getArgument() != "reduction-tree" &&
        pass.getArgument() != "opt-reduction-pass")
      continue;
    std::string text;
    llvm::raw_string_ostream os(text);
    pass.printAsTextualPipeline(os);
    llvm::StringRef script = findOption(text, "test=");
    if (script.empty()) {
      llvm::errs() << "fovea-reduce: -" << pass.getArgument()
                   << " needs test=SCRIPT\n";
      return mlir::failure();
    }
    if (!llvm::sys::fs::can_execute(script)) {
      llvm::errs() << "fovea-reduce: test=" << script
                   << ": there is no such program that can be executed\n";
      return mlir::failure();
    }
  }
  return mlir::success();
}

/// What MLIR says as a warning, which nobody sees by default.
static void explain(mlir::Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning &&
      llvm::StringRef(diagnostic.str()).contains("uninterested module"))
    llvm::errs() << "fovea-reduce: the script does not find what it looks for "
                    "in the input: its exit status is 0, another one means "
                    "that a module is interesting\n";
}

static bool shrink(llvm::StringRef input, llvm::StringRef output,
                   const mlir::PassPipelineCLParser &passes,
                   mlir::MLIRContext &context) {
  auto module = readModule(input, context);
  if (!module)
    return false;
  mlir::PassManager manager(&context);
  auto onError = [](const llvm::Twine &message) {
    llvm::errs() << "fovea-reduce: " << message << "\n";
    return mlir::failure();
  };
  if (failed(passes.addToPipeline(manager, onError)) ||
      failed(checkScripts(manager)))
    return false;
  mlir::DiagnosticEngine::HandlerID handler =
      context.getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
        explain(diagnostic);
        return mlir::failure();
      });
  bool good = succeeded(manager.run(*module));
  context.getDiagEngine().eraseHandler(handler);
  if (!good)
    return false;
  return writeOutput(output, [&](llvm::raw_ostream &os) {
    module->print(os);
    return true;
  });
}

int fovea::runReduceTool(int argc, char **argv,
                         mlir::DialectRegistry &registry) {
  mlir::registerReducerPasses();
  llvm::cl::opt<std::string> input(llvm::cl::Positional, llvm::cl::init("-"),
                                   llvm::cl::desc("<input file>"));
  llvm::cl::opt<std::string> output("o", llvm::cl::init("-"),
                                    llvm::cl::value_desc("file"),
                                    llvm::cl::desc("Where the result goes"));
  mlir::PassPipelineCLParser passes("", "Passes to run");
  return runToolMain("fovea-reduce", [&] {
    llvm::cl::ParseCommandLineOptions(
        argc, argv,
        "Shrinks a module while a script finds in it what it looks for:\n"
        "  fovea-reduce FILE -reduction-tree='traversal-mode=0 test=SCRIPT'\n"
        "The script gets the name of a file with a smaller module; an exit "
        "status other\nthan 0 means that it is interesting, 0 that it is "
        "not.\n");
    mlir::MLIRContext context(registry);
    return shrink(input, output, passes, context);
  });
}
