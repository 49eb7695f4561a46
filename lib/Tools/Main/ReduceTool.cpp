//===- ReduceTool.cpp - fovea-reduce --------------------------------------===//
#include "fovea/Tools/MLIRTools.h"
#include "fovea/Tools/ToolMain.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Reducer/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace fovea;

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
      failed(manager.run(*module)))
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
        "  fovea-reduce FILE -reduction-tree='traversal-mode=0 test=SCRIPT'\n");
    mlir::MLIRContext context(registry);
    return shrink(input, output, passes, context);
  });
}
