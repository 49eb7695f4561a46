//===- Products.cpp - Tensor core products and row reductions -------------===//
//
// One inline assembly a product: fence, wgmmas with their descriptors' steps,
// commit. So its operands are complete before the fence by data dependence, and
// nothing comes between the wgmmas.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "fovea/Target/NVVM/Layouts.h"

using namespace fovea::gpu;

static std::string repeat(StringRef item, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += (i ? "," + item : item).str();
  return text;
}

/// `$first, $first+1, …`.
static std::string operandList(size_t first, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return text;
}

static std::string tied(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += (i ? "," : "") + std::to_string(i);
  return text;
}

static std::string wgmma(int64_t columns, Type element) {
  std::string type = element.isBF16() ? "bf16" : "f16";
  return "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) +
         "k16.f32." + type + "." + type + " ";
}

namespace {
/// The text of a product whose keys from `keys` on need not take part: all,
/// those of one half, or none of the other steps, behind one branch. The first
/// step of scores is whole: where registers of a product in flight have not
/// been written on every path, ptxas serialises. It wants a fence wherever
/// paths begin and meet.
class StepsText {
public:
  explicit StepsText(StringRef keys) : keys(keys) {
    text = "{\n.reg .b64 a, b;\n";
    if (!keys.empty())
      text += ".reg .pred p;\n";
    fence();
  }
  /// Goes to a label where at most `count` keys take part.
  void leave(int64_t count, StringRef label) {
    text += "setp.le.s32 p, " + keys + ", " + std::to_string(count) +
            ";\n@p bra.uni " + label.str() + ";\n";
  }
  void jump(StringRef label) { text += "bra.uni " + label.str() + ";\n"; }
  void label(StringRef name) { text += name.str() + ":\n"; }
  void fence() { text += "wgmma.fence.sync.aligned;\n"; }
  void add(const Twine &line) { text += line.str(); }
  std::string finish() {
    return std::move(text) + "wgmma.commit_group.sync.aligned;\n}";
  }

private:
  std::string keys, text;
};
} // namespace

/// Half of the keys, as many as a product can have.
static int64_t halfOf(int64_t keys) { return llvm::alignTo(keys / 2, 8); }

std::string KernelEmitter::scoresText(MmaStartOp op, StringRef keys) {
  auto lhs = cast<TileType>(op.getLhs().getType());
  TileType rhs = op.getRhs().getType();
  auto frag = cast<FragType>(op.getType().getResult());
  size_t results = frag.getRegisters();
  std::string a = "$" + std::to_string(results),
              b = "$" + std::to_string(results + 1);
  StepsText text(keys);
  auto addSteps = [&](int64_t first, int64_t end, int64_t columns) {
    std::string head = wgmma(columns, rhs.getElementType()) + "{" +
                       operandList(0, columns / 2) + "}, ";
    for (int64_t k = first; k < end; ++k) {
      if (k)
        text.add("add.s64 a, " + a + ", " +
                 Twine(layouts::columnStep(k, lhs.getRows())) +
                 ";\nadd.s64 b, " + b + ", " +
                 Twine(layouts::columnStep(k, rhs.getRows())) + ";\n");
      text.add(head + (k ? "a, b, 1" : a + ", " + b + ", 0") +
               ", 1, 1, 0, 0;\n");
    }
  };
  int64_t steps = lhs.getColumns() / 16, columns = frag.getColumns();
  if (keys.empty()) {
    addSteps(0, steps, columns);
    return text.finish();
  }
  addSteps(0, 1, columns);
  text.leave(0, "END");
  text.leave(halfOf(columns), "HALF");
  text.fence();
  addSteps(1, steps, columns);
  text.jump("END");
  text.label("HALF");
  text.fence();
  addSteps(1, steps, halfOf(columns));
  text.label("END");
  text.fence();
  return text.finish();
}

