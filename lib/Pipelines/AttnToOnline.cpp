//===- AttnToOnline.cpp - Level 1 to level 2 for a CPU --------------------===//

#include "fovea/Conversion/AttnToOnline/AttnToOnline.h"
#include "fovea/Dialect/Attn/Transforms/Passes.h"
#include "fovea/Pipelines/Pipelines.h"
#include "fovea/Target/CPU/CPUModel.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using namespace mlir;

static StringRef reasonOf(online::WalkScanOp scan) {
  return scan.getReason().value_or("there is no closed form");
}

static std::string describeWalk(Operation *walk) {
  if (auto segments = dyn_cast<online::WalkSegmentsOp>(walk)) {
    unsigned full = llvm::count(segments.getClasses(),
                                static_cast<int32_t>(online::ClassKind::Full));
    return llvm::formatv("keys: {0} intervals in closed form, {1} of them full",
                         segments.getClasses().size(), full)
        .str();
  }
  if (isa<online::WalkListOp>(walk))
    return "keys: the tiles of a block mask";
  return ("keys: a scan, as " + reasonOf(cast<online::WalkScanOp>(walk)) +
          "; calls that are large enough analyse it first and visit the tiles "
          "that are left")
      .str();
}

/// Whether a text such as "m=64,split=128" fixes a setting.
static bool fixes(StringRef given, StringRef setting) {
  return llvm::any_of(llvm::split(given, ','), [&](StringRef entry) {
    return entry.trim().split('=').first == setting;
  });
}

/// Why an item has its rows and a block its keys.
static std::string describeChoice(StringRef given, bool scansKeys) {
  StringRef rows = fixes(given, "m") ? "rows as given"
                   : scansKeys
                       ? "few rows, as their tiles are skipped"
                       : "packed queries and results of an item in half of L2";
  StringRef keys = fixes(given, "n")
                       ? "keys as given"
                       : "a vector's scores of a block in half of L1";
  return (rows + "; " + keys).str();
}

/// The rows and keys, then what else was given, as the kernel has it: `few` is
/// the schedule of its form for few queries, null where it has none.
static std::string describeSchedule(online::CPUScheduleAttr schedule,
                                    online::CPUScheduleAttr few,
                                    StringRef given) {
  std::string text = printCPUSchedule(schedule);
  auto add = [&](StringRef setting, int64_t value) {
    if (fixes(given, setting))
      text += ("," + setting + "=" + Twine(value)).str();
  };
  add("short", few ? few.getM() : 0);
  if (!few)
    return text;
  add("split", few.getSplit());
  add("block", few.getN());
  return text;
}

static void fillReport(ModuleOp module, StringRef givenSchedule,
                       CPUCompileReport &report) {
  module.walk([&](online::GridOp grid) {
    auto schedule =
        dyn_cast_if_present<online::CPUScheduleAttr>(grid.getScheduleAttr());
    if (!schedule)
      return;
    auto few = grid->getParentOp()->getAttrOfType<online::CPUScheduleAttr>(
        "online.few_queries");
    report.schedule = describeSchedule(schedule, few, givenSchedule);
    report.itemRows = schedule.getM();
    grid.walk([&](online::WalkScanOp scan) {
      report.scansKeys = true;
      report.scanReason = reasonOf(scan).str();
    });
    report.remarks +=
        llvm::formatv("schedule: {0} query rows an item, {1} keys a block, {2} "
                      "queries a vector ({3})\n",
                      schedule.getM(), schedule.getN(), schedule.getLanes(),
                      describeChoice(givenSchedule, report.scansKeys))
            .str();
    if (schedule.getAmx())
      report.remarks += "products: multiplications of AMX tiles, 16 x 16 "
                        "scores or results each\n";
    else if (schedule.getPairs())
      report.remarks += "products: dot products of pairs (AVX512-BF16)\n";
    if (few) {
      report.shortRows = few.getM();
      report.remarks +=
          llvm::formatv("few queries: calls of at most {0} rows a key head "
                        "(queries times heads a key head) take its heads "
                        "together, {1} queries a {2}, the keys in parts of "
                        "{3}, and pages where they lie\n",
                        few.getM(), few.getLanes(),
                        few.getAmx() ? "tile" : "vector", few.getSplit())
              .str();
    }
    if (auto one = grid->getParentOp()->getAttrOfType<online::CPUScheduleAttr>(
            "online.one_row")) {
      report.oneRow = chooseOneRow(one);
      report.remarks +=
          llvm::formatv("one row: calls of one row a key head{0} take a form "
                        "of their own\n",
                        report.oneRow == FOVEA_CPU_ONE_ROW_OF_HEADS
                            ? ", whose heads are read together,"
                            : "")
              .str();
    }
    grid.walk([&](Operation *op) {
      if (isa<online::WalkSegmentsOp, online::WalkListOp, online::WalkScanOp>(
              op))
        report.remarks += describeWalk(op) + "\n";
    });
  });
}

void fovea::addAttnToOnlinePasses(OpPassManager &passes,
                                  const CPUCompileOptions &options,
                                  llvm::ArrayRef<std::string> params) {
  attn::AttnBindParamsOptions bind;
  llvm::append_range(bind.params, params);
  passes.addPass(attn::createAttnBindParams(bind));
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  ConvertAttnToOnlineOptions convert;
  convert.cpu = options.cpu;
  convert.features = options.features;
  convert.schedule = options.schedule;
  convert.exact = options.exact;
  convert.indexBits = options.indexBits;
  convert.fewQueries = options.fewQueries;
  convert.paged = options.paged;
  convert.oneRow = options.oneRow;
  passes.addPass(createConvertAttnToOnline(convert));
  passes.addPass(attn::createAttnVerifyLowered());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

llvm::LogicalResult
fovea::lowerAttnToOnlineForCPU(ModuleOp module,
                               const CPUCompileOptions &options,
                               CPUCompileReport *report) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  addAttnToOnlinePasses(passes, options);
  if (failed(passes.run(module)))
    return failure();
  if (report)
    fillReport(module, options.schedule, *report);
  return success();
}
