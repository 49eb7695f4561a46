//===- PrintMaskClasses.cpp - -attn-print-mask-classes --------------------===//
#include "fovea/Analysis/MaskAnalysis.h"
#include "fovea/Analysis/Passes.h"
#include "fovea/Frontend/AttnModule.h"

#include <algorithm>
#include <tuple>

namespace fovea {
#define GEN_PASS_DEF_ATTNPRINTMASKCLASSES
#include "fovea/Analysis/Passes.h.inc"
} // namespace fovea

using namespace fovea;

namespace {
struct AttnPrintMaskClasses
    : public fovea::impl::AttnPrintMaskClassesBase<AttnPrintMaskClasses> {
  using AttnPrintMaskClassesBase::AttnPrintMaskClassesBase;

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    auto programs = exportPrograms(getOperation());
    if (!programs) {
      report(llvm::toString(programs.takeError()));
      return signalPassFailure();
    }
    for (const Program &program : *programs)
      print(program);
  }

  /// Errors that carry a place need no other.
  void report(llvm::StringRef text) {
    if (text.contains(": error: "))
      llvm::errs() << text << '\n';
    else
      getOperation().emitError(text);
  }

  llvm::LogicalResult checkOptions() {
    constexpr int64_t most = 4096; // tiles in a row of the picture
    constexpr int64_t far = int64_t(1) << 40;
    // heads is checked before head, tile before what is counted in tiles.
    const std::tuple<llvm::StringRef, int64_t, int64_t, int64_t> ranges[] = {
        {"tile", tile, 1, far},
        {"heads", heads, 1, far},
        {"head", head, 0, heads - 1},
        {"batch", batch, 0, far},
        {"offset", offset, -far, far}};
    for (auto [name, value, least, largest] : ranges)
      if (value < least || value > largest)
        return getOperation().emitError(name)
               << " must lie within " << least << " and " << largest << ", got "
               << value;
    for (auto [name, value] : {std::pair("queries", queries.getValue()),
                               std::pair("keys", keys.getValue())})
      if (value < 0 || value / tile >= most)
        return getOperation().emitError(name)
               << " must be at least 0 and fewer than " << most << " tiles of "
               << tile.getValue() << ", got " << value;
    return llvm::success();
  }

  void print(const Program &program) {
    RegionEnvironment environment;
    RegionSizes sizes;
    sizes.B = batch + 1;
    sizes.H = sizes.Hk = heads;
    sizes.M = queries;
    sizes.N = keys;
    sizes.D = program.headDims.empty() ? 0 : program.headDims.front();
    sizes.E = program.valueDim.value_or(sizes.D);
    environment.sizes = sizes;
    MaskAnalysis analysis(program, environment);
    analysis.enter(batch, head);
    llvm::raw_ostream &os = llvm::outs();
    os << program.name << ": " << stringify(analysis.method())
       << (analysis.isExact() ? ", exact" : "") << '\n';
    if (AffineMask *mask = analysis.affine()) {
      std::string text;
      llvm::raw_string_ostream lines(text);
      mask->print(lines);
      llvm::StringRef rest = text;
      while (!rest.empty()) {
        auto [line, after] = rest.split('\n');
        os << "  " << line << '\n';
        rest = after;
      }
    }
    for (int64_t m = 0; m < queries; m += tile) {
      os << "  ";
      for (int64_t n = 0; n < keys; n += tile)
        os << symbolOf(analysis, m, n);
      os << '\n';
    }
  }

  char symbolOf(MaskAnalysis &analysis, int64_t m, int64_t n) {
    Interval q{m + offset, std::min(m + tile, queries.getValue()) - 1 + offset};
    Interval kv{n, std::min(n + tile, keys.getValue()) - 1};
    switch (analysis.classify({q, kv})) {
    case TileClass::Empty:
      return '.';
    case TileClass::Partial:
      return '/';
    case TileClass::Full:
      return '#';
    }
    llvm_unreachable("unknown class");
  }
};
} // namespace
