//===- Lists.cpp - Elements of a block mask, sorted ahead of the kernel ---===//
//
// A kernel of one warp a row runs before and writes, for each row of tiles, how
// many elements are whole, how many there are, and where each begins: whole
// ones of full tiles first, and the length behind the last one.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "ListSizes.h"
#include "Prologue.h"

using namespace fovea::gpu;
namespace json = llvm::json;

func::FuncOp fovea::gpu::findVisible(func::FuncOp func) {
  auto name = func->getAttrOfType<FlatSymbolRefAttr>("online.visible");
  return name ? SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(func, name)
              : func::FuncOp();
}

std::optional<ListInfo> KernelEmitter::findList() {
  std::optional<ListInfo> found;
  func.walk([&](Operation *op) {
    if (auto list = dyn_cast<ListCountOp>(op))
      found = {int64_t(list.getStep()), list.getUnmasked(), false, 0};
    else if (auto list = dyn_cast<JointCountOp>(op))
      found = {int64_t(list.getStep()), list.getUnmasked(), true,
               int64_t(list.getReach())};
  });
  return found;
}

void KernelEmitter::collectList() {
  std::optional<ListInfo> list = findList();
  if (!list)
    return;
  if (func::FuncOp visible = findVisible(func))
    maskParts.emplace(visible);
  int64_t rows = listRows(), step = list->step;
  ListSizes sizes = maskParts ? ListSizes(*maskParts, rows, step)
                              : ListSizes(step, list->isJoint);
  addArgument(e.global, json::Object{{"scratch", listOffset()}}, &listBase);
  for (unsigned dim = 0; dim < 3; ++dim)
    addArgument(e.i64, json::Object{{"i64", sizes.stride(dim)}},
                &listStrides[dim]);
  if (maskParts)
    return;
  std::string pair = std::to_string(rows) + " x " + std::to_string(step);
  for (auto [size, tile] : {std::pair("BQ", rows), std::pair("BKV", step)})
    conditions.push_back(json::Object{
        {"if", json::Array{"eq", json::Array{"mod", size, tile}, 0}},
        {"else", "block_mask: this sm_90a kernel takes tiles that are "
                 "multiples of " +
                     pair +
                     "; retile the mask (retile), or compile for its tiles "
                     "(schedule groups=1,n=64 takes multiples of 64 x 64)"}});
}

/// Where the words of the row of an op begin.
Value KernelEmitter::listRow(ValueRange row) {
  Value offset = e.c(0, e.i64);
  for (auto [index, stride] : llvm::zip(row, listStrides))
    offset = e.add(offset, e.mul(e.sext(known[index].value), stride));
  return offset;
}

Value KernelEmitter::loadListWord(Value offset) {
  Value address = LLVM::GEPOp::create(e.b, e.loc, e.global, e.i32, listBase,
                                      ArrayRef<LLVM::GEPArg>{offset});
  auto load = LLVM::LoadOp::create(e.b, e.loc, e.i32, address, 4);
  load.setInvariant(true);
  return load;
}

void KernelEmitter::emitListCount(ListCountOp op) {
  Value offset = listRow(op.getRow());
  known[op.getWhole()] = scalars.index(loadListWord(offset), 0, kMaxPosition);
  known[op.getTotal()] =
      scalars.index(loadListWord(e.add(offset, 1)), 0, kMaxPosition);
}

/// Of a row whose elements are a range with the whole ones side by side.
Value KernelEmitter::rangeElement(Value element, Value whole, Value first,
                                  Value firstWhole, int64_t step) {
  Value inWhole = e.add(firstWhole, e.mul(element, step));
  Value other = e.add(first, e.mul(e.sub(element, whole), step));
  Value isBehind = e.icmp(LLVM::ICmpPredicate::sge, other, firstWhole);
  other = e.select(isBehind, e.add(other, e.mul(whole, step)), other);
  Value isWhole = e.icmp(LLVM::ICmpPredicate::slt, element, whole);
  return e.select(isWhole, inWhole, other);
}

void KernelEmitter::emitListElement(ListElementOp op) {
  Value base = listRow(op.getRow()), element = known[op.getElement()].value;
  auto listed = [&](Value place, int64_t inFront) {
    return loadListWord(e.add(base, e.sext(e.add(place, inFront))));
  };
  Value n0;
  if (maskParts) {
    Value first = loadListWord(e.add(base, kHeadWords));
    Value firstWhole = loadListWord(e.add(base, kHeadWords + 1));
    Value isRange = e.icmp(LLVM::ICmpPredicate::sge, first, e.c(0));
    Value place = e.select(isRange, e.c(0), element);
    n0 = e.select(isRange,
                  rangeElement(element, loadListWord(base), first, firstWhole,
                               op.getStep()),
                  listed(place, kHeadWords + kRangeWords));
  } else {
    n0 = listed(element, kHeadWords);
  }
  known[op.getN0()] = scalars.index(n0, 0, kMaxPosition);
}

//===----------------------------------------------------------------------===//
// The kernel that writes the lists
//===----------------------------------------------------------------------===//

namespace {
/// One warp's work on one row of tiles.
class ListKernel : public PrologueKernel {
public:
  ListKernel(MLIRContext *context, const ListInfo &list, json::Value offset)
      : PrologueKernel(context), sizes(list.step), step(list.step),
        unmasked(list.unmasked), offset(offset) {
    grid = sizes.lists;
  }

private:
  void addArguments() override;
  void emitBody() override;
  void findRow();
  Value classAt(Value element);
  Value loop(bool whole, Value start);
  Value scan(bool whole, Value place, Value first);
  void store(Value condition, Value word, Value value);

