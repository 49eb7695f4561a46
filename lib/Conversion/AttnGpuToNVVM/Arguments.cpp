//===- Arguments.cpp - Launch arguments and the manifest ------------------===//

#include "Kernel.h"
#include "fovea/Target/NVVM/HopperModel.h"

using namespace fovea::gpu;
namespace json = llvm::json;

unsigned KernelEmitter::tensorNumber(Value memref) {
  return cast<BlockArgument>(memref).getArgNumber();
}

/// As manifests name tensors: "q", "k", "v", "out", "lse", "@capture". (That of
/// a block mask's classes is in Lists.cpp.)
std::string KernelEmitter::tensorName(Value memref) {
  unsigned number = tensorNumber(memref), last = func.getNumArguments() - 1;
  auto name = func.getArgAttrOfType<StringAttr>(number, "attn.name");
  bool hasLse = hasLseArgument();
  if (number < 3)
    return StringRef("qkv").substr(number, 1).str();
  if (hasLse && number == last)
    return "lse";
  if (number == last - hasLse)
    return "out";
  return "@" + (name ? name.str() : std::to_string(number));
}

bool KernelEmitter::hasLseArgument() {
  Type last = func.getArgumentTypes().back();
  auto memref = dyn_cast<MemRefType>(last);
  return memref && memref.getRank() == 3 && memref.getElementType().isF32() &&
         func.getArgAttrOfType<StringAttr>(func.getNumArguments() - 1,
                                           "attn.name") == "lse";
}

json::Value KernelEmitter::sizeOf(Value memref, unsigned dim) {
  std::string name = tensorName(memref);
  if (name == "q" && dim < 3)
    return json::Array{"B", "H", "M"}[dim];
  if ((name == "k" || name == "v") && dim < 3)
    return json::Array{"B", "Hk", "N"}[dim];
  return name + ".n" + std::to_string(dim);
}

void KernelEmitter::addArgument(Type type, json::Object entry, Value *slot) {
  valueBytes.push_back(entry.get("tensor_map") ? kTensorMapBytes : 0);
  entries.push_back(std::move(entry));
  argumentTypes.push_back(type);
  argumentSlots.push_back(slot);
}

/// Rows of one (batch, head) in boxes of 64 columns: {64, rows, D / 64, H, B}.
void KernelEmitter::addMap(Value memref, int64_t columns, int64_t boxRows,
                           int64_t boxColumns) {
  auto [it, isNew] = tensorMaps.try_emplace(tensorNumber(memref));
  if (!isNew)
    return;
  std::string name = tensorName(memref);
  if (name == "q" && takesSign())
    name = "signed_q";
  auto stride = [&](int dim) { return name + ".s" + std::to_string(dim); };
  json::Object object{
      {"tensor_map", name},
      {"sizes", json::Array{64, sizeOf(memref, 2), columns / 64,
                            sizeOf(memref, 1), "B"}},
      {"strides", json::Array{stride(2), 64, stride(1), stride(0)}},
      {"box", json::Array{64, boxRows, boxColumns / 64, 1, 1}}};
  addArgument(e.ptr, std::move(object), &it->second);
  name = tensorName(memref); // what the caller gave
  auto condition = [&](json::Value holds, const Twine &sentence) {
    conditions.push_back(
        json::Object{{"if", std::move(holds)}, {"else", sentence.str()}});
  };
  condition(json::Array{"eq", stride(3), 1},
            name + ": sm_90a kernels need a last stride of 1");
  condition(json::Array{"eq", json::Array{"mod", name + ".p", 16}, 0},
            name + ": sm_90a kernels need an address that is a multiple of 16");
  for (int dim = 0; dim < 3; ++dim)
    condition(json::Array{"eq", json::Array{"mod", stride(dim), 8}, 0},
              name + ": sm_90a kernels need strides that are multiples of 8");
}

