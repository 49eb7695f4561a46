//===- HopperModel.cpp - Schedules for Hopper -----------------------------===//

#include "fovea/Target/NVVM/HopperModel.h"
#include "mlir/IR/Diagnostics.h"

using namespace fovea;
using namespace mlir;

TargetModel fovea::getHopperModel() {
  TargetModel model("sm_90a");
  model.setLimit("shared_memory", 232448);
  model.setLimit("registers", 240);
  return model;
}

namespace {
/// The fields of a schedule as their text sets them.
struct Fields {
  int64_t groups, n, stages, qStages, pingPong, pin, staged,
      branch = 0, ownRows = 0, perBatch = 0, cluster = 1, edges = 0;

  int64_t *find(StringRef name) {
    return llvm::StringSwitch<int64_t *>(name)
        .Case("groups", &groups)
        .Case("n", &n)
        .Case("stages", &stages)
        .Case("q_stages", &qStages)
        .Case("ping_pong", &pingPong)
        .Case("pin", &pin)
        .Case("staged", &staged)
        .Case("branch", &branch)
        .Case("own_rows", &ownRows)
        .Case("edges", &edges)
        .Case("per_batch", &perBatch)
        .Case("cluster", &cluster)
        .Default(nullptr);
  }
};
} // namespace

/// Where pins of the last await are faster: what the assembler makes of a loop
/// without them depends on all that surrounds it.
static int64_t choosePin(const HopperScheduleRequest &request) {
  bool isPlain = !request.hasScore && request.hasMask;
  bool isBare = !request.hasScore && !request.hasMask;
  switch (request.valueDim) {
  case 64:
    isPlain |= isBare && request.perBatch;
    return isPlain && !request.hasBlocks ? 4 : 0;
  case 128:
    if (request.hasElementary || (isBare && request.perBatch))
      return 1;
    return isPlain && request.hasBlocks ? 5 : 0;
  default:
    if (request.hasBlocks || request.hasElementary)
      return 0;
    if (request.hasScore)
      return request.hasMask ? 1 : 0;
    return 5;
  }
}

/// Whether products are narrowed at the edge of a mask: where that has been
/// faster. Windows have not: they end at a diagonal, too, but begin at another.
static bool choosesEdges(const HopperScheduleRequest &request) {
  return request.isCausal && !request.hasScore && !request.hasBlocks &&
         !request.perBatch && request.valueDim < 256;
}

/// Measured on an H100 for each head dim; a score mod that adds arithmetic
/// wants the warpgroups to take turns.
static std::optional<Fields> getDefaults(const HopperScheduleRequest &request) {
  int64_t pin = choosePin(request);
  // Tiles of a block mask are multiples of the schedule's: 128 × 128 is what
  // most masks have.
  if (request.hasBlocks && request.valueDim == 64)
    return Fields{2, 128, 2, 2, 1, pin, 1};
  if (request.hasBlocks && request.valueDim == 256)
    return Fields{2, 64, 2, 1, 1, pin, 0};
  if (request.valueDim == 64)
    return Fields{3, 128, 2, 2, 1, pin, 1};
  if (request.valueDim == 128)
    return Fields{2, 128, 2, 2, request.hasScore, pin, 1};
  // A second loop is a third of what the assembler takes for a kernel, but the
  // branch parts an elementary function's arithmetic from the maximum.
  bool branch = request.hasMask && !request.hasElementary;
  if (request.valueDim == 256)
    return Fields{2, 80, 2, 1, 1, pin, 0, branch};
  return std::nullopt;
}

namespace {
/// What a schedule's text says, in its order.
struct Setting {
  StringRef name;
  int64_t value;
};
using Settings = SmallVector<Setting>;
} // namespace

static std::optional<int64_t> get(const Settings &settings, StringRef name) {
  for (const Setting &setting : settings)
    if (setting.name == name)
      return setting.value;
  return std::nullopt;
}

/// Extents of the block mask's tiles, which defaults are chosen for.
static bool isOfBlocks(StringRef name) {
  return name == "block_q" || name == "block_kv";
}

namespace {
/// One setting as it was written.
struct Entry {
  StringRef whole, name, number;
};
} // namespace

static SmallVector<Entry> splitSettings(StringRef text) {
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, /*KeepEmpty=*/false);
  return llvm::map_to_vector(parts, [](StringRef part) {
    auto [name, number] = part.split('=');
    return Entry{part, name.trim(), number.trim()};
  });
}

