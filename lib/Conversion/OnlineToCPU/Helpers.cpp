//===- Helpers.cpp - Packing, transposing and storing rows ----------------===//
//
// Small functions a kernel calls, so that their code exists once.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/CPU/CPUModel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace fovea::cpu;
using P = arith::CmpIPredicate;

namespace {
/// Builds a private function that LLVM does not inline.
class HelperFunction {
public:
  HelperFunction(Emitter &e, const std::string &name, ArrayRef<Type> inputs,
                 Type result = {})
      : e(e), guard(e.b) {
    auto type = LLVM::LLVMFunctionType::get(
        result ? result : LLVM::LLVMVoidType::get(e.b.getContext()), inputs);
    auto function = LLVM::LLVMFuncOp::create(e.b, e.loc, name, type,
                                             LLVM::Linkage::Internal);
    function.setNoInline(true);
    e.keepSelfContained(function);
    block = function.addEntryBlock(e.b);
    e.b.setInsertionPointToStart(block);
  }
  ~HelperFunction() {
    LLVM::ReturnOp::create(e.b, e.loc,
                           result ? ValueRange(result) : ValueRange{});
  }
  Value argument(unsigned i) { return block->getArgument(i); }
  Value result;

private:
  Emitter &e;
  OpBuilder::InsertionGuard guard;
  Block *block;
};
} // namespace

/// Loads a register of elements; 16-bit floats travel as integers, whose vector
/// loads every x86 has.
static Value loadElements(Emitter &e, Value address, Type element,
                          int64_t count) {
  unsigned bits = element.getIntOrFloatBitWidth();
  Type vector = VectorType::get({count}, element);
  if (bits > 16)
    return e.load(vector, address, bits / 8);
  Type raw = VectorType::get({count}, e.b.getIntegerType(bits));
  return LLVM::BitcastOp::create(e.b, e.loc, vector,
                                 e.load(raw, address, bits / 8));
}

/// Elements that one step of packing moves.
int64_t KernelEmitter::packLanes() {
  if (!isShort())
    return e.native;
  return wideElements();
}

/// pack(source, row stride, column stride, rows, columns, destination,
/// destination stride, padded rows): rows in the packed type, zeros up to the
/// destination's stride and the padded rows.
void KernelEmitter::emitPackFunction() {
  HelperFunction function(
      e, name + "_pack",
      {e.ptr, e.i64, e.i64, e.i64, e.i64, e.ptr, e.i64, e.i64});
  int64_t lanes = packLanes();
  Type element = spec.elementType;
  Value source = function.argument(0), rowStride = function.argument(1),
        columnStride = function.argument(2), rows = function.argument(3),
        columns = function.argument(4), destination = function.argument(5),
        stride = function.argument(6), paddedRows = function.argument(7);
  Type packed = packedType();
  if (widens()) // Only bits are moved.
    element = packed = e.b.getIntegerType(16);
  unsigned align = packed.getIntOrFloatBitWidth() / 8;
  Value unit = e.icmp(P::eq, columnStride, e.c(1));
  Value vectors =
      e.select(unit, e.sub(columns, e.urem(columns, e.c(lanes))), e.c(0));
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(packed));
  e.loop(e.c(0), rows, 1, [&](Value r) {
    Value from = e.gep(source, e.mul(r, rowStride), element);
    Value to = e.gep(destination, e.mul(r, stride), packed);
    e.loop(e.c(0), vectors, lanes, [&](Value d) {
      Value v = loadElements(e, e.gep(from, d, element), element, lanes);
      e.store(e.widen(v, packed), e.gep(to, d, packed), align);
    });
    e.loop(vectors, columns, 1, [&](Value d) {
      Value address = e.gep(from, e.mul(d, columnStride), element);
      Value v = e.load(element, address, element.getIntOrFloatBitWidth() / 8);
      e.store(e.widen(v, packed), e.gep(to, d, packed), align);
    });
    e.loop(columns, stride, 1,
           [&](Value d) { e.store(zero, e.gep(to, d, packed), align); });
  });
  // Most of what a single row asks for: a register at a time.
  Type bits = align == 2 ? Type(e.b.getIntegerType(16)) : packed;
  Value zeros =
      arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(e.nativeVec(bits)));
  e.loop(
      e.mul(rows, stride), e.mul(paddedRows, stride), e.native,
      [&](Value i) { e.store(zeros, e.gep(destination, i, packed), align); });
}