void KernelEmitter::addTensor(Value memref) {
  auto [it, isNew] = pointers.try_emplace(tensorNumber(memref));
  if (!isNew)
    return;
  std::string name = tensorName(memref);
  addArgument(e.global, json::Object{{"pointer", name}}, &it->second);
  unsigned rank = cast<MemRefType>(memref.getType()).getRank();
  // S7 clamps an index to the nearest element: there has to be one.
  for (unsigned dim = 0; dim < rank && name[0] == '@'; ++dim)
    conditions.push_back(json::Object{
        {"if", json::Array{"lt", 0, name + ".n" + std::to_string(dim)}},
        {"else", name.substr(1) + ": sm_90a kernels take no empty captures"}});
  for (unsigned dim = 0; dim < rank; ++dim)
    addArgument(e.i64, json::Object{{"i64", name + ".s" + std::to_string(dim)}},
                &strides[{tensorNumber(memref), dim}]);
}

void KernelEmitter::addSize(Value memref, unsigned dim) {
  auto [it, isNew] = sizes.try_emplace({tensorNumber(memref), dim});
  if (isNew)
    addArgument(e.i32, json::Object{{"i32", sizeOf(memref, dim)}}, &it->second);
}

/// What a launch gives of each batch, in the order of level 2's arguments. It
/// comes by value, so that neither memory nor the stream is asked for anything.
static constexpr StringLiteral kPerBatch[] = {"q_offset", "kv_offset",
                                              "q_lengths", "kv_lengths"};
/// Behind these, the order in which batches are taken.
static constexpr int64_t kBatchOrder = std::size(kPerBatch);
static constexpr int64_t kMostBatches = 128;

static int64_t findPerBatch(func::FuncOp func, Value memref) {
  auto name = func.getArgAttrOfType<StringAttr>(
      cast<BlockArgument>(memref).getArgNumber(), "attn.name");
  const StringLiteral *found =
      name ? llvm::find(kPerBatch, name.getValue()) : std::end(kPerBatch);
  return found - std::begin(kPerBatch);
}

bool KernelEmitter::isPerBatch(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  return type.getRank() == 1 && type.getElementType().isInteger(64) &&
         findPerBatch(func, memref) < int64_t(std::size(kPerBatch));
}

void KernelEmitter::addPerBatch() {
  func.walk([&](memref::LoadOp load) {
    readsBatches = true;
    hasDeadRows |=
        kPerBatch[findPerBatch(func, load.getMemRef())] == "q_lengths";
  });
  if (!readsBatches)
    return;
  addArgument(
      e.ptr,
      json::Object{{"per_batch", kMostBatches}, {"positions", kMaxPosition}},
      &perBatch);
  valueBytes.back() = 4 * kMostBatches * (kBatchOrder + 1);
  conditions.push_back(json::Object{
      {"if", json::Array{"le", "B", kMostBatches}},
      {"else", "q: sm_90a kernels take offsets and lengths of at most " +
                   std::to_string(kMostBatches) + " batches"}});
}

Value KernelEmitter::loadPerBatch(int64_t array, Value place) {
  Value element = e.add(place, kMostBatches * array);
  Value address = LLVM::GEPOp::create(e.b, e.loc, e.ptr, e.i32, perBatch,
                                      ArrayRef<LLVM::GEPArg>{element});
  return LLVM::LoadOp::create(e.b, e.loc, e.i32, address, 4);
}

Value KernelEmitter::loadPerBatch(memref::LoadOp op) {
  return loadPerBatch(findPerBatch(func, op.getMemRef()),
                      known[op.getIndices()[0]].value);
}

LogicalResult KernelEmitter::emitBatch(BatchOp op) {
  if (!readsBatches)
    return op.emitError("in a kernel that reads no offsets and lengths");
  Value batch = loadPerBatch(kBatchOrder, known[op.getPlace()].value);
  known[op] = scalars.index(batch, 0, kMostBatches - 1);
  return success();
}

/// Of the tiles that lists are made of.
json::Value KernelEmitter::tileExtent(bool ofQueries) {
  if (!maskParts)
    return ofQueries ? "BQ" : "BKV";
  return ofQueries ? listRows() : findList()->step;
}