static FailureOr<Settings>
parseSettings(StringRef text, function_ref<InFlightDiagnostic()> emitError) {
  Settings settings;
  for (auto [whole, name, number] : splitSettings(text)) {
    int64_t value;
    if (!(Fields().find(name) || isOfBlocks(name)) ||
        number.getAsInteger(10, value))
      return emitError()
             << "a schedule of sm_90a has groups, n, stages, "
                "q_stages, ping_pong, pin, staged, branch, "
                "own_rows, edges, per_batch, cluster, block_q and block_kv, "
                "numbers, "
                "got '"
             << whole.take_front(60) << "'";
    bool isFlag = name == "ping_pong" || name == "staged" || name == "branch" ||
                  name == "own_rows" || name == "edges" || name == "per_batch";
    if (isFlag && value != 0 && value != 1)
      return emitError() << name << " must be 0 or 1, got " << value;
    if (isOfBlocks(name) && (value < 64 || value % 64 != 0))
      return emitError() << name << " must be a multiple of 64, got " << value;
    if (get(settings, name))
      return emitError() << name << " must be given once, got '"
                         << text.take_front(60) << "'";
    settings.push_back({name, value});
  }
  return settings;
}

/// Rows of 64 share what they load where that has been faster: not at D 64,
/// where one warpgroup keeps pace with the cache, not at D 256 where a mask is
/// asked of most partial tiles, in the loop for what is whole in one row alone.
static bool sharesRows(const HopperScheduleRequest &request,
                       const Settings &settings, int64_t queries) {
  if (request.hasScore || get(settings, "own_rows").value_or(1) == 0 ||
      get(settings, "groups"))
    return false;
  return request.valueDim == 128 ||
         (request.valueDim == 256 &&
          (!request.hasMask || request.isPlanar || queries % 192 == 0));
}

/// Tiles of the schedule divide those of a block mask.
static void fitBlocks(Fields &fields, const HopperScheduleRequest &request,
                      const Settings &settings) {
  int64_t queries = get(settings, "block_q").value_or(128);
  int64_t keys = get(settings, "block_kv").value_or(128);
  if (keys % fields.n != 0)
    fields.n = 64;
  if (queries % 128 == 0)
    return;
  fields.pin = 0;
  if (queries % 192 == 0 && request.valueDim < 256) {
    fields.groups = 3;
    fields.pingPong = 1;
    if (request.valueDim == 128)
      fields.n = 64;
    return;
  }
  if (!sharesRows(request, settings, queries)) {
    fields.groups = 1;
    return;
  }
  fields.n = 64;
  fields.ownRows = 1;
  fields.pingPong = 0;
  if (request.valueDim == 128) {
    fields.groups = 3;
    fields.stages = 4;
    fields.qStages = 1;
    fields.staged = 0;
  }
}

/// The defaults, and what the text says otherwise.
static LogicalResult applySettings(const Settings &settings,
                                   const HopperScheduleRequest &request,
                                   Fields &fields,
                                   function_ref<InFlightDiagnostic()> emit) {
  bool saysBlocks = llvm::any_of(settings, [](const Setting &setting) {
    return isOfBlocks(setting.name);
  });
  if (saysBlocks && !request.hasBlocks)
    return emit() << "block_q and block_kv are for kernels with a block mask";
  if (saysBlocks)
    fitBlocks(fields, request, settings);
  int64_t groups = fields.groups, n = fields.n;
  for (auto [name, value] : settings)
    if (!isOfBlocks(name))
      *fields.find(name) = value;
  // Pins are measured for the default's groups.
  if (fields.groups != groups && !get(settings, "pin"))
    fields.pin = 0;
  // Edges, too, of the default's tiles, and not in clusters.
  bool isOther =
      fields.groups != groups || fields.n != n || fields.cluster != 1;
  if ((isOther || fields.branch || fields.ownRows || fields.perBatch) &&
      !get(settings, "edges"))
    fields.edges = 0;
  return success();
}

FailureOr<HopperSchedule>
fovea::chooseHopperSchedule(MLIRContext *context,
                            const HopperScheduleRequest &request,
                            function_ref<InFlightDiagnostic()> emitError) {
  if (!request.elementType.isF16() && !request.elementType.isBF16())
    return emitError() << "sm_90a kernels take f16 and bf16, got "
                       << request.elementType;
  if (request.headDims.size() != 1)
    return emitError() << "sm_90a kernels take one (query, key) pair, got "
                       << request.headDims.size();
  std::optional<Fields> fields = getDefaults(request);
  if (!fields || request.headDims[0] != request.valueDim)
    return emitError() << "sm_90a kernels have head dims 64, 128 and 256, the "
                          "same for keys and values, got "
                       << request.headDims[0] << " and " << request.valueDim;
  auto refuse = [&]() {
    InFlightDiagnostic diagnostic = emitError();
    diagnostic << "schedule: ";
    return diagnostic;
  };
  FailureOr<Settings> settings = parseSettings(request.text, refuse);
  if (failed(settings))
    return failure();
  HopperScheduleRequest form = request;
  form.perBatch = get(*settings, "per_batch").value_or(request.perBatch) != 0;
  fields = getDefaults(form);
  fields->perBatch = form.perBatch;
  fields->edges = choosesEdges(form);
  if (failed(applySettings(*settings, form, *fields, refuse)))
    return failure();
  if (fields->perBatch && request.hasBlocks)
    return emitError() << "sm_90a kernels do not have offsets and lengths "
                          "beside lists of tiles";
  // The copy engine clips at the end of a tensor alone. A launch that asks for
  // this form takes what else its schedule says.
  if (get(*settings, "per_batch") == 1 && get(*settings, "staged") == 1)
    return refuse() << "per_batch=1 takes staged=0, got staged=1";
  if (fields->perBatch)
    fields->staged = 0;
  if (fields->cluster != 1 && (fields->perBatch || request.hasBlocks))
    return refuse() << "cluster=" << fields->cluster
                    << " takes whole sequences without a block mask";
  auto schedule = attn_gpu::ScheduleAttr::getChecked(
      refuse, context, fields->groups, fields->n, fields->stages,
      fields->qStages, fields->pingPong != 0, fields->pin, fields->staged != 0,
      fields->branch != 0, fields->ownRows != 0, fields->cluster,
      fields->edges != 0);
  if (!schedule ||
      failed(schedule.verifySchedule(getHopperModel(), request.headDims[0],
                                     request.valueDim, 2, refuse)))
    return failure();
  return HopperSchedule{schedule, fields->perBatch != 0};
}