  ListSizes sizes;
  int64_t step;
  bool unmasked;
  json::Value offset;
  Value classes, strides[4], keyTile, length, elements, rows, heads, lists,
      pitch;
  /// Where the row's classes and its list begin.
  Value source, target, lane;
};
} // namespace

void ListKernel::addArguments() {
  addArgument(e.global, json::Object{{"pointer", "block_mask"}}, classes);
  for (unsigned dim = 0; dim < 4; ++dim)
    addArgument(e.i64,
                json::Object{{"i64", "block_mask.s" + std::to_string(dim)}},
                strides[dim]);
  for (auto [value, slot] : {std::pair<json::Value, Value *>{"BKV", &keyTile},
                             {"N", &length},
                             {sizes.elements, &elements},
                             {sizes.rows, &rows},
                             {sizes.heads, &heads}})
    addArgument(e.i32, json::Object{{"i32", value}}, *slot);
  addArgument(e.global, json::Object{{"scratch", offset}}, lists);
  addArgument(e.i64, json::Object{{"i64", sizes.pitch}}, pitch);
}

void ListKernel::findRow() {
  Value number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  lane = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  Value rest = e.udiv(number, rows);
  Value row = e.sub(number, e.mul(rest, rows));
  Value batch = e.udiv(rest, heads);
  Value head = e.sub(rest, e.mul(batch, heads));
  Value at = e.c(0, e.i64);
  for (auto [index, stride] :
       {std::pair(batch, strides[0]), {head, strides[1]}, {row, strides[2]}})
    at = e.add(at, e.mul(e.sext(index), stride));
  source = gep(e.b.getI8Type(), classes, at);
  target = gep(e.i32, lists, e.mul(e.sext(number), pitch));
}

/// The class of the tile that an element, or the last one, lies in.
Value ListKernel::classAt(Value element) {
  Value inside = e.smin(element, e.add(elements, -1));
  Value tile = e.udiv(e.mul(inside, step), keyTile);
  Type byte = e.b.getI8Type();
  Value address = gep(byte, source, e.mul(e.sext(tile), strides[3]));
  auto load = LLVM::LoadOp::create(e.b, e.loc, byte, address, 1);
  return LLVM::ZExtOp::create(e.b, e.loc, e.i32, load);
}

void ListKernel::store(Value condition, Value word, Value value) {
  e.when(condition, [&] {
    Value address = gep(e.i32, target, e.sext(word));
    LLVM::StoreOp::create(e.b, e.loc, value, address, 4);
  });
}

/// 32 elements from `first` on: those of the kind go to the places from `place`
/// on. Returns the place behind them.
Value ListKernel::scan(bool whole, Value place, Value first) {
  Value element = e.add(first, lane);
  Value n0 = e.mul(element, step);
  Value kind = classAt(element);
  using P = LLVM::ICmpPredicate;
  Value isUncut = e.icmp(P::sle, e.add(n0, step), length);
  Value isSeen = e.icmp(P::ne, kind, e.c(0));
  Value isFull =
      e.land(unmasked ? isSeen : e.icmp(P::eq, kind, e.c(2)), isUncut);
  Value belongs = isFull;
  if (!whole)
    belongs = e.land(isSeen, e.lxor(isFull, e.c(1, e.i1)));
  belongs = e.land(belongs, e.icmp(P::slt, element, elements));
  Value word =
      e.intrinsic("llvm.nvvm.vote.ballot.sync", e.i32, {e.c(-1), belongs});
  Value below = e.intrinsic("llvm.nvvm.read.ptx.sreg.lanemask.lt", e.i32, {});
  auto count = [&](Value bits) {
    return e.intrinsic("llvm.ctpop.i32", e.i32, bits);
  };
  store(belongs, e.add(e.add(place, count(e.land(word, below))), kHeadWords),
        n0);
  return e.add(place, count(word));
}

/// All elements of one kind; returns the place behind the last one.
Value ListKernel::loop(bool whole, Value start) {
  Block *head = e.block({e.i32, e.i32}), *body = e.block(), *exit = e.block();
  e.br(head, {e.c(0), start});
  e.enter(head);
  Value first = head->getArgument(0), place = head->getArgument(1);
  e.condBr(e.icmp(LLVM::ICmpPredicate::slt, first, elements), body, {}, exit,
           {});
  e.enter(body);
  Value next = scan(whole, place, first);
  e.br(head, {e.add(first, 32), next});
  e.enter(exit);
  return place;
}

void ListKernel::emitBody() {
  findRow();
  Value whole = loop(/*whole=*/true, e.c(0));
  Value total = loop(/*whole=*/false, whole);
  Value leads = e.icmp(LLVM::ICmpPredicate::eq, lane, e.c(0));
  store(leads, e.c(0), whole);
  store(leads, e.c(1), total);
  store(leads, e.add(total, kHeadWords), length);
}

/// Null where there is no block mask.
std::unique_ptr<PrologueKernel> KernelEmitter::makeListKernel() {
  std::optional<ListInfo> list = findList();
  if (!list)
    return nullptr;
  if (list->isJoint)
    return makeJointKernel(func.getContext(), *list, listOffset());
  return std::make_unique<ListKernel>(func.getContext(), *list, listOffset());
}