/// What the ops of the kernel ask for, each once.
void KernelEmitter::collectArguments() {
  auto source = [](Value view) {
    return view.getDefiningOp<online::ViewOp>().getSource();
  };
  func.walk([&](FillOp fill) {
    ChannelType type = fill.getChannel().getType();
    // Parts of a tile lie apart in its boxes.
    int64_t parts = fill.getRows().size();
    addMap(source(fill.getView()), type.getColumns(),
           type.getPartRows() / parts, parts == 1 ? type.getPartColumns() : 64);
  });
  func.walk([&](StoreTileOp store) {
    Value memref = source(store.getView());
    int64_t columns = store.getSource().getType().getColumns();
    if (store.getStaged())
      addMap(memref, columns, kGroupRows, columns);
    else
      addTensor(memref);
  });
  addArgument(e.global, json::Object{{"workspace", 0}}, &counter);
  func.walk([&](Operation *op) {
    if (auto store = dyn_cast<StoreRowsOp>(op))
      addTensor(source(store.getView()));
    if (auto dim = dyn_cast<memref::DimOp>(op))
      addSize(dim.getSource(), *dim.getConstantIndex());
    if (auto extent = dyn_cast<attn::ExtentOp>(op))
      addSize(extent->getOperand(0), extent.getDim());
    if (auto read = dyn_cast<attn::ReadOp>(op)) {
      Value memref = read->getOperand(0);
      addTensor(memref);
      unsigned rank = cast<MemRefType>(memref.getType()).getRank();
      for (unsigned dim = 0; dim < rank; ++dim)
        addSize(memref, dim);
    }
  });
  collectList();
  addPerBatch();
  for (BlockArgument argument : func.getArguments()) {
    if (argument.use_empty())
      continue;
    Value *slot = &scalarArguments[argument.getArgNumber()];
    if (argument.getType().isF32())
      addArgument(
          e.f32, json::Object{{takesSign() ? "scale_size" : "scale", 0}}, slot);
    auto name =
        func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "attn.name");
    if (argument.getType().isIndex())
      addArgument(
          e.i32, json::Object{{"i32", tileExtent(name == "query_tile")}}, slot);
  }
  describeSections();
}

/// Heads walked together. Under a mask those whose keys and values fill 16 MB:
/// each half of the second cache (25 MB) keeps its own copy. Keys that a list
/// picks are nobody else's at that moment: heads are few then. Under both tiles
/// differ in length: the last section has enough for four waves, longest first,
/// so that all multiprocessors end at the same time.
void KernelEmitter::describeSections() {
  bool isListed = findList().has_value();
  // A cluster's blocks have neighbouring heads: sections are of whole pairs.
  json::Value all = json::Array{"mul", "B", "H"}, heads = cluster,
              last = cluster;
  // The smallest number of heads that have so many of something.
  auto sectionOf = [&](json::Value ofHead, json::Value wanted) -> json::Value {
    if (cluster == 1)
      return json::Array{"section", all, std::move(ofHead), std::move(wanted)};
    return json::Array{
        "mul", cluster,
        json::Array{"section", json::Array{"div", all, cluster},
                    json::Array{"mul", cluster, std::move(ofHead)},
                    std::move(wanted)}};
  };
  auto sized = [&](json::Value tiles) {
    return sectionOf(json::Array{"ceildiv", "M", groups * kGroupRows},
                     std::move(tiles));
  };
  // That run side by side on one multiprocessor.
  int64_t blocks = func->getAttrOfType<IntegerAttr>("attn_gpu.blocks").getInt();
  if (isListed)
    heads = last = sized(json::Array{"div", "SM", 2});
  if (isMasked) {
    json::Value enough = sized(512 * blocks);
    json::Value rest = json::Array{"sub", all, enough};
    json::Value rowBytes = json::Array{"mul", 2, json::Array{"add", "D", "E"}};
    if (!isListed)
      heads = sectionOf(json::Array{"mul", "N", "Hk", std::move(rowBytes)},
                        json::Array{"mul", "H", 1 << 24});
    last = json::Array{"add", enough, json::Array{"mod", rest, heads}};
  }
  addArgument(e.i32, json::Object{{"i32", std::move(heads)}}, &section);
  addArgument(e.i32, json::Object{{"i32", std::move(last)}}, &lastSection);
}