std::string KernelEmitter::outputsText(MmaStartOp op, size_t weights,
                                       StringRef keys) {
  TileType rhs = op.getRhs().getType();
  auto frag = cast<FragType>(op.getType().getResult());
  size_t results = frag.getRegisters(), first = 2 * results;
  std::string b = "$" + std::to_string(first + weights);
  std::string head = wgmma(frag.getColumns(), rhs.getElementType()) + "{" +
                     operandList(0, results) + "}, ";
  int64_t steps = rhs.getRows() / 16,
          half = llvm::divideCeil(halfOf(rhs.getRows()), 16);
  StepsText text(keys);
  if (!keys.empty()) {
    text.leave(0, "END");
    text.fence();
  }
  for (int64_t k = 0; k < steps; ++k) {
    if (!keys.empty() && k == half) {
      text.leave(halfOf(rhs.getRows()), "END");
      text.fence();
    }
    // Sixteen rows of 128 bytes.
    if (k)
      text.add("add.s64 b, " + b + ", " + Twine(layouts::rowStep(k)) + ";\n");
    text.add(head + "{" + operandList(first + 4 * k, 4) + "}, " +
             (k ? "b" : b) + ", 1, 1, 1, 1;\n");
  }
  if (!keys.empty()) {
    text.label("END");
    text.fence();
  }
  return text.finish();
}

void KernelEmitter::emitStart(MmaStartOp op) {
  size_t results = cast<FragType>(op.getType().getResult()).getRegisters();
  SmallVector<Type> types(results, e.f32);
  Values keys;
  if (op.getKeys())
    keys.push_back(known[op.getKeys()].value);
  std::string more = keys.empty() ? "" : ",r";
  auto last = [&](size_t count) {
    return keys.empty() ? std::string() : "$" + std::to_string(count);
  };
  if (isa<TileType>(op.getLhs().getType())) {
    Values operands{registers[op.getLhs()][0], registers[op.getRhs()][0]};
    llvm::append_range(operands, keys);
    registers[op] =
        e.assembly(scoresText(op, last(results + 2)),
                   repeat("=&f", results) + ",l,l" + more, operands, types);
    return;
  }
  Values &weights = registers[op.getLhs()];
  Values operands = registers[op.getAcc()];
  llvm::append_range(operands, weights);
  operands.push_back(registers[op.getRhs()][0]);
  llvm::append_range(operands, keys);
  std::string text =
      outputsText(op, weights.size(), last(2 * results + weights.size() + 1));
  registers[op] = e.assembly(text,
                             repeat("=f", results) + "," + tied(results) + "," +
                                 repeat("r", weights.size()) + ",l" + more,
                             operands, types);
}

