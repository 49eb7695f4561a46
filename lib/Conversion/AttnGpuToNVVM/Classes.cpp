//===- Classes.cpp - Tiles of a mask, classified ahead of the kernel ------===//
//
// Where a mask has no closed form, a kernel of one warp a tile runs before the
// one that sorts lists, evaluates the mask at the tile's pairs and writes its
// class into scratch memory. What is read of a block mask elsewhere becomes
// expressions of the sizes.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "Prologue.h"

using namespace fovea::gpu;
namespace json = llvm::json;

func::FuncOp fovea::gpu::findVisible(func::FuncOp func) {
  auto name = func->getAttrOfType<FlatSymbolRefAttr>("online.visible");
  return name ? SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(func, name)
              : func::FuncOp();
}

namespace {
/// The array of classes, dense, without what all batches or heads share.
struct ClassSizes {
  ClassSizes(func::FuncOp visible, int64_t tileRows, int64_t tileKeys)
      : rows(json::Array{"ceildiv", "M", tileRows}),
        columns(json::Array{"ceildiv", "N", tileKeys}),
        batches(visible.getArgument(0).use_empty() ? json::Value(1) : "B"),
        heads(visible.getArgument(1).use_empty() ? json::Value(1) : "H"),
        bytes(json::Array{"mul", batches, heads, rows, columns}) {}

  json::Value stride(unsigned dim) const {
    switch (dim) {
    case 0:
      return batches == json::Value(1)
                 ? json::Value(0)
                 : json::Array{"mul", heads, rows, columns};
    case 1:
      return heads == json::Value(1) ? json::Value(0)
                                     : json::Array{"mul", rows, columns};
    case 2:
      return columns;
    default:
      return 1;
    }
  }

  json::Value rows, columns, batches, heads, bytes;
};

/// One warp's work on one tile.
class ClassKernel : public PrologueKernel, TensorAccess {
public:
  ClassKernel(func::FuncOp visible, int64_t tileRows, int64_t tileKeys,
              json::Value offset)
      : PrologueKernel(visible.getContext()), visible(visible),
        tileRows(tileRows), tileKeys(tileKeys),
        sizes(visible, tileRows, tileKeys), offset(std::move(offset)),
        scalars(e, *this) {
    grid = sizes.bytes;
  }

private:
  void addArguments() override;
  void emitBody() override;
  void findTile();
  void findRowOps();
  void evaluate(bool onRow);
  std::pair<Value, Value> scanColumn(Value key);
  Value isAny(Value condition);

  Value getPointer(Value memref) override { return tensor(memref).pointer; }
  Value getStride(Value memref, unsigned dim) override {
    return tensor(memref).strides[dim];
  }
  Value getSize(Value memref, unsigned dim) override {
    return tensor(memref).sizes[dim];
  }
  struct Tensor {
    Value pointer;
    SmallVector<Value, 4> strides, sizes;
  };
  Tensor &tensor(Value memref) { return *tensors.at(memref); }

  static constexpr unsigned kPositions = 4;
  static constexpr const char *kSizes[] = {"B", "H", "Hk", "M", "N"};

  func::FuncOp visible;
  int64_t tileRows, tileKeys;
  ClassSizes sizes;
  json::Value offset;
  ScalarEmitter scalars;
  Value classes, rows, columns, heads, queries, keys, launchSizes[5];
  llvm::MapVector<Value, std::unique_ptr<Tensor>> tensors;
  DenseMap<Value, Scalar> known;
  /// What depends on the row, and is evaluated for each.
  llvm::SmallPtrSet<Operation *, 16> rowOps;
  Value number, lane, firstRow, endRow, firstKey;
};
} // namespace

