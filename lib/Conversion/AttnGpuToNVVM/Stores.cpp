//===- Stores.cpp - Outputs to memory -------------------------------------===//

#include "Kernel.h"

using namespace fovea::gpu;

// No branch depends on the lane here: a branch that does, at the end of the
// loop over tiles, would take the whole loop off the uniform registers.

/// Runs an instruction where `condition` holds. Its operands are $0, $1, …
static void predicated(Emitter &e, Value condition, StringRef instruction,
                       StringRef constraints, ValueRange operands) {
  Value flag = LLVM::ZExtOp::create(e.b, e.loc, e.i32, condition);
  std::string text = "{\n.reg .pred p;\nsetp.ne.s32 p, $" +
                     std::to_string(operands.size()) + ", 0;\n@p " +
                     instruction.str() + "\n}";
  Values all(operands);
  all.push_back(flag);
  std::string list = constraints.str() + (operands.empty() ? "" : ",") + "r";
  e.assembly(text, list + ",~{memory}", all);
}

LogicalResult KernelEmitter::emitStoreTile(StoreTileOp op) {
  auto view = op.getView().getDefiningOp<online::ViewOp>();
  Values source = registers[op.getSource()], packed;
  for (size_t i = 0; i < source.size(); i += 2)
    packed.push_back(pack(source[i], source[i + 1],
                          op.getView().getType().getElementType()));
  if (!op.getStaged())
    return storeDirect(op, packed);
  FailureOr<Values> place = coordinates(op, view, op.getRow());
  if (failed(place))
    return failure();
  (*place)[1] = e.add((*place)[1], e.mul(group, kGroupRows));
  storeStaged(packed, *place, view.getSource());
  return success();
}

/// Through swizzled shared memory and the copy engine. The group's first thread
/// waits for its last copy to have read the memory.
void KernelEmitter::storeStaged(ArrayRef<Value> packed,
                                const Values &coordinates, Value memref) {
  int64_t columns = int64_t(packed.size()) * 4;
  int64_t staging =
      func->getAttrOfType<IntegerAttr>("attn_gpu.staging").getInt();
  Value base =
      e.add(e.add(smem, staging), e.mul(group, kGroupRows * columns * 2));
  Value barrier = e.add(group, 4);
  Value leads = e.icmp(LLVM::ICmpPredicate::eq, e.land(tid, 127), e.c(0));
  auto synchronise = [&] {
    e.assembly("bar.sync $0, 128;", "r,~{memory}", barrier);
  };
  predicated(e, leads, "cp.async.bulk.wait_group.read 0;", "", {});
  synchronise();
  // Lane l gives the address of row l % 16 of a 16 × 16 matrix, columns from
  // 8 · (l / 16) on; its 16-byte chunk is swizzled by the row.
  Value inWarp = e.add(e.mul(warp, 16), e.land(lane, 15));
  Value line = e.add(base, e.shl(inWarp, 7));
  Value half = e.lshr(lane, 4), swizzle = e.land(lane, 7);
  for (size_t k = 0; k < packed.size() / 4; ++k) {
    Value chunk = e.lxor(e.add(half, int64_t(2 * (k % 4))), swizzle);
    Value address =
        e.add(e.add(line, e.shl(chunk, 4)), int64_t(k / 4) * kGroupRows * 128);
    e.assembly("stmatrix.sync.aligned.m8n8.x4.shared.b16 [$0], "
               "{$1, $2, $3, $4};",
               "r,r,r,r,r,~{memory}",
               {address, packed[4 * k], packed[4 * k + 1], packed[4 * k + 2],
                packed[4 * k + 3]});
  }
  e.assembly("fence.proxy.async.shared::cta;", "~{memory}", {});
  synchronise();
  Values operands{tensorMaps.at(tensorNumber(memref)), base};
  llvm::append_range(operands, coordinates);
  predicated(e, leads,
             "cp.async.bulk.tensor.5d.global.shared::cta.bulk_group "
             "[$0, {$2, $3, $4, $5, $6}], [$1];\n"
             "@p cp.async.bulk.commit_group;",
             "l,r,r,r,r,r,r", operands);
}

