//===- Hulls.cpp - What a mask's values of one position can be ------------===//
//
// Minima and maxima for tiles of keys, spans of them and tiles of rows: a block
// evaluates 32 tiles, position by position, whatever the values are made of.
//
//===----------------------------------------------------------------------===//

#include "VisibleKernel.h"

using namespace fovea::gpu;
namespace json = llvm::json;

namespace {
class HullKernel : public VisibleKernel {
public:
  HullKernel(const MaskParts &parts, int64_t tileRows, int64_t tileKeys,
             const ListSizes &lists, const HullSizes &sizes)
      : VisibleKernel(parts, tileRows, tileKeys, lists, sizes) {
    threads = kWarps * 32;
    auto blocks = [&](const json::Value &tiles) -> json::Value {
      return json::Array{"mul", lists.batches, lists.heads,
                         json::Array{"ceildiv", tiles, kSpanTiles}};
    };
    keyBlockCount = hulls.keyHulls ? blocks(lists.elements) : 0;
    grid = json::Array{"add", keyBlockCount,
                       hulls.rowHulls ? blocks(lists.rows) : 0};
  }

private:
  static constexpr int64_t kWarps = 16;
  /// Hulls that are computed at the same time, in registers.
  static constexpr size_t kTogether = 4;

  void addArguments() override;
  void emitBody() override;
  void emitSide(OnPosition on, Value block);
  void emitTile(OnPosition on, Value plane, Value tile, Value tiles);
  void emitSpan(Value plane, Value group);
  Values reduce(Type type, Values hull);
  Value shuffle(Value value, int64_t lanes);
  Values join(Type type, ValueRange x, ValueRange y);
  Values neutral(Type type);
  void store(Type type, ValueRange hull, Value address);

  json::Value keyBlockCount = nullptr;
  Value keyBlocks, lane, warp;
};
} // namespace

void HullKernel::addArguments() {
  addMaskArguments();
  addArgument(e.i32, json::Object{{"i32", keyBlockCount}}, keyBlocks);
}

void HullKernel::emitBody() {
  Value block = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  Value thread = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  lane = e.land(thread, 31);
  warp = e.lshr(thread, 5);
  Value ofKeys = e.icmp(LLVM::ICmpPredicate::slt, block, keyBlocks);
  if (hulls.keyHulls)
    e.when(ofKeys, [&] { emitSide(OnKey, block); });
  if (hulls.rowHulls)
    e.when(e.lxor(ofKeys, e.c(1, e.i1)),
           [&] { emitSide(OnRow, e.sub(block, keyBlocks)); });
}

void HullKernel::emitSide(OnPosition on, Value block) {
  Value tiles = on == OnKey ? elements : rows;
  Value groups = e.lshr(e.add(tiles, kSpanTiles - 1), 5);
  Value plane = e.udiv(block, groups);
  Value group = e.sub(block, e.mul(plane, groups));
  enterPlane(plane);
  loop(warp, e.c(kSpanTiles), kWarps, {}, [&](Value i, ValueRange) {
    Value tile = e.add(e.mul(group, kSpanTiles), i);
    e.when(e.icmp(LLVM::ICmpPredicate::slt, tile, tiles),
           [&] { emitTile(on, plane, tile, tiles); });
    return Values();
  });
  if (on != OnKey)
    return;
  syncBlock();
  e.when(e.icmp(LLVM::ICmpPredicate::eq, warp, e.c(0)),
         [&] { emitSpan(plane, group); });
}

/// Integers are wide, conditions too.
Values HullKernel::neutral(Type type) {
  if (type.isF32())
    return {e.cf(INFINITY), e.cf(-INFINITY)};
  return {e.c(INT64_MAX, e.i64), e.c(INT64_MIN, e.i64)};
}

Values HullKernel::join(Type type, ValueRange x, ValueRange y) {
  if (type.isF32())
    return {e.bin<LLVM::MinimumOp>(x[0], y[0]),
            e.bin<LLVM::MaximumOp>(x[1], y[1])};
  return {e.smin(x[0], y[0]), e.smax(x[1], y[1])};
}