/// pack_pages(data, page stride, row stride, column stride, pages, rows of a
/// page, first row, rows, columns, destination, destination stride, padded
/// rows): packs rows page by page. The last piece brings the padding.
void KernelEmitter::emitPackPagesFunction() {
  HelperFunction function(e, name + "_pack_pages",
                          {e.ptr, e.i64, e.i64, e.i64, e.ptr, e.i64, e.i64,
                           e.i64, e.i64, e.ptr, e.i64, e.i64});
  auto given = [&](unsigned i) { return function.argument(i); };
  Value length = given(5), rows = given(7), stride = given(10);
  scf::WhileOp::create(
      e.b, e.loc, TypeRange{e.i64}, ValueRange{e.c(0)},
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToEnd(carried[0].getParentBlock());
        scf::ConditionOp::create(e.b, e.loc, e.icmp(P::slt, carried[0], rows),
                                 carried);
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToEnd(carried[0].getParentBlock());
        Value done = carried[0], row = e.add(given(6), done);
        Value page = e.load(e.i64, e.gep(given(4), e.udiv(row, length), e.i64));
        row = e.urem(row, length);
        Value from = e.add(e.mul(page, given(1)), e.mul(row, given(2)));
        Value taken = e.min(e.sub(length, row), e.sub(rows, done));
        Value next = e.add(done, taken);
        Value padded =
            e.select(e.icmp(P::eq, next, rows), e.sub(given(11), done), taken);
        callHelper("_pack", {e.gep(given(0), from, spec.elementType), given(2),
                             given(3), taken, given(8),
                             e.gep(given(9), e.mul(done, stride), packedType()),
                             stride, padded});
        scf::YieldOp::create(e.b, e.loc, next);
      });
}

/// interleave(source, row stride, column stride, rows, columns, destination,
/// destination stride): rows 2 r and 2 r + 1 to one row of pairs; zeros up to
/// the destination's stride and in place of a last row's partner.
void KernelEmitter::emitInterleaveFunction() {
  HelperFunction function(e, name + "_interleave",
                          {e.ptr, e.i64, e.i64, e.i64, e.i64, e.ptr, e.i64});
  Type element = spec.elementType, i16 = e.b.getIntegerType(16),
       i32 = e.b.getI32Type();
  Value source = function.argument(0), rowStride = function.argument(1),
        columnStride = function.argument(2), rows = function.argument(3),
        columns = function.argument(4), destination = function.argument(5),
        stride = function.argument(6);
  Value unit = e.icmp(P::eq, columnStride, e.c(1));
  Value vectors =
      e.select(unit, e.sub(columns, e.urem(columns, e.c(e.native))), e.c(0));
  Value sixteen = arith::ConstantIntOp::create(e.b, e.loc, 16, 32);
  Value none = arith::ConstantIntOp::create(e.b, e.loc, 0, 32);
  Value all = arith::ConstantIntOp::create(e.b, e.loc, -1, 32);
  e.loop(e.c(0), rows, 2, [&](Value r) {
    Value has = e.icmp(P::slt, e.add(r, e.c(1)), rows);
    Value first = e.gep(source, e.mul(r, rowStride), element);
    Value second = e.select(has, e.gep(first, rowStride, element), first);
    Value kept = e.select(has, all, none);
    Value to = e.gep(destination, e.mul(e.udiv(r, e.c(2)), stride), i32);
    auto copy = [&](Value d, Value offset, Type narrow, Type wide) {
      auto like = [&](Value x) {
        return isa<VectorType>(wide) ? e.nativeSplat(x) : x;
      };
      auto half = [&](Value row) -> Value {
        Value v = e.load(narrow, e.gep(row, offset, element), 2);
        return arith::ExtUIOp::create(e.b, e.loc, wide, v);
      };
      Value upper = e.land(half(second), like(kept));
      upper = arith::ShLIOp::create(e.b, e.loc, upper, like(sixteen));
      e.store(e.lor(half(first), upper), e.gep(to, d, i32), 4);
    };
    e.loop(e.c(0), vectors, e.native,
           [&](Value d) { copy(d, d, e.nativeVec(i16), e.nativeVec(i32)); });
    e.loop(vectors, columns, 1,
           [&](Value d) { copy(d, e.mul(d, columnStride), i16, i32); });
    e.loop(columns, stride, 1,
           [&](Value d) { e.store(none, e.gep(to, d, i32), 4); });
  });
}