bool fovea::leavesScheduleOpen(StringRef text) {
  return llvm::all_of(splitSettings(text), [](const Entry &entry) {
    return isOfBlocks(entry.name);
  });
}

std::optional<int64_t> fovea::readHopperSetting(StringRef text,
                                                StringRef field) {
  int64_t value;
  for (auto [whole, name, number] : splitSettings(text))
    if (name == field && !number.getAsInteger(10, value))
      return value;
  return std::nullopt;
}

std::string fovea::setHopperSetting(StringRef text, StringRef field,
                                    int64_t value) {
  std::string result;
  for (const Entry &entry : splitSettings(text))
    if (entry.name != field)
      result += entry.whole.str() + ",";
  return result + (field + "=" + Twine(value)).str();
}

SmallVector<std::string>
fovea::getHopperFallbacks(int64_t valueDim, bool hasBlocks, StringRef text) {
  static constexpr llvm::StringLiteral narrow[] = {
      "groups=2,pin=0", "groups=2,n=96,pin=0", "groups=2,n=64,pin=0",
      "groups=2,n=32,pin=0"};
  static constexpr llvm::StringLiteral middle[] = {"pin=0", "n=112,pin=0",
                                                   "n=80,pin=0", "n=48,pin=0"};
  static constexpr llvm::StringLiteral wide[] = {"n=64,pin=0", "n=32,pin=0"};
  // Tiles of a block mask stay multiples of the schedule's. Whole tiles without
  // pins have helped no variant that spilled.
  static constexpr llvm::StringLiteral blocks[] = {"n=64,pin=0", "n=32,pin=0"};
  static constexpr llvm::StringLiteral wideBlocks[] = {"n=32", "n=32,branch=1",
                                                       "n=16"};
  static constexpr llvm::StringLiteral rows[] = {
      "groups=1,n=64,own_rows=0", "groups=1,n=32,own_rows=0",
      "groups=1,n=32,own_rows=0,branch=1", "groups=1,n=16,own_rows=0"};
  llvm::ArrayRef<llvm::StringLiteral> chosen(narrow);
  if (valueDim != 64)
    chosen = valueDim == 128 ? llvm::ArrayRef(middle) : llvm::ArrayRef(wide);
  // Two groups of 64 rows do not divide other rows of tiles.
  if (readHopperSetting(text, "block_q").value_or(128) % 128 != 0)
    chosen = rows;
  else if (hasBlocks)
    chosen = valueDim == 256 ? llvm::ArrayRef(wideBlocks) : blocks;
  std::string begin = text.empty() ? "" : text.str() + ",";
  return llvm::map_to_vector(
      chosen, [&](StringRef fallback) { return begin + fallback.str(); });
}

std::string fovea::printHopperSchedule(attn_gpu::ScheduleAttr schedule) {
  std::string text;
  for (auto [name, value] : {std::pair("groups", schedule.getGroups()),
                             {"n", schedule.getN()},
                             {"stages", schedule.getStages()},
                             {"q_stages", schedule.getQStages()},
                             {"ping_pong", int64_t(schedule.getPingPong())},
                             {"pin", schedule.getPin()},
                             {"staged", int64_t(schedule.getStaged())},
                             {"branch", int64_t(schedule.getBranch())}})
    text += (text.empty() ? "" : ",") + std::string(name) + "=" +
            std::to_string(value);
  if (schedule.getOwnRows())
    text += ",own_rows=1";
  if (schedule.getCluster() != 1)
    text += ",cluster=" + std::to_string(schedule.getCluster());
  if (schedule.getEdges())
    text += ",edges=1";
  return text;
}
