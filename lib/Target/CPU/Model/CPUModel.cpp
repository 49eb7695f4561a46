//===- CPUModel.cpp - CPUs as schedules see them --------------------------===//

#include "fovea/Target/CPU/CPUModel.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

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

/// AArch64 processors, whose NEON registers every one of them has.
static bool hasNEON(llvm::StringRef cpu) {
  return cpu.starts_with("neoverse-") || cpu.starts_with("cortex-a7") ||
         cpu.starts_with("cortex-x") || cpu.starts_with("apple-m");
}

TargetModel fovea::getCPUModel(llvm::StringRef cpu, llvm::StringRef features) {
  TargetModel model(cpu);
  bool wide = hasAVX512(cpu, features), narrow = hasNEON(cpu);
  model.setLimit("vector_bytes", wide ? 64 : narrow ? 16 : 32);
  model.setLimit("vector_registers", wide || narrow ? 32 : 16);
  if (wide && hasBF16Dots(cpu, features))
    model.setLimit("bf16_dots", 1);
  model.setLimit("l1_bytes", 32 << 10);
  // The least L2 among the cores of that level that are in use.
  model.setLimit("l2_bytes", wide ? 1 << 20 : 512 << 10);
  return model;
}

namespace {
/// What the user fixed.
struct Choice {
  std::optional<int64_t> m, n;
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
    int64_t number = 0;
    if (key != "m" && key != "n")
      return emitError() << "schedule: a CPU schedule has m and n, got '"
                         << entry << "'";
    if (value.getAsInteger(10, number) || number < 1 || number > 1 << 20)
      return emitError() << "schedule: " << key
                         << " must be a number from 1 to 1048576, got '"
                         << entry << "'";
    std::optional<int64_t> &chosen = key == "m" ? choice.m : choice.n;
    if (chosen)
      return emitError() << "schedule: " << key << " must be given once, got '"
                         << text << "'";
    chosen = number;
  }
  return choice;
}

llvm::FailureOr<mlir::online::CPUScheduleAttr> fovea::chooseCPUSchedule(
    mlir::MLIRContext *context, const TargetModel &model,
    const CPUScheduleRequest &request,
    llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  llvm::FailureOr<Choice> choice = parseSchedule(request.text, emitError);
  if (llvm::failed(choice))
    return llvm::failure();
  int64_t lanes = *model.getLimit("vector_bytes") / request.scoreBytes;
  // Packed queries and accumulators of an item stay in half of L2, the scores
  // of one panel in half of L1; beyond 192 rows and 256 keys nothing is gained.
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
  int64_t keys = std::min<int64_t>(256, *model.getLimit("l1_bytes") / 2 /
                                            (lanes * request.scoreBytes));
  if (request.elementBytes < request.scoreBytes) // widened blocks of K and V
    keys = std::min(keys, *model.getLimit("l2_bytes") / 4 / rowBytes);
  keys = std::max(lanes, keys / lanes * lanes);
  int64_t m = choice->m.value_or(rows), n = choice->n.value_or(keys);
  if (m % lanes != 0)
    return emitError() << "schedule: m must be a multiple of " << lanes
                       << " (the queries of a vector on " << model.getName()
                       << "), got " << m;
  int64_t group = keyGroup(*model.getLimit("vector_bytes"));
  if (n % group != 0)
    return emitError() << "schedule: n must be a multiple of " << group
                       << " (the keys of a group on " << model.getName()
                       << "), got " << n;
  auto schedule = mlir::online::CPUScheduleAttr::getChecked(
      emitError, context, m, n, lanes, request.exact, request.indexBits,
      request.bf16 && model.getLimit("bf16_dots"));
  if (!schedule || llvm::failed(schedule.verifySchedule(
                       model, request.headDim, request.valueDim,
                       request.elementBytes, emitError)))
    return llvm::failure();
  return schedule;
}

std::string fovea::printCPUSchedule(mlir::online::CPUScheduleAttr schedule) {
  return llvm::formatv("m={0},n={1}", schedule.getM(), schedule.getN()).str();
}
