//===- CPUModel.cpp - CPUs as schedules see them --------------------------===//

#include "fovea/Target/CPU/CPUModel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <numeric>

using namespace fovea;

/// Whether a list such as "+avx512f,-avx512bf16" says something of a feature.
static std::optional<bool> findFeature(llvm::StringRef features,
                                       llvm::StringRef name) {
  for (llvm::StringRef rest = features; !rest.empty();) {
    auto [feature, tail] = rest.split(',');
    if (feature.drop_front(feature.empty() ? 0 : 1) == name)
      return feature.front() == '+';
    rest = tail;
  }
  return std::nullopt;
}

static bool hasAVX512(llvm::StringRef cpu, llvm::StringRef features) {
  if (std::optional<bool> said = findFeature(features, "avx512f"))
    return *said;
  return cpu == "x86-64-v4" || cpu.starts_with("znver4") ||
         cpu.starts_with("znver5") || cpu.contains("skylake-avx512") ||
         cpu.contains("icelake-server") || cpu.contains("sapphirerapids") ||
         cpu.contains("graniterapids");
}

static bool hasBF16Dots(llvm::StringRef cpu, llvm::StringRef features) {
  if (std::optional<bool> said = findFeature(features, "avx512bf16"))
    return *said;
  return cpu.starts_with("znver4") || cpu.starts_with("znver5") ||
         cpu.contains("sapphirerapids") || cpu.contains("graniterapids");
}

static bool hasBF16Tiles(llvm::StringRef cpu, llvm::StringRef features) {
  bool named = cpu.contains("sapphirerapids") || cpu.contains("graniterapids");
  return llvm::all_of(llvm::ArrayRef<llvm::StringRef>{"amx-tile", "amx-bf16"},
                      [&](llvm::StringRef feature) {
                        return findFeature(features, feature).value_or(named);
                      });
}

static bool isX86(llvm::StringRef cpu) {
  return llvm::X86::parseArchX86(cpu, /*Only64Bit=*/true) != llvm::X86::CK_None;
}

/// AArch64 processors, whose NEON registers every one of them has.
static bool hasNEON(llvm::StringRef cpu) {
  return !isX86(cpu) && llvm::AArch64::parseCpu(cpu).has_value();
}

/// Whether some processor of the family has a feature of this name.
static bool isFeature(llvm::StringRef name, bool x86) {
  if (!x86)
    return llvm::AArch64::targetFeatureToExtension(("+" + name).str())
        .has_value();
  static const llvm::StringSet<> known = [] {
    llvm::StringSet<> names;
    llvm::SmallVector<llvm::StringRef> processors, features;
    llvm::X86::fillValidCPUArchList(processors, /*Only64Bit=*/true);
    for (llvm::StringRef processor : processors)
      llvm::X86::getFeaturesForCPU(processor, features);
    for (llvm::StringRef feature : features)
      names.insert(feature);
    return names;
  }();
  return known.contains(name);
}

llvm::LogicalResult
fovea::checkCPU(llvm::StringRef cpu, llvm::StringRef features,
                llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  bool x86 = isX86(cpu);
  if (!x86 && !hasNEON(cpu))
    return emitError() << "cpu must be an x86-64 or AArch64 processor in "
                          "LLVM's spelling, got '"
                       << cpu << "'";
  llvm::SmallVector<llvm::StringRef> entries;
  features.split(entries, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef entry : entries)
    if (!(entry.starts_with("+") || entry.starts_with("-")) ||
        !isFeature(entry.drop_front(), x86))
      return emitError() << "features must be +NAME or -NAME of what "
                         << (x86 ? "x86-64" : "AArch64")
                         << " processors have, got '" << entry << "'";
  return llvm::success();
}

TargetModel fovea::getCPUModel(llvm::StringRef cpu, llvm::StringRef features) {
  TargetModel model(cpu);
  bool wide = hasAVX512(cpu, features), narrow = hasNEON(cpu);
  model.setLimit("vector_bytes", wide ? 64 : narrow ? 16 : 32);
  model.setLimit("vector_registers", wide || narrow ? 32 : 16);
  if (wide && hasBF16Dots(cpu, features))
    model.setLimit("bf16_dots", 1);
  if (model.getLimit("bf16_dots") && hasBF16Tiles(cpu, features))
    model.setLimit("bf16_tiles", 1);
  model.setLimit("l1_bytes", 32 << 10);
  // The least L2 among the cores of that level that are in use.
  model.setLimit("l2_bytes", wide ? 1 << 20 : 512 << 10);
  return model;
}

namespace {
/// What the user fixed.
struct Choice {
  std::optional<int64_t> m, n, rows, split, block;
};
} // namespace

