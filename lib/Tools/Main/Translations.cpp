//===- Translations.cpp - .attn to MLIR and back --------------------------===//

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/Attn.h"
#include "fovea/Frontend/AttnModule.h"
#include "fovea/Tools/MLIRTools.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ManagedStatic.h"
#include "llvm/Support/SourceMgr.h"

using namespace fovea;
using namespace mlir;

namespace {
/// A feature size of at least so much.
template <int64_t least> struct DimParser : llvm::cl::parser<long long> {
  using parser::parser;

  bool parse(llvm::cl::Option &option, StringRef, StringRef text,
             long long &value) {
    if (!text.getAsInteger(10, value) && value >= least &&
        value <= ProgramLimits::headDim)
      return false;
    return option.error("must lie within " + Twine(least) + " and " +
                        Twine(ProgramLimits::headDim) + ", got " + text);
  }
  StringRef getValueName() const override { return "int"; }
};

struct DTypeParser : llvm::cl::parser<std::string> {
  using parser::parser;

  bool parse(llvm::cl::Option &option, StringRef, StringRef text,
             std::string &value) {
    value = text.str();
    return !parseDType(text) &&
           option.error("must be f16, bf16, f32 or f64, got '" + text + "'");
  }
};

/// Each name once.
struct DefineParser : llvm::cl::parser<std::string> {
  using parser::parser;

  bool parse(llvm::cl::Option &option, StringRef, StringRef text,
             std::string &value) {
    value = text.str();
    StringRef name = text.split('=').first;
    return !names.insert(name).second &&
           option.error("'" + name + "' is given twice");
  }

  llvm::StringSet<> names;
};

/// What a .attn file leaves to its caller.
struct ImportOptions {
  llvm::cl::OptionCategory category{"Options of --import-attn"};
  llvm::cl::opt<long long, false, DimParser<1>> headDim{
      "head-dim", llvm::cl::desc("Feature size of queries and keys"),
      llvm::cl::init(64), llvm::cl::cat(category)};
  llvm::cl::opt<long long, false, DimParser<0>> valueDim{
      "value-dim", llvm::cl::desc("Feature size of values (default: head-dim)"),
      llvm::cl::init(-1), llvm::cl::cat(category)};
  llvm::cl::opt<std::string, false, DTypeParser> dtype{
      "dtype", llvm::cl::desc("Element type: f32, f64, f16 or bf16"),
      llvm::cl::init("f32"), llvm::cl::cat(category)};
  llvm::cl::list<std::string, bool, DefineParser> defines{
      "D", llvm::cl::Prefix, llvm::cl::value_desc("name=value"),
      llvm::cl::desc("Value of a compile-time parameter"),
      llvm::cl::cat(category)};
};
} // namespace

static llvm::ManagedStatic<ImportOptions> options;

void fovea::registerImportOptions() { *options; }

bool fovea::hasImportOptions() {
  StringRef given = options->headDim.getNumOccurrences()    ? "--head-dim"
                    : options->valueDim.getNumOccurrences() ? "--value-dim"
                    : options->dtype.getNumOccurrences()    ? "--dtype"
                    : options->defines.getNumOccurrences()  ? "-D"
                                                            : "";
  if (!given.empty())
    llvm::errs() << given << " is for .attn files alone, MLIR says by itself "
                 << "what they leave open\n";
  return !given.empty();
}

/// Errors that carry a place read as those of a compiler.
static void report(llvm::Error error) {
  std::string text = llvm::toString(std::move(error));
  bool hasPlace = StringRef(text).contains(": error: ");
  llvm::errs() << (hasPlace ? "" : "error: ") << text << '\n';
}

OwningOpRef<ModuleOp> fovea::importAttn(const llvm::MemoryBuffer &source,
                                        MLIRContext &context) {
  std::vector<std::pair<std::string, std::string>> defines;
  for (const std::string &define : options->defines) {
    auto [name, value] = StringRef(define).split('=');
    defines.push_back({name.str(), value.str()});
  }
  llvm::FailureOr<std::vector<Program>> programs = parseAttn(
      source.getBuffer(), source.getBufferIdentifier(), defines, llvm::errs());
  if (failed(programs))
    return nullptr;
  for (Program &program : *programs) {
    program.dtype = parseDType(options->dtype);
    program.headDims = {options->headDim};
    program.valueDim =
        options->valueDim < 0 ? options->headDim : options->valueDim;
  }
  llvm::Expected<OwningOpRef<ModuleOp>> module =
      buildAttnModule(*programs, context);
  if (!module) {
    report(module.takeError());
    return nullptr;
  }
  return std::move(*module);
}

static LogicalResult exportModule(ModuleOp module, llvm::raw_ostream &os) {
  llvm::Expected<std::vector<Program>> programs = exportPrograms(module);
  if (!programs) {
    report(programs.takeError());
    return failure();
  }
  llvm::Expected<std::string> text = printAttn(*programs);
  if (!text) {
    report(text.takeError());
    return failure();
  }
  os << *text;
  return success();
}

static LogicalResult exportAttn(const std::shared_ptr<llvm::SourceMgr> &source,
                                llvm::raw_ostream &os, MLIRContext *context) {
  if (hasImportOptions() ||
      !isReadable(*source->getMemoryBuffer(source->getMainFileID())))
    return failure();
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, attn::AttnDialect, func::FuncDialect,
                  math::MathDialect>();
  context->appendDialectRegistry(registry);
  auto module = parseSourceFile<ModuleOp>(source, context);
  return module ? exportModule(*module, os) : failure();
}

void fovea::registerTranslations() {
  registerImportOptions();
  static TranslateToMLIRRegistration importer(
      "import-attn", "Read a .attn file",
      [](llvm::SourceMgr &source, MLIRContext *context) {
        auto module = importAttn(
            *source.getMemoryBuffer(source.getMainFileID()), *context);
        return OwningOpRef<Operation *>(module ? module.release() : nullptr);
      });
  static TranslateRegistration exporter(
      "export-attn", "Write level-1 IR as a .attn file", exportAttn);
}