/// unpack(source, source stride, rows, columns, destination, row stride, column
/// stride): rows of scores to the element type. Of kernels that finish rows
/// also a factor for each: whether any element was not finite before.
void KernelEmitter::emitUnpackFunction() {
  bool scaled = finishesRows();
  SmallVector<Type> inputs{e.ptr, e.i64, e.i64, e.i64, e.ptr, e.i64, e.i64};
  if (scaled)
    inputs.push_back(e.ptr);
  HelperFunction function(e, name + "_unpack", inputs, scaled ? e.i64 : Type());
  Type element = spec.elementType;
  unsigned align = element.getIntOrFloatBitWidth() / 8;
  Value source = function.argument(0), stride = function.argument(1),
        rows = function.argument(2), columns = function.argument(3),
        destination = function.argument(4), rowStride = function.argument(5),
        columnStride = function.argument(6);
  Value unit = e.icmp(P::eq, columnStride, e.c(1));
  Value vectors =
      e.select(unit, e.sub(columns, e.urem(columns, e.c(e.native))), e.c(0));
  Value zero = e.cf(0.0), zeros = e.nativeSplat(zero);
  // What is not finite makes its product with 0 a NaN; of vectors the bits are
  // joined, which are back sooner than a sum.
  auto scale = [&](Value x, Value factor, Value zero, Values &met) -> Value {
    if (!scaled)
      return x;
    if (isa<VectorType>(x.getType())) {
      Value product = LLVM::BitcastOp::create(e.b, e.loc, met[0].getType(),
                                              e.fmul(x, zero));
      met[0] = e.lor(met[0], product);
    } else {
      met[0] = e.fma(x, zero, met[0]);
    }
    return e.fmul(x, factor);
  };
  Values sums;
  if (scaled) {
    Type bits = e.nativeVec(e.b.getIntegerType(8 * e.scoreBytes()));
    sums = {LLVM::ZeroOp::create(e.b, e.loc, bits), zero};
  }
  sums = e.loop(
      e.c(0), rows, e.c(1), sums, [&](Value r, ValueRange before) -> Values {
        Value from = e.gep(source, e.mul(r, stride), e.f);
        Value to = e.gep(destination, e.mul(r, rowStride), element);
        Value factor, factors;
        if (scaled) {
          factor = e.load(e.f, e.gep(function.argument(7), r, e.f));
          factors = e.nativeSplat(factor);
        }
        auto wide = [&](Value d, ValueRange carried) -> Values {
          Values sum = llvm::to_vector(carried);
          Value v = loadElements(e, e.gep(from, d, e.f), e.f, e.native);
          v = e.narrow(scale(v, factors, zeros, sum), element);
          if (align == 2)
            v = LLVM::BitcastOp::create(e.b, e.loc,
                                        e.nativeVec(e.b.getIntegerType(16)), v);
          e.store(v, e.gep(to, d, element), align);
          return sum;
        };
        auto single = [&](Value d, ValueRange carried) -> Values {
          Values sum = llvm::to_vector(carried);
          Value v = e.load(e.f, e.gep(from, d, e.f));
          v = e.narrow(scale(v, factor, zero, sum), element);
          e.store(v, e.gep(to, e.mul(d, columnStride), element), align);
          return sum;
        };
        Values ofVectors = e.loop(e.c(0), vectors, e.c(e.native),
                                  before.take_front(scaled), wide);
        llvm::append_range(ofVectors,
                           e.loop(vectors, columns, e.c(1),
                                  before.drop_front(scaled), single));
        return ofVectors;
      });
  if (!scaled)
    return;
  auto isNaN = [&](Value x) { return e.fcmp(arith::CmpFPredicate::UNO, x, x); };
  sums[0] = LLVM::BitcastOp::create(e.b, e.loc, e.nativeVec(e.f), sums[0]);
  Value bits = LLVM::BitcastOp::create(e.b, e.loc, e.b.getIntegerType(e.native),
                                       isNaN(sums[0]));
  Value none = arith::ConstantIntOp::create(e.b, e.loc, 0, int(e.native));
  Value bad = e.lor(e.icmp(P::ne, bits, none), isNaN(sums[1]));
  function.result = arith::ExtUIOp::create(e.b, e.loc, e.i64, bad);
}