static llvm::FailureOr<Choice>
parseSchedule(llvm::StringRef text,
              llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  Choice choice;
  llvm::SmallVector<llvm::StringRef> entries;
  text.split(entries, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef entry : entries) {
    auto [key, value] = entry.trim().split('=');
    llvm::StringRef shown = entry.take_front(60);
    int64_t number = 0;
    auto *chosen = llvm::StringSwitch<std::optional<int64_t> *>(key)
                       .Case("m", &choice.m)
                       .Case("n", &choice.n)
                       .Case("short", &choice.rows)
                       .Case("split", &choice.split)
                       .Case("block", &choice.block)
                       .Default(nullptr);
    if (!chosen)
      return emitError() << "schedule: a CPU schedule has m, n, short, split "
                            "and block, got '"
                         << shown << "'";
    if (!entry.contains('='))
      return emitError() << "schedule: " << key << " takes a number, as in "
                         << key << "=64, got none";
    int64_t least = key == "short" ? 0 : 1;
    if (value.getAsInteger(10, number) || number < least || number > 1 << 20)
      return emitError() << "schedule: " << key << " must be a number from "
                         << least << " to 1048576, got '" << shown << "'";
    if (*chosen)
      return emitError() << "schedule: " << key << " must be given once, got '"
                         << text.take_front(60) << "'";
    *chosen = number;
  }
  return choice;
}

/// Rows that the short form takes at most: beyond, a kernel with wider items is
/// as fast.
static constexpr int64_t kShortRows = 32;

/// Whether few queries meet keys by tiles; one row would be one of sixteen.
static bool multipliesTiles(const TargetModel &model,
                            const CPUScheduleRequest &request) {
  return request.bf16 && model.getLimit("bf16_tiles") && !request.oneRow;
}

/// Whether few queries meet keys in pairs. Processors with tiles take two
/// clocks for a dot product of pairs where they multiply and add twice in one.
static bool multipliesPairs(const TargetModel &model,
                            const CPUScheduleRequest &request) {
  return request.bf16 && model.getLimit("bf16_dots") &&
         !model.getLimit("bf16_tiles");
}

/// The form for few queries: panels of four rows, so that a register of
/// features is loaded for four multiply-adds and few lanes are idle; by tiles
/// of eight, which are half of a product.
static llvm::FailureOr<mlir::online::CPUScheduleAttr>
makeShortSchedule(mlir::MLIRContext *context, const TargetModel &model,
                  const CPUScheduleRequest &request, const Choice &choice,
                  llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  bool tiles = multipliesTiles(model, request);
  int64_t lanes = tiles ? kTileRows / 2 : 4;
  int64_t rows = std::max<int64_t>(choice.rows.value_or(kShortRows), 1);
  // The keys and values of a part fill 1 MiB. Blocks are short: while one is
  // multiplied, the next is on its way.
  int64_t keyBytes = std::max<int64_t>(1, (request.headDim + request.valueDim) *
                                              request.elementBytes);
  int64_t block = choice.block.value_or(32);
  if (block % 16 != 0)
    return emitError() << "schedule: block must be a multiple of 16 (the keys "
                          "of a group), got "
                       << block;
  int64_t split = choice.split.value_or(std::clamp<int64_t>(
      int64_t(1) << llvm::Log2_64((1 << 20) / keyBytes), 256, 16384));
  if (split % block != 0)
    return emitError() << "schedule: split must be a multiple of " << block
                       << " (the keys of a block), got " << split;
  int64_t m = request.oneRow ? 1 : llvm::alignTo(rows, lanes), n = block;
  int64_t wide =
      std::max(lanes, *model.getLimit("vector_bytes") / request.scoreBytes);
  bool pairs = tiles || multipliesPairs(model, request);
  auto schedule = mlir::online::CPUScheduleAttr::getChecked(
      emitError, context, m, n, lanes, /*exact=*/false, request.indexBits,
      pairs, tiles, split, wide);
  if (!schedule)
    return llvm::failure();
  // Said here by the names that users give.
  int64_t limit = *model.getLimit("l2_bytes");
  int64_t asked = schedule.footprint("l2_bytes", request.headDim,
                                     request.valueDim, request.elementBytes);
  if (asked > limit)
    return emitError() << "schedule: short=" << rows << ",block=" << block
                       << " asks for " << asked
                       << " of l2_bytes, the limit of '" << model.getName()
                       << "' is " << limit;
  return schedule;
}