Value HullKernel::shuffle(Value value, int64_t lanes) {
  auto word = [&](Value x) {
    return e.intrinsic("llvm.nvvm.shfl.sync.bfly.i32", e.i32,
                       {e.c(-1), x, e.c(lanes), e.c(31)});
  };
  if (value.getType() == e.f32) {
    Value bits = LLVM::BitcastOp::create(e.b, e.loc, e.i32, value);
    return LLVM::BitcastOp::create(e.b, e.loc, e.f32, word(bits));
  }
  Value low = e.zext(word(e.trunc(value)));
  Value high = e.zext(word(e.trunc(e.lshr(value, 32))));
  return e.lor(low, e.shl(high, 32));
}

/// Over the lanes of the warp.
Values HullKernel::reduce(Type type, Values hull) {
  for (int64_t lanes = 16; lanes > 0; lanes /= 2)
    hull = join(type, hull, {shuffle(hull[0], lanes), shuffle(hull[1], lanes)});
  return hull;
}

void HullKernel::store(Type type, ValueRange hull, Value address) {
  e.when(e.icmp(LLVM::ICmpPredicate::eq, lane, e.c(0)), [&] {
    for (auto [i, value] : llvm::enumerate(hull)) {
      Value at = gep(e.b.getI8Type(), address, e.c(8 * i, e.i64));
      LLVM::StoreOp::create(e.b, e.loc, value, at, 8);
    }
  });
}

void HullKernel::emitTile(OnPosition on, Value plane, Value tile, Value tiles) {
  ArrayRef<Value> all = parts.getHulls(on);
  int64_t width = on == OnKey ? tileKeys : tileRows;
  Value first = e.mul(tile, width);
  Value end = e.smin(e.add(first, width), on == OnKey ? keys : queries);
  Value index = e.add(e.mul(plane, tiles), tile);
  for (size_t start = 0; start < all.size(); start += kTogether) {
    ArrayRef<Value> some = all.slice(start).take_front(kTogether);
    Values inits;
    for (Value value : some)
      llvm::append_range(inits, neutral(value.getType()));
    Values found =
        loop(e.add(first, lane), end, 32, inits,
             [&](Value position, ValueRange before) {
               setPosition(on == OnKey ? parts.key() : parts.row(), position);
               evaluate({on});
               Values next;
               for (auto [i, value] : llvm::enumerate(some)) {
                 Scalar scalar = known.lookup(value);
                 Type type = value.getType();
                 Values old(before.slice(2 * i, 2));
                 Value now = isBroken            ? old[0]
                             : type.isF32()      ? scalar.value
                             : type.isInteger(1) ? e.zext(scalar.value)
                                                 : scalars.wide(scalar);
                 llvm::append_range(next, join(type, old, {now, now}));
               }
               return next;
             });
    for (auto [i, value] : llvm::enumerate(some)) {
      Type type = value.getType();
      Values hull = reduce(type, {found[2 * i], found[2 * i + 1]});
      store(type, hull,
            hullAddress(on == OnKey ? keyTiles : rowTiles, index, all.size(),
                        start + i));
    }
  }
}

/// A lane takes what the block has written for a tile.
void HullKernel::emitSpan(Value plane, Value group) {
  ArrayRef<Value> all = parts.getHulls(OnKey);
  Value tile = e.add(e.mul(group, kSpanTiles), lane);
  // The last tile again, for lanes behind it.
  Value own = e.smin(tile, e.add(elements, -1));
  Value index = e.add(e.mul(plane, elements), own);
  Value span = e.add(e.mul(plane, spans), group);
  for (auto [i, value] : llvm::enumerate(all)) {
    Type type = value.getType();
    // Conditions stay wide.
    Bound hull = loadHull(type.isF32() ? type : e.i64,
                          hullAddress(keyTiles, index, all.size(), i));
    store(type, reduce(type, {hull.low, hull.high}),
          hullAddress(keySpans, span, all.size(), i));
  }
}

std::unique_ptr<PrologueKernel>
fovea::gpu::makeHullKernel(const MaskParts &parts, int64_t tileRows,
                           int64_t tileKeys, const ListSizes &lists,
                           const HullSizes &hulls) {
  if (!hulls.keyHulls && !hulls.rowHulls)
    return nullptr;
  return std::make_unique<HullKernel>(parts, tileRows, tileKeys, lists, hulls);
}
