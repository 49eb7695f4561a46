//===- Lists.cpp - Elements of a block mask, sorted ahead of the kernel ---===//
//
// A kernel of one warp a row runs before and writes, for each row of tiles, how
// many elements are whole, how many there are, whether the last one is of a
// full tile and cut, and where each begins: whole ones of full tiles first, and
// the length behind the last one.
//
//===----------------------------------------------------------------------===//

#include "ClassKernel.h"

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
      found = {int64_t(list.getStep()), list.getUnmasked()};
    else if (auto list = dyn_cast<JointCountOp>(op))
      found = {int64_t(list.getStep()), list.getUnmasked(),
               int64_t(list.getGroups().size()) / 4, int64_t(list.getReach()),
               list.getPlanes()};
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
                              : ListSizes(step, list->groups);
  addArgument(e.global, json::Object{{"scratch", listOffset()}}, &listBase);
  for (unsigned dim = 0; dim < 3; ++dim)
    addArgument(e.i64, json::Object{{"i64", sizes.stride(dim)}},
                &listStrides[dim]);
  if (maskParts)
    return;
  std::string pair = std::to_string(rows) + " x " + std::to_string(step);
  bool isLeast = rows <= kGroupRows && step <= 64;
  std::string hint = isLeast ? "retile the mask (retile)"
                             : "retile the mask (retile), or compile for its "
                               "tiles (schedule block_q=64,block_kv=64 takes "
                               "multiples of 64 x 64)";
  for (auto [size, tile] : {std::pair("BQ", rows), std::pair("BKV", step)})
    conditions.push_back(json::Object{
        {"if", json::Array{"eq", json::Array{"mod", size, tile}, 0}},
        {"else", "block_mask: this sm_90a kernel takes tiles that are "
                 "multiples of " +
                     pair + "; " + hint}});
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
  // A mask that is asked holds on what its lists call full.
  Value cut = maskParts ? e.c(0) : loadListWord(e.add(offset, kHeadWords));
  known[op.getCut()] = scalars.index(cut, 0, 1);
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
    n0 = listed(element, kHeadWords + kCutWords);
  }
  known[op.getN0()] = scalars.index(n0, 0, kMaxPosition);
}

//===----------------------------------------------------------------------===//
// The kernel that writes the lists
//===----------------------------------------------------------------------===//

namespace {
/// One warp's work on one row of tiles.
class ListKernel : public ClassKernel {
public:
  using ClassKernel::ClassKernel;

private:
  void emitBody() override;
  Value loop(bool whole, Value start);
  Value scan(bool whole, Value place, Value first);
  void store(Value condition, Value word, Value value);

  Value row;
};
} // namespace

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
  Element found = read(row, element);
  Value belongs = whole ? found.isWhole : both(found.isSeen, no(found.isWhole));
  auto [below, all] = count(belongs);
  store(belongs, e.add(e.add(place, below), kHeadWords + kCutWords),
        e.mul(element, list.step));
  if (!whole) // the last element is the only one that may be cut
    store(equal(e.add(element, 1), elements), e.c(kHeadWords),
          number(both(found.isFull, no(found.isWhole))));
  return e.add(place, all);
}

/// All elements of one kind; returns the place behind the last one.
Value ListKernel::loop(bool whole, Value start) {
  Block *head = e.block({e.i32, e.i32}), *body = e.block(), *exit = e.block();
  e.br(head, {e.c(0), start});
  e.enter(head);
  Value first = head->getArgument(0), place = head->getArgument(1);
  e.condBr(less(first, elements), body, {}, exit, {});
  e.enter(body);
  Value next = scan(whole, place, first);
  e.br(head, {e.add(first, 32), next});
  e.enter(exit);
  return place;
}

void ListKernel::emitBody() {
  findList();
  row = findRow(tile);
  Value whole = loop(/*whole=*/true, e.c(0));
  Value total = loop(/*whole=*/false, whole);
  Value leads = equal(lane, 0);
  store(leads, e.c(0), whole);
  store(leads, e.c(1), total);
  store(leads, e.add(total, kHeadWords + kCutWords), length);
}

/// Null where there is no block mask.
std::unique_ptr<PrologueKernel> KernelEmitter::makeListKernel() {
  std::optional<ListInfo> list = findList();
  if (!list)
    return nullptr;
  if (list->groups)
    return makeJointKernel(func.getContext(), *list, listOffset());
  return std::make_unique<ListKernel>(func.getContext(), *list, listOffset());
}
