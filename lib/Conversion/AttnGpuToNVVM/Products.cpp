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

void KernelEmitter::emitStart(MmaStartOp op) {
  auto frag = cast<FragType>(op.getType().getResult());
  TileType rhs = op.getRhs().getType();
  size_t results = frag.getRegisters();
  SmallVector<Type> types(results, e.f32);
  std::string head = wgmma(frag.getColumns(), rhs.getElementType()) + "{" +
                     operandList(0, results) + "}, ";
  std::string text = "{\n.reg .b64 a, b;\nwgmma.fence.sync.aligned;\n";
  if (auto lhs = dyn_cast<TileType>(op.getLhs().getType())) {
    std::string a = "$" + std::to_string(results);
    std::string b = "$" + std::to_string(results + 1);
    for (int64_t k = 0; k < lhs.getColumns() / 16; ++k) {
      if (k)
        text += "add.s64 a, " + a + ", " +
                std::to_string(layouts::columnStep(k, lhs.getRows())) +
                ";\nadd.s64 b, " + b + ", " +
                std::to_string(layouts::columnStep(k, rhs.getRows())) + ";\n";
      text += head + (k ? "a, b, 1" : a + ", " + b + ", 0") + ", 1, 1, 0, 0;\n";
    }
    text += "wgmma.commit_group.sync.aligned;\n}";
    registers[op] = e.assembly(
        text, repeat("=&f", results) + ",l,l",
        {registers[op.getLhs()][0], registers[op.getRhs()][0]}, types);
    return;
  }
  Values &weights = registers[op.getLhs()];
  size_t first = 2 * results;
  std::string b = "$" + std::to_string(first + weights.size());
  for (int64_t k = 0; k < rhs.getRows() / 16; ++k) {
    // Sixteen rows of 128 bytes.
    if (k)
      text += "add.s64 b, " + b + ", " + std::to_string(layouts::rowStep(k)) +
              ";\n";
    text += head + "{" + operandList(first + 4 * k, 4) + "}, " + (k ? "b" : b) +
            ", 1, 1, 1, 1;\n";
  }
  text += "wgmma.commit_group.sync.aligned;\n}";
  Values operands = registers[op.getAcc()];
  llvm::append_range(operands, weights);
  operands.push_back(registers[op.getRhs()][0]);
  registers[op] = e.assembly(text,
                             repeat("=f", results) + "," + tied(results) + "," +
                                 repeat("r", weights.size()) + ",l",
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