void KernelEmitter::createFunction() {
  MLIRContext *context = func.getContext();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          argumentTypes);
  e.b.setInsertionPoint(func);
  kernel = LLVM::LLVMFuncOp::create(e.b, func.getLoc(),
                                    (func.getName() + "_kernel").str(), type);
  auto threads = func->getAttrOfType<IntegerAttr>("attn_gpu.threads").getInt();
  kernel->setAttr("nvvm.kernel", e.b.getUnitAttr());
  if (cluster > 1)
    kernel->setAttr("nvvm.cluster_dim",
                    e.b.getDenseI32ArrayAttr({int32_t(cluster), 1, 1}));
  kernel->setAttr("nvvm.maxntid",
                  e.b.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  auto blocks = func->getAttrOfType<IntegerAttr>("attn_gpu.blocks").getInt();
  if (groups == 1 && blocks == 1)
    // Enough for the products, and less than what the computing role then
    // takes.
    kernel->setAttr("nvvm.maxnreg", e.b.getI32IntegerAttr(168));
  else
    kernel->setAttr("nvvm.minctasm", e.b.getI32IntegerAttr(blocks));
  Block *entry = kernel.addEntryBlock(e.b);
  for (size_t i = 0; i < argumentTypes.size(); ++i) {
    *argumentSlots[i] = entry->getArgument(i);
    if (valueBytes[i]) {
      auto bytes = LLVM::LLVMArrayType::get(e.b.getI8Type(), valueBytes[i]);
      kernel.setArgAttr(i, "llvm.byval", TypeAttr::get(bytes));
      kernel.setArgAttr(i, "llvm.align", e.b.getI64IntegerAttr(64));
      kernel.setArgAttr(i, "nvvm.grid_constant", e.b.getUnitAttr());
    } else if (argumentTypes[i] == e.global) {
      kernel.setArgAttr(i, "llvm.noalias", e.b.getUnitAttr());
    }
  }
  kernel->setAttr("fovea.manifest", e.b.getStringAttr(manifest()));
  e.enter(entry);
}

Value KernelEmitter::getPointer(Value memref) {
  return pointers.at(tensorNumber(memref));
}
Value KernelEmitter::getStride(Value memref, unsigned dim) {
  return strides.at({tensorNumber(memref), dim});
}
Value KernelEmitter::getSize(Value memref, unsigned dim) {
  return sizes.at({tensorNumber(memref), dim});
}

/// Measured: whether pairs of heads that share a key head are faster by loading
/// its keys together. Score mods gain nothing; at D 64 a block waits for the
/// other one more than it saves.
bool KernelEmitter::gainsByClusters(ChannelType queries) {
  return cluster == 1 && func->hasAttr("attn_gpu.shared_walks") &&
         !readsBatches && !isScored && queries.getColumns() >= 128;
}

/// For which launches: where tiles are long, and enough for multiprocessors
/// that take two at a time to end together.
static json::Value inClusters(json::Value tiles) {
  json::Value pairs = json::Array{
      "eq", json::Array{"mod", "H", json::Array{"mul", 2, "Hk"}}, 0};
  return json::Array{
      "mul", std::move(pairs), json::Array{"le", 4096, "N"},
      json::Array{"le", 1 << 18, json::Array{"mul", "D", std::move(tiles)}}};
}

/// Whether it may begin beside the kernel ahead of it.
bool KernelEmitter::waitsForGrid() {
  return !func.getOps<GridDependencyWaitOp>().empty();
}

