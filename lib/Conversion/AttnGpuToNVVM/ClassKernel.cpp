//===- ClassKernel.cpp - Kernels that read the classes of tiles -----------===//

#include "ClassKernel.h"

using namespace fovea::gpu;
namespace json = llvm::json;

void ClassKernel::addArguments() {
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

void ClassKernel::findList() {
  Value number = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  lane = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  Value plane = e.udiv(number, rows);
  enterPlane(plane);
  setTile(plane, e.sub(number, e.mul(plane, rows)));
}

void ClassKernel::enterPlane(Value plane) {
  Value batch = e.udiv(plane, heads);
  Value head = e.sub(plane, e.mul(batch, heads));
  Value offset =
      e.add(e.mul(e.sext(batch), strides[0]), e.mul(e.sext(head), strides[1]));
  classes = gep(e.b.getI8Type(), classes, offset);
}

void ClassKernel::setTile(Value plane, Value number) {
  tile = number;
  Value list = e.add(e.mul(plane, rows), tile);
  target = gep(e.i32, lists, e.mul(e.sext(list), pitch));
}

Value ClassKernel::findRow(Value row) {
  return gep(e.b.getI8Type(), classes, e.mul(e.sext(row), strides[2]));
}

Value ClassKernel::load(Value row, Value element) {
  // Lanes behind the last element read that one's class.
  Value inside = e.smin(element, e.add(elements, -1));
  Value tile = e.udiv(e.mul(inside, list.step), keyTile);
  Type byte = e.b.getI8Type();
  Value address = gep(byte, row, e.mul(e.sext(tile), strides[3]));
  auto load = LLVM::LoadOp::create(e.b, e.loc, byte, address, 1);
  return LLVM::ZExtOp::create(e.b, e.loc, e.i32, load);
}

ClassKernel::Element ClassKernel::decode(Value kind, Value element) {
  Value end = e.mul(e.add(element, 1), list.step);
  Element found;
  found.isSeen = both(e.icmp(P::ne, kind, e.c(0)), less(element, elements));
  found.isFull =
      list.unmasked ? found.isSeen : both(found.isSeen, equal(kind, 2));
  found.isUncut = e.icmp(P::sle, end, length);
  found.isWhole = both(found.isFull, found.isUncut);
  return found;
}

std::pair<Value, Value> ClassKernel::count(Value condition) {
  Value word =
      e.intrinsic("llvm.nvvm.vote.ballot.sync", e.i32, {e.c(-1), condition});
  Value below = e.intrinsic("llvm.nvvm.read.ptx.sreg.lanemask.lt", e.i32, {});
  auto bits = [&](Value word) {
    return e.intrinsic("llvm.ctpop.i32", e.i32, word);
  };
  return {bits(e.land(word, below)), bits(word)};
}