void ClassKernel::addArguments() {
  addArgument(e.global, json::Object{{"scratch", offset}}, classes);
  for (auto [value, slot] : {std::pair<json::Value, Value *>{"M", &queries},
                             {"N", &keys},
                             {sizes.rows, &rows},
                             {sizes.columns, &columns},
                             {sizes.heads, &heads}})
    addArgument(e.i32, json::Object{{"i32", value}}, *slot);
  for (auto [name, slot] : llvm::zip(kSizes, launchSizes))
    addArgument(e.i32, json::Object{{"i32", name}}, slot);
  for (BlockArgument argument : visible.getArguments()) {
    auto type = dyn_cast<MemRefType>(argument.getType());
    if (!type || argument.use_empty())
      continue;
    std::string name = "@" + visible
                                 .getArgAttrOfType<StringAttr>(
                                     argument.getArgNumber(), "attn.name")
                                 .str();
    Tensor &tensor = *(tensors[argument] = std::make_unique<Tensor>());
    tensor.strides.resize(type.getRank());
    tensor.sizes.resize(type.getRank());
    addArgument(e.global, json::Object{{"pointer", name}}, tensor.pointer);
    for (unsigned dim = 0; dim < type.getRank(); ++dim) {
      std::string number = std::to_string(dim);
      addArgument(e.i64, json::Object{{"i64", name + ".s" + number}},
                  tensor.strides[dim]);
      addArgument(e.i32, json::Object{{"i32", name + ".n" + number}},
                  tensor.sizes[dim]);
    }
  }
}

/// Tiles are numbered as their classes lie.
void ClassKernel::findTile() {
  number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  lane = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  auto split = [&](Value value, Value by) {
    Value quotient = e.udiv(value, by);
    return std::pair(quotient, e.sub(value, e.mul(quotient, by)));
  };
  auto [line, column] = split(number, columns);
  auto [plane, row] = split(line, rows);
  auto [batch, head] = split(plane, heads);
  known[visible.getArgument(0)] = scalars.index(batch, 0, kMaxPosition);
  known[visible.getArgument(1)] = scalars.index(head, 0, kMaxPosition);
  for (auto [size, argument] :
       llvm::zip(launchSizes, visible.getArguments().drop_front(kPositions)))
    known[argument] = scalars.index(size, 0, kMaxPosition);
  firstRow = e.mul(row, tileRows);
  endRow = e.smin(e.add(firstRow, tileRows), queries);
  firstKey = e.mul(column, tileKeys);
}

void ClassKernel::findRowOps() {
  for (Operation &op : visible.front().without_terminator())
    for (Value operand : op.getOperands())
      if (operand == visible.getArgument(2) ||
          (operand.getDefiningOp() && rowOps.contains(operand.getDefiningOp())))
        rowOps.insert(&op);
}

/// The ops that depend on the row, or those that do not: they are total.
void ClassKernel::evaluate(bool onRow) {
  for (Operation &op : visible.front().without_terminator()) {
    if (rowOps.contains(&op) != onRow || isBroken)
      continue;
    SmallVector<Scalar> operands;
    for (Value operand : op.getOperands())
      operands.push_back(known.lookup(operand));
    FailureOr<Scalar> result = scalars.evaluate(&op, operands);
    isBroken = failed(result);
    if (!isBroken)
      known[op.getResult(0)] = *result;
  }
}

/// Whether a lane's key is visible from some row of the tile, and whether it is
/// hidden from some.
std::pair<Value, Value> ClassKernel::scanColumn(Value key) {
  known[visible.getArgument(3)] = scalars.index(key, 0, kMaxPosition);
  evaluate(/*onRow=*/false);
  Value no = e.c(0, e.i1), yes = e.c(1, e.i1);
  Block *head = e.block({e.i32, e.i1, e.i1}), *body = e.block(),
        *exit = e.block();
  e.br(head, {firstRow, no, no});
  e.enter(head);
  Value row = head->getArgument(0), seen = head->getArgument(1),
        hidden = head->getArgument(2);
  e.condBr(e.icmp(LLVM::ICmpPredicate::slt, row, endRow), body, {}, exit, {});
  e.enter(body);
  known[visible.getArgument(2)] = scalars.index(row, 0, kMaxPosition);
  evaluate(/*onRow=*/true);
  Value result = visible.front().getTerminator()->getOperand(0);
  Value keep = isBroken ? no : known.lookup(result).value;
  e.br(head,
       {e.add(row, 1), e.lor(seen, keep), e.lor(hidden, e.lxor(keep, yes))});
  e.enter(exit);
  Value exists = e.icmp(LLVM::ICmpPredicate::slt, key, keys);
  return {e.land(seen, exists), e.land(hidden, exists)};
}