/// band(source, row stride in bytes, destination, columns): 32 rows of 16 bits
/// to rows of 32, one a column; eight columns at a time.
void KernelEmitter::emitBandFunction() {
  HelperFunction function(e, name + "_band", {e.ptr, e.i64, e.ptr, e.i64});
  Value stride = function.argument(1);
  constexpr int64_t side = 8, parts = 4, bits = 16;
  static_assert(side * parts == fovea::kTileGroup);
  Type element = e.b.getIntegerType(bits);
  VectorType piece = VectorType::get({side}, element);
  auto shuffle = [&](Value x, Value y, ArrayRef<int32_t> order) -> Value {
    return LLVM::ShuffleVectorOp::create(e.b, e.loc, x, y, order);
  };
  // Rows i, i + 8, i + 16 and i + 24 are the parts of a register.
  auto loadParts = [&](MutableArrayRef<Value> rows) {
    Value joined;
    for (auto [part, row] : llvm::enumerate(rows)) {
      SmallVector<int32_t> widened, inserted;
      for (int32_t j = 0; j < side * parts; ++j) {
        bool here = j / side == int64_t(part);
        widened.push_back(here ? j % side : -1);
        inserted.push_back(here ? j + side * parts : j);
      }
      Value loaded = e.load(piece, row, bits / 8);
      loaded = shuffle(loaded, loaded, widened);
      joined = joined ? shuffle(joined, loaded, inserted) : loaded;
      row = e.gep(row, stride, e.i8);
    }
    return joined;
  };
  // What the first or second halves of the parts have, in turns.
  SmallVector<int32_t> halves[2];
  for (int32_t j = 0; j < side * parts; ++j)
    for (int32_t half = 0; half < 2; ++half)
      halves[half].push_back(j / side * side + half * side / 2 + j % side / 2 +
                             j % 2 * side * parts);
  e.loop(e.c(0), function.argument(3), side, [&](Value column) {
    Value rows[parts];
    for (int64_t part = 0; part < parts; ++part)
      rows[part] = e.gep(e.gep(function.argument(0), column, element),
                         e.mul(stride, e.c(part * side)), e.i8);
    Values a;
    for (int64_t i = 0; i < side; ++i)
      a.push_back(loadParts(rows));
    // A bit of the number of a row becomes one of a place in it, and back.
    for (int64_t bit = 1; bit < side; bit *= 2) {
      Values next;
      for (int64_t i = 0; i < side / 2; ++i)
        for (ArrayRef<int32_t> half : halves)
          next.push_back(shuffle(a[i], a[i + side / 2], half));
      a = next;
    }
    Value to = e.gep(function.argument(2), e.mul(column, e.c(64)), e.i8);
    for (int64_t i = 0; i < side; ++i)
      e.store(a[i], e.gep(to, i * 64), 64);
  });
}

/// transpose(source, source stride, destination, destination stride, columns,
/// factor): lanes × columns to columns × lanes in squares, times a factor.
void KernelEmitter::emitTransposeFunction() {
  HelperFunction function(
      e, name + "_transpose",
      {e.ptr, e.i64, e.i64, e.ptr, e.i64, e.i64, e.i64, e.f});
  Value source = function.argument(0), stride = function.argument(1),
        sourceStep = function.argument(2), destination = function.argument(3),
        toStride = function.argument(4), toStep = function.argument(5),
        squares = function.argument(6);
  Value factor = e.nativeSplat(function.argument(7));
  e.loop(e.c(0), squares, 1, [&](Value square) {
    Value from = e.gep(source, e.mul(square, sourceStep), e.f);
    Value to = e.gep(destination, e.mul(square, toStep), e.f);
    Values a;
    for (int64_t i = 0; i < e.native; ++i) {
      Value v = loadElements(e, from, e.f, e.native);
      from = e.gep(from, stride, e.f);
      // Pairs are bits that arithmetic must not touch.
      a.push_back(pairs() ? v : e.fmul(v, factor));
    }
    // Exchange off-diagonal blocks of 1, 2, 4, … elements.
    for (int64_t size = 1; size < e.native; size *= 2) {
      SmallVector<int32_t> low, high;
      for (int64_t j = 0; j < e.native; ++j) {
        bool second = j & size;
        low.push_back(second ? j - size + e.native : j);
        high.push_back(second ? j + e.native : j + size);
      }
      Values next(e.native);
      for (int64_t i = 0; i < e.native; ++i) {
        if (i & size)
          continue;
        next[i] =
            LLVM::ShuffleVectorOp::create(e.b, e.loc, a[i], a[i + size], low);
        next[i + size] =
            LLVM::ShuffleVectorOp::create(e.b, e.loc, a[i], a[i + size], high);
      }
      a = next;
    }
    for (int64_t i = 0; i < e.native; ++i) {
      e.store(a[i], to, e.scoreBytes());
      to = e.gep(to, toStride, e.f);
    }
  });
}