json::Array KernelEmitter::describeCaptures() {
  json::Array captures;
  for (BlockArgument argument : func.getArguments().drop_front(3)) {
    auto memref = dyn_cast<MemRefType>(argument.getType());
    if (!memref)
      break; // captures end where the scales begin
    std::string type;
    llvm::raw_string_ostream(type) << memref.getElementType();
    captures.push_back(json::Object{{"name", tensorName(argument).substr(1)},
                                    {"dtype", type},
                                    {"rank", memref.getRank()}});
  }
  return captures;
}

void KernelEmitter::addConditions(const json::Value &tiles) {
  if (cluster > 1)
    conditions.push_back(json::Object{
        {"if",
         json::Array{"eq",
                     json::Array{"mod", "H", json::Array{"mul", cluster, "Hk"}},
                     0}},
        {"else", "q: a cluster takes an even number of heads a key head"}});
  conditions.push_back(
      json::Object{{"if", json::Array{"lt", tiles, 1 << 30}},
                   {"else", "q: more tiles than sm_90a kernels number"}});
  for (StringRef size : {"M", "N"})
    conditions.push_back(json::Object{
        {"if", json::Array{"le", size.str(), kMaxPosition}},
        {"else", (size == "M" ? "q" : "k") +
                     std::string(": sm_90a kernels take lengths below 2^24")}});
}

/// docs/architecture.md, section 6.
std::string KernelEmitter::manifest() {
  auto attr = [&](StringRef name) {
    return func->getAttrOfType<IntegerAttr>(name).getInt();
  };
  ChannelType queries, keys;
  for (auto &[value, channel] : channels)
    (channel.isLhs ? queries : keys) = channel.type;
  int64_t rows = queries.getRows();
  json::Value ofHead = json::Array{"ceildiv", "M", rows};
  if (hasDeadRows)
    ofHead = json::Array{"add", std::move(ofHead), 1};
  json::Value tiles = json::Array{"mul", "B", "H", std::move(ofHead)};
  // Multiprocessors that all blocks of clusters run on.
  json::Value blocks = json::Array{"mul", "SM", attr("attn_gpu.blocks")};
  if (cluster > 1)
    blocks = json::Array{"sub", blocks, json::Array{"mod", blocks, cluster}};
  addConditions(tiles);
  std::string text;
  llvm::raw_string_ostream os(text);
  json::Object object{
      {"fovea_kernel", 1},
      {"name", func.getName().str()},
      {"symbol", kernel.getName().str()},
      {"arch", "sm_90a"},
      {"dtype", queries.getElementType().isBF16() ? "bf16" : "f16"},
      {"D", json::Array{queries.getColumns()}},
      {"E", queries.getColumns()},
      {"captures", describeCaptures()},
      {"return_lse", hasLseArgument()},
      {"tile", json::Object{{"m", findList() ? listRows() : rows},
                            {"n", keys.getRows()}}},
      {"threads", attr("attn_gpu.threads")},
      {"shared_memory", attr("attn_gpu.shared_memory")},
      {"grid", json::Array{"min", tiles, std::move(blocks)}},
      {"workspace", 256},
      {"conditions", std::move(conditions)},
      {"arguments", std::move(entries)}};
  if (!readsBatches) {
    object["promises"] = json::Array{"whole_sequences"};
    if (!findList())
      object["forms"] = json::Array{"per_batch"};
  }
  if (waitsForGrid())
    object["programmatic_launch"] = true;
  if (gainsByClusters(queries))
    object["in_clusters"] = inClusters(tiles);
  if (auto schedule = func->getAttrOfType<ScheduleAttr>("attn_gpu.schedule"))
    object["schedule"] =
        printHopperSchedule(schedule) + (readsBatches ? ",per_batch=1" : "");
  if (auto remarks = func->getAttrOfType<StringAttr>("online.remarks"))
    object["remarks"] = remarks.getValue();
  describePrologues(object, queries);
  os << json::Value(std::move(object));
  return text;
}
