//===- PrintMaskClasses.cpp - -attn-print-mask-classes --------------------===//
#include "fovea/Analysis/MaskAnalysis.h"
#include "fovea/Analysis/Passes.h"
#include "fovea/Frontend/AttnModule.h"

#include <algorithm>

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
    constexpr int64_t most = 4096; // tiles in a row of the picture
    if (tile < 1 || queries < 0 || keys < 0 || queries / tile >= most ||
        keys / tile >= most) {
      getOperation().emitError("tile must be at least 1 and leave fewer than ")
          << most << " tiles a side, got " << tile.getValue();
      return signalPassFailure();
    }
    auto programs = exportPrograms(getOperation());
    if (!programs) {
      getOperation().emitError(llvm::toString(programs.takeError()));
      return signalPassFailure();
    }
    for (const Program &program : *programs)
      print(program);
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