//===----------------------------------------------------------------------===//
// Uses
//===----------------------------------------------------------------------===//

void KernelEmitter::callHelper(StringRef suffix, ValueRange operands) {
  LLVM::CallOp::create(e.b, e.loc, TypeRange{}, name + suffix.str(), operands);
}

const Buffer &KernelEmitter::bufferOf(online::ViewOp view) {
  const Buffer *buffer = arguments->lookup(view.getSource());
  assert(buffer && "checked when the kernel was analysed");
  return *buffer;
}

/// The address of a row of a view.
Value KernelEmitter::tensorRows(online::ViewOp view, Value row) {
  const Buffer &buffer = bufferOf(view);
  Value offset = e.mul(row, buffer.strides[view.getIndices().size()]);
  for (auto [index, stride] : llvm::zip(view.getIndices(), buffer.strides))
    offset = e.add(offset, e.mul(s->scalar(index), stride));
  Type element = cast<MemRefType>(view.getSource().getType()).getElementType();
  return e.gep(buffer.data, offset, element);
}

void KernelEmitter::callPack(Value source, const Buffer &buffer, Value rows,
                             int64_t columns, Value destination, int64_t stride,
                             Value paddedRows) {
  callHelper("_pack", {source, buffer.strides[2], buffer.strides[3], rows,
                       e.c(columns), destination, e.c(stride), paddedRows});
}

/// Whether what a mod begins by multiplying with is folded into the queries.
/// Kernels for other registers hide these products behind multiply-adds.
bool KernelEmitter::foldsFactors(const DotSpec &dot) {
  return isNarrow() && !isShort() && dot.scaled;
}

/// Whether the product is then the argument of tanh, in its own units.
bool KernelEmitter::endsInTanh(const DotSpec &dot) {
  return e.f.isF32() && dot.scaled.hasOneUse() &&
         isa<math::TanhOp>(*dot.scaled.user_begin());
}

/// What multiplies every product before a mod sees it, or where none does the
/// scale (and log2 e); null elsewhere.
Value KernelEmitter::productFactor(const DotSpec &dot) {
  if (foldsFactors(dot)) {
    double unit = endsInTanh(dot) ? VectorMath::tanhUnit : 1.0;
    Value constant = e.cf(dot.constant * unit);
    return dot.scale ? e.fmul(s->scalar(dot.scale), constant) : constant;
  }
  if (!plainScores())
    return {};
  Value scale = spec.step.getScale();
  Value factor = scale ? s->scalar(scale) : e.cf(1.0);
  return log2Units() ? e.fmul(factor, e.cf(1.4426950408889634)) : factor;
}

/// The rows of queries of a panel and their stride, in scores or pairs: where
/// they lie if they are whole, else a copy.
std::pair<Value, Value> KernelEmitter::rowsOfPanel(DotSpec &dot, Value first) {
  const Buffer &buffer = bufferOf(dot.query);
  int64_t columns = packedSteps(dot.dim);
  Value taken = e.min(e.sub(rows, first), e.c(e.lanes));
  Value source =
      tensorRows(dot.query, e.add(s->scalar(dot.queryLoad.getRow()), first));
  auto copy = [&]() -> Values {
    Value to = at(at_.rowBuffer);
    callPack(source, buffer, taken, dot.dim, to, columns * stepElements(),
             e.c(e.lanes));
    return {to, e.c(columns)};
  };
  Values result;
  if (spec.elementType != e.f || dot.dim != columns)
    result = copy();
  else
    result = e.branch(
        e.land(e.icmp(P::eq, buffer.strides[3], e.c(1)),
               e.icmp(P::eq, taken, e.c(e.lanes))),
        {e.ptr, e.i64}, [&]() -> Values { return {source, buffer.strides[2]}; },
        copy);
  return {result[0], result[1]};
}