/// The registers in flight are tied, so that LLVM moves no use above the wait.
void KernelEmitter::emitAwait(AwaitOp op) {
  Values operands = registers[op.getPending()];
  size_t results = operands.size();
  std::string constraints = repeat("=f", results) + "," + tied(results);
  if (op.getHeld()) {
    Values &held = registers[op.getHeld()];
    constraints += "," + repeat("r", held.size());
    llvm::append_range(operands, held);
  }
  registers[op] = e.assembly("wgmma.wait_group.sync.aligned " +
                                 std::to_string(op.getKeep().value_or(0)) + ";",
                             constraints + ",~{memory}", operands,
                             SmallVector<Type>(results, e.f32));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Which of the thread's two rows register i of an accumulator belongs to.
static unsigned rowOf(size_t i) {
  return unsigned(fovea::layouts::slicesOf(int64_t(i)).row);
}

Value KernelEmitter::shuffle(Value value, int lanes) {
  return e.intrinsic("llvm.nvvm.shfl.sync.bfly.f32", e.f32,
                     {e.c(-1), value, e.c(lanes), e.c(31)});
}

void KernelEmitter::emitReduce(ReduceOp op) {
  bool isMax = op.getKind() == ReduceKind::Max;
  auto combine = [&](Value x, Value y) {
    return isMax ? e.fmax(x, y) : e.fadd(x, y);
  };
  Values source = registers[op.getSource()], results;
  for (unsigned r = 0; r < 2; ++r) {
    // Several chains hide the latency of one.
    size_t chains = isMax ? maximumChains : 2, next = 0;
    Values partial;
    for (size_t i = 0; i < source.size(); ++i) {
      if (rowOf(i) != r)
        continue;
      if (partial.size() < chains)
        partial.push_back(source[i]);
      else
        partial[next % chains] = combine(partial[next % chains], source[i]);
      ++next;
    }
    while (partial.size() > 1) {
      Values half;
      for (size_t i = 0; i + 1 < partial.size(); i += 2)
        half.push_back(combine(partial[i], partial[i + 1]));
      if (partial.size() % 2)
        half.push_back(partial.back());
      partial = half;
    }
    Value result = partial.front();
    if (op.getInit())
      result = combine(result, registers[op.getInit()][r]);
    if (!op.getType().getPartial())
      for (int lanes : {1, 2})
        result = combine(result, shuffle(result, lanes));
    results.push_back(result);
  }
  registers[op] = results;
}

void KernelEmitter::emitQuadReduce(QuadReduceOp op) {
  Values results;
  for (Value value : registers[op.getSource()]) {
    for (int lanes : {1, 2}) {
      Value other = shuffle(value, lanes);
      value = op.getKind() == ReduceKind::Max ? e.fmax(value, other)
                                              : e.fadd(value, other);
    }
    results.push_back(value);
  }
  registers[op] = results;
}

void KernelEmitter::emitRescale(RescaleOp op) {
  bool isFrag = isa<FragType>(op.getType());
  Values alpha = registers[op.getAlpha()], source = registers[op.getSource()];
  Values addend = op.getAddend() ? registers[op.getAddend()] : Values();
  Values results;
  for (size_t i = 0; i < source.size(); ++i) {
    Value factor = alpha[isFrag ? rowOf(i) : i];
    results.push_back(addend.empty() ? e.fmul(source[i], factor)
                                     : e.fma(source[i], factor, addend[i]));
  }
  registers[op] = results;
}

Value KernelEmitter::pack(Value low, Value high, Type element) {
  Type wide = VectorType::get({2}, e.f32),
       narrow = VectorType::get({2}, element);
  Value vector = LLVM::UndefOp::create(e.b, e.loc, wide);
  vector = LLVM::InsertElementOp::create(e.b, e.loc, vector, low, e.c(0));
  vector = LLVM::InsertElementOp::create(e.b, e.loc, vector, high, e.c(1));
  Value rounded = LLVM::FPTruncOp::create(e.b, e.loc, narrow, vector);
  return LLVM::BitcastOp::create(e.b, e.loc, e.i32, rounded);
}

void KernelEmitter::emitConvert(ConvertOp op) {
  Values source = registers[op.getSource()], results;
  for (size_t i = 0; i < source.size(); i += 2)
    results.push_back(
        pack(source[i], source[i + 1], op.getType().getElementType()));
  registers[op] = results;
}

/// A memory operation that never runs, as there is at least one head a section.
void KernelEmitter::emitPin(PinOp op) {
  Values source = registers[op.getSource()];
  if (op.getBefore()) {
    e.assembly("{\n.reg .pred p;\nsetp.eq.s32 p, $0, 0;\n"
               "@p st.shared.v2.f32 [$1], {$2, $3};\n}",
               "r,r,f,f,~{memory}", {section, smem, source[0], source[1]});
    registers[op] = source;
    return;
  }
  Values results;
  for (Value value : source)
    results.push_back(e.assembly1("{\n.reg .pred p;\nsetp.eq.s32 p, $2, 0;\n"
                                  "@p ld.shared.f32 $0, [$3];\n}",
                                  "=f,0,r,r,~{memory}", {value, section, smem},
                                  e.f32));
  registers[op] = results;
}