/// Wide items, for many queries.
static llvm::FailureOr<mlir::online::CPUScheduleAttr>
makeSchedule(mlir::MLIRContext *context, const TargetModel &model,
             const CPUScheduleRequest &request, const Choice &choice,
             llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  int64_t lanes = *model.getLimit("vector_bytes") / request.scoreBytes;
  // Packed queries and accumulators of an item stay in half of L2, the scores
  // of one panel in half of L1; beyond 192 rows and 256 keys nothing is gained
  // but with tiles.
  int64_t rowBytes = std::max<int64_t>(1, (request.headDim + request.valueDim) *
                                              request.scoreBytes);
  int64_t rows = *model.getLimit("l2_bytes") / 2 / rowBytes;
  rows = std::clamp<int64_t>(rows / lanes * lanes, lanes,
                             llvm::alignTo(192, lanes));
  // A tile of few rows is empty or full where a large one is neither; a block
  // of keys is read again from L2 by more items then.
  constexpr int64_t scanRows = 64;
  if (request.scansKeys)
    rows = std::min<int64_t>(rows, llvm::alignTo(scanRows, lanes));
  bool pairs = request.bf16 && model.getLimit("bf16_dots");
  bool tiles = pairs && model.getLimit("bf16_tiles");
  int64_t keys = std::min<int64_t>(256, *model.getLimit("l1_bytes") / 2 /
                                            (lanes * request.scoreBytes));
  if (request.elementBytes < request.scoreBytes) // widened blocks of K and V
    keys = std::min(keys, *model.getLimit("l2_bytes") / 4 / rowBytes);
  // Each block loads and stores the tiles of results, which wait for each
  // other. Of K and V it has what lies in memory.
  if (tiles && !request.exact)
    keys = std::clamp<int64_t>(*model.getLimit("l2_bytes") / 2 / rowBytes, keys,
                               std::max<int64_t>(keys, 512));
  int64_t unit = keyUnit(*model.getLimit("vector_bytes"));
  int64_t group = keyGroup(*model.getLimit("vector_bytes"));
  if (unit == group) {
    int64_t step = std::max(lanes, group);
    keys = std::max(step, keys / step * step);
  } else {
    // Whole groups; as many blocks as without them.
    keys = llvm::alignTo(keys, std::lcm(unit, group));
  }
  // Whole groups of tiles; exact kernels have the same items.
  for (int64_t *size : {&rows, &keys})
    if (tiles && *size > kTileGroup)
      *size = *size / kTileGroup * kTileGroup;
  int64_t m = choice.m.value_or(rows), n = choice.n.value_or(keys);
  if (m % lanes != 0)
    return emitError() << "schedule: m must be a multiple of " << lanes
                       << " (the queries of a vector on " << model.getName()
                       << "), got " << m;
  if (n % unit != 0)
    return emitError() << "schedule: n must be a multiple of " << unit
                       << " (the least block of keys on " << model.getName()
                       << "), got " << n;
  bool amx =
      tiles && !request.exact && m % kTileGroup == 0 && n % kTileGroup == 0;
  int64_t split = 0, wide = 0;
  return mlir::online::CPUScheduleAttr::getChecked(
      emitError, context, m, n, lanes, request.exact, request.indexBits, pairs,
      amx, split, wide);
}

llvm::FailureOr<mlir::online::CPUScheduleAttr> fovea::chooseCPUSchedule(
    mlir::MLIRContext *context, const TargetModel &model,
    const CPUScheduleRequest &request,
    llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  llvm::FailureOr<Choice> choice = parseSchedule(request.text, emitError);
  if (llvm::failed(choice))
    return llvm::failure();
  if (request.oneRow && !hasOneRowForm(model, request))
    return emitError() << "schedule: one row has no form of its own on "
                       << model.getName() << " with head dim "
                       << request.longestHeadDim;
  auto make = request.fewQueries ? makeShortSchedule : makeSchedule;
  auto schedule = make(context, model, request, *choice, emitError);
  if (llvm::failed(schedule) || !*schedule ||
      llvm::failed(schedule->verifySchedule(model, request.headDim,
                                            request.valueDim,
                                            request.elementBytes, emitError)))
    return llvm::failure();
  return schedule;
}

llvm::FailureOr<int64_t> fovea::chooseShortRows(
    llvm::StringRef text,
    llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  llvm::FailureOr<Choice> choice = parseSchedule(text, emitError);
  if (llvm::failed(choice))
    return llvm::failure();
  return choice->rows.value_or(kShortRows);
}

bool fovea::hasOneRowForm(const TargetModel &model,
                          const CPUScheduleRequest &request) {
  int64_t bytes = multipliesPairs(model, request) ? request.elementBytes
                                                  : request.scoreBytes;
  return *model.getLimit("vector_bytes") >= 32 &&
         request.longestHeadDim * bytes <= kOneRowBytes;
}

/// In pairs, heads that lie apart are read faster by the loops for several
/// rows, which fetch further ahead.
fovea_cpu_one_row fovea::chooseOneRow(mlir::online::CPUScheduleAttr schedule) {
  return schedule.getPairs() ? FOVEA_CPU_ONE_ROW_OF_HEADS
                             : FOVEA_CPU_ONE_ROW_ALL;
}

std::string fovea::printCPUSchedule(mlir::online::CPUScheduleAttr schedule) {
  return llvm::formatv("m={0},n={1}", schedule.getM(), schedule.getN()).str();
}