Value ClassKernel::isAny(Value condition) {
  Value word =
      e.intrinsic("llvm.nvvm.vote.ballot.sync", e.i32, {e.c(-1), condition});
  return e.icmp(LLVM::ICmpPredicate::ne, word, e.c(0));
}

void ClassKernel::emitBody() {
  findTile();
  findRowOps();
  Value no = e.c(0, e.i1), yes = e.c(1, e.i1);
  // 32 keys at a time, until both kinds have been seen.
  Block *head = e.block({e.i32, e.i1, e.i1}), *body = e.block(),
        *exit = e.block();
  e.br(head, {e.c(0), no, no});
  e.enter(head);
  Value first = head->getArgument(0), seen = head->getArgument(1),
        hidden = head->getArgument(2);
  Value more = e.icmp(LLVM::ICmpPredicate::slt, first, e.c(tileKeys));
  Value open = e.lxor(e.land(seen, hidden), yes);
  e.condBr(e.land(more, open), body, {}, exit, {});
  e.enter(body);
  auto [some, other] = scanColumn(e.add(e.add(firstKey, first), lane));
  e.br(head, {e.add(first, 32), e.lor(seen, isAny(some)),
              e.lor(hidden, isAny(other))});
  e.enter(exit);
  // 0 empty, 1 partial, 2 full.
  Value kind = e.select(seen, e.select(hidden, e.c(1), e.c(2)), e.c(0));
  e.when(e.icmp(LLVM::ICmpPredicate::eq, lane, e.c(0)), [&] {
    Type byte = e.b.getI8Type();
    Value address = gep(byte, classes, e.zext(number));
    LLVM::StoreOp::create(
        e.b, e.loc, LLVM::TruncOp::create(e.b, e.loc, byte, kind), address, 1);
  });
}

std::unique_ptr<PrologueKernel>
KernelEmitter::makeClassKernel(func::FuncOp visible) {
  return std::make_unique<ClassKernel>(
      visible, groups * kGroupRows, findList().getStep(),
      json::Array{"add", listOffset(), listBytes()});
}

/// Replaces names by expressions, everywhere.
static void substitute(json::Value &value,
                       const llvm::StringMap<json::Value> &names) {
  if (json::Array *list = value.getAsArray()) {
    for (json::Value &entry : *list)
      substitute(entry, names);
  } else if (json::Object *object = value.getAsObject()) {
    for (auto &[key, entry] : *object)
      substitute(entry, names);
  } else if (std::optional<StringRef> text = value.getAsString()) {
    auto it = names.find(*text);
    if (it != names.end())
      value = it->getValue();
  }
}

/// The manifest of a kernel that needs no block mask: the classes lie behind
/// the lists.
json::Value KernelEmitter::describeClasses(json::Value manifest,
                                           func::FuncOp visible) {
  int64_t tileRows = groups * kGroupRows, tileKeys = findList().getStep();
  ClassSizes sizes(visible, tileRows, tileKeys);
  json::Object &object = *manifest.getAsObject();
  json::Value offset = json::Array{"add", listOffset(), listBytes()};
  for (json::Value &kernel : *object.getArray("before"))
    for (json::Value &argument : *kernel.getAsObject()->getArray("arguments")) {
      json::Object &entry = *argument.getAsObject();
      if (entry.getString("pointer") == StringRef("block_mask"))
        entry = json::Object{{"scratch", offset}};
    }
  object["scratch"] = json::Array{"add", offset, sizes.bytes};
  object.getArray("conditions")
      ->push_back(json::Object{
          {"if", json::Array{"lt", sizes.bytes, int64_t(1) << 31}},
          {"else", "k: more tiles than sm_90a kernels classify; give a block "
                   "mask"}});
  llvm::StringMap<json::Value> names{{"BQ", tileRows}, {"BKV", tileKeys}};
  for (unsigned dim = 0; dim < 4; ++dim)
    names.try_emplace("block_mask.s" + std::to_string(dim), sizes.stride(dim));
  substitute(manifest, names);
  return manifest;
}