/// 16-byte stores after 4 × 4 transposes inside the quad.
LogicalResult KernelEmitter::storeDirect(StoreTileOp op,
                                         ArrayRef<Value> packed) {
  auto view = op.getView().getDefiningOp<online::ViewOp>();
  Value memref = view.getSource();
  FailureOr<Values> place = coordinates(op, view, op.getRow(), /*clips=*/false);
  if (failed(place))
    return failure();
  Value zero = e.c(0);
  Value odd = e.icmp(LLVM::ICmpPredicate::ne, e.land(lane, 1), zero);
  Value high = e.icmp(LLVM::ICmpPredicate::ne, e.land(lane, 2), zero);
  auto shuffleWord = [&](Value word, int lanes) {
    return e.intrinsic("llvm.nvvm.shfl.sync.bfly.i32", e.i32,
                       {e.c(-1), word, e.c(lanes), e.c(31)});
  };
  Value length = known[view.getLength()].value;
  Value first = e.add((*place)[1], row);
  Value offset = e.zext(e.shl(column, 2));
  for (auto [dim, index] : {std::pair<unsigned, unsigned>{0, 4}, {1, 3}})
    offset =
        e.add(offset, e.mul(e.sext((*place)[index]), getStride(memref, dim)));
  for (unsigned r = 0; r < 2; ++r) {
    Value line = e.add(first, 8 * r);
    Value element = e.add(offset, e.mul(e.sext(line), getStride(memref, 2)));
    Value address = LLVM::GEPOp::create(
        e.b, e.loc, e.global, e.b.getIntegerType(16), getPointer(memref),
        ArrayRef<LLVM::GEPArg>{element});
    SmallVector<Values> chunks;
    for (size_t a = 0; a < packed.size() / 2; a += 4) {
      auto word = [&](size_t j) { return packed[2 * (a + j) + r]; };
      Values x;
      for (size_t j : {0, 2}) {
        Value sent = shuffleWord(e.select(odd, word(j), word(j + 1)), 1);
        x.push_back(e.select(odd, sent, word(j)));
        x.push_back(e.select(odd, word(j + 1), sent));
      }
      Value y0 = shuffleWord(e.select(high, x[0], x[2]), 2);
      Value y1 = shuffleWord(e.select(high, x[1], x[3]), 2);
      chunks.push_back({e.select(high, y0, x[0]), e.select(high, y1, x[1]),
                        e.select(high, x[2], y0), e.select(high, x[3], y1)});
    }
    Value inside = e.icmp(LLVM::ICmpPredicate::slt, line, length);
    for (auto [index, chunk] : llvm::enumerate(chunks)) {
      Value at = LLVM::GEPOp::create(
          e.b, e.loc, e.global, e.b.getIntegerType(16), address,
          ArrayRef<LLVM::GEPArg>{int32_t(32 * index)});
      predicated(e, inside, "st.global.v4.b32 [$0], {$1, $2, $3, $4};",
                 "l,r,r,r,r", {at, chunk[0], chunk[1], chunk[2], chunk[3]});
    }
  }
  return success();
}

LogicalResult KernelEmitter::emitStoreRows(StoreRowsOp op) {
  auto view = op.getView().getDefiningOp<online::ViewOp>();
  Value memref = view.getSource();
  FailureOr<Values> place = coordinates(op, view, op.getRow(), /*clips=*/false);
  if (failed(place))
    return failure();
  Value length = known[view.getLength()].value;
  Value first = e.add((*place)[1], row);
  Value ofQuad = e.icmp(LLVM::ICmpPredicate::eq, e.land(lane, 3), e.c(0));
  // A launch without an lse gives null.
  Value base = LLVM::PtrToIntOp::create(e.b, e.loc, e.i64, getPointer(memref));
  ofQuad = e.land(ofQuad, e.icmp(LLVM::ICmpPredicate::ne, base, e.c(0, e.i64)));
  Value offset = e.c(0, e.i64);
  for (auto [dim, index] : {std::pair<unsigned, unsigned>{0, 4}, {1, 3}})
    offset =
        e.add(offset, e.mul(e.sext((*place)[index]), getStride(memref, dim)));
  for (unsigned r = 0; r < 2; ++r) {
    Value line = e.add(first, 8 * r);
    Value inside = e.icmp(LLVM::ICmpPredicate::slt, line, length);
    Value element = e.add(offset, e.mul(e.sext(line), getStride(memref, 2)));
    Value address =
        LLVM::GEPOp::create(e.b, e.loc, e.global, e.f32, getPointer(memref),
                            ArrayRef<LLVM::GEPArg>{element});
    predicated(e, e.land(ofQuad, inside), "st.global.f32 [$0], $1;", "l,f",
               {address, registers[op.getSource()][r]});
  }
  return success();
}