/// Q^T of each panel, [d][lane], with the factor folded in; pairs as they are.
void KernelEmitter::packQueries() {
  for (unsigned i = 0; i < spec.dots.size(); ++i) {
    DotSpec &dot = spec.dots[i];
    Value factor = pairs() ? Value() : productFactor(dot);
    if (!factor)
      factor = e.cf(1.0);
    int64_t columns = packedSteps(dot.dim);
    forPanelsOfTile([&](Value panel) {
      auto [from, stride] = rowsOfPanel(dot, e.mul(panel, e.c(e.lanes)));
      Value to =
          e.gep(state.queries[i], e.mul(panel, e.c(columns * e.lanes)), e.f);
      // One register of rows at a time becomes a register of lanes.
      for (int64_t lane = 0; lane < e.lanes; lane += e.native)
        callHelper("_transpose",
                   {e.gep(from, e.mul(stride, e.c(lane)), e.f), stride,
                    e.c(e.native), e.gep(to, lane * e.scoreBytes()),
                    e.c(e.lanes), e.c(e.native * e.lanes),
                    e.c(columns / e.native), factor});
    });
  }
}

/// Rows that lie at multiples of 4096 bytes share one set of the L1 cache;
/// anything but unit columns cannot be broadcast from memory in order.
Value KernelEmitter::readsInPlace(const Buffer &buffer) {
  int64_t bytes = packedType().getIntOrFloatBitWidth() / 8;
  Value unit = e.icmp(P::eq, buffer.strides[3], e.c(1));
  Value step = e.land(e.mul(buffer.strides[2], e.c(bytes)), e.c(4095));
  return e.land(unit, e.icmp(P::ne, step, e.c(0)));
}

BlockRows KernelEmitter::prepareKeys(const DotSpec &dot, unsigned index,
                                     Value n0) {
  const Buffer &buffer = bufferOf(dot.key);
  int64_t stride = packedSteps(dot.dim) * stepElements();
  Value source = tensorRows(dot.key, n0);
  Value packed = at(at_.packedKeys[index]);
  Value groups = e.c(e.group);
  Value whole = e.mul(e.udiv(count, groups), groups);
  auto pack = [&]() -> Values {
    Value paddedRows = e.mul(e.ceilDiv(count, e.group), groups);
    callPack(source, buffer, count, dot.dim, packed, stride, paddedRows);
    Value tail = e.gep(packed, e.mul(whole, e.c(stride)), packedType());
    return {packed, e.c(stride), tail};
  };
  Values result;
  // A pair or tile that only in part belongs to the row is not read in place.
  if (spec.elementType != packedType() || dot.dim % keyUnit() != 0) {
    result = pack();
  } else {
    result = e.branch(
        readsInPlace(buffer), {e.ptr, e.i64, e.ptr},
        [&]() -> Values {
          Value tail = at(at_.keyTail[index]);
          e.when(e.icmp(P::ne, whole, count), [&]() {
            callPack(
                e.gep(source, e.mul(whole, buffer.strides[2]), packedType()),
                buffer, e.sub(count, whole), dot.dim, tail, stride, groups);
          });
          return {source, buffer.strides[2], tail};
        },
        pack);
  }
  return BlockRows{result[0], result[1], result[2], e.c(stride)};
}

BlockRows KernelEmitter::prepareValues(Value n0) {
  const Buffer &buffer = bufferOf(spec.value);
  Value source = tensorRows(spec.value, n0);
  Value packed = at(at_.packedValues);
  if (amx()) {
    transposeValues(source, buffer);
    return BlockRows{packed, e.c(valuePadded()), {}, {}};
  }
  if (pairs()) {
    callHelper("_interleave",
               {source, buffer.strides[2], buffer.strides[3], count,
                e.c(spec.valueDim), packed, e.c(valuePadded())});
    return BlockRows{packed, e.c(valuePadded()), {}, {}};
  }
  auto pack = [&]() -> Values {
    callPack(source, buffer, count, spec.valueDim, packed, valuePadded(),
             count);
    return {packed, e.c(valuePadded())};
  };
  Values result;
  if (spec.elementType != e.f || spec.valueDim != valuePadded())
    result = pack();
  else
    result = e.branch(
        readsInPlace(buffer), {e.ptr, e.i64},
        [&]() -> Values { return {source, buffer.strides[2]}; }, pack);
  return BlockRows{result[0], result[1], {}, {}};
}
