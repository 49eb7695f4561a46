//===- Prologue.cpp - Kernels that run before -----------------------------===//

#include "Prologue.h"
#include "Kernel.h"
#include "VisibleKernel.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace fovea::gpu;
namespace json = llvm::json;

json::Value PrologueKernel::emit(OpBuilder::InsertPoint place, Location loc,
                                 StringRef name, bool waitsForGrid) {
  addArguments();
  e.b.restoreInsertionPoint(place);
  e.loc = loc;
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(e.b.getContext()), types);
  auto kernel = LLVM::LLVMFuncOp::create(e.b, loc, name, type);
  kernel->setAttr("nvvm.kernel", e.b.getUnitAttr());
  kernel->setAttr("nvvm.maxntid", e.b.getDenseI32ArrayAttr({threads, 1, 1}));
  // Or the assembler takes fewer registers than are needed, for more blocks.
  kernel->setAttr("nvvm.minctasm", e.b.getI32IntegerAttr(1));
  Block *entry = kernel.addEntryBlock(e.b);
  for (auto [slot, argument] : llvm::zip(slots, entry->getArguments()))
    *slot = argument;
  e.enter(entry);
  if (waitsForGrid) {
    e.waitForGrid();
    // What comes next has this kernel's results to wait for, and begins.
    NVVM::GriddepcontrolOp::create(e.b, loc,
                                   NVVM::GridDepActionKind::launch_dependents);
  }
  emitBody();
  LLVM::ReturnOp::create(e.b, loc, ValueRange());
  return json::Object{{"symbol", name.str()},
                      {"threads", threads},
                      {"grid", grid},
                      {"arguments", std::move(entries)}};
}

Values PrologueKernel::loop(Value first, Value end, int64_t step,
                            ValueRange inits,
                            function_ref<Values(Value, ValueRange)> body) {
  SmallVector<Type> types{first.getType()};
  llvm::append_range(types, inits.getTypes());
  Block *head = e.block(types), *inside = e.block(), *exit = e.block();
  Values start{first};
  llvm::append_range(start, inits);
  e.br(head, start);
  e.enter(head);
  Value i = head->getArgument(0);
  ValueRange carried = head->getArguments().drop_front();
  e.condBr(e.icmp(LLVM::ICmpPredicate::slt, i, end), inside, {}, exit, {});
  e.enter(inside);
  Values next = body(i, carried);
  next.insert(next.begin(), e.add(i, step));
  e.br(head, next);
  e.enter(exit);
  return Values(carried);
}

void PrologueKernel::syncBlock() {
  LLVM::CallIntrinsicOp::create(
      e.b, e.loc, e.b.getStringAttr("llvm.nvvm.barrier.cta.sync.aligned.all"),
      ValueRange{e.c(0)});
}

Value PrologueKernel::allocateShared(int64_t words) {
  Operation *kernel = e.b.getInsertionBlock()->getParentOp();
  std::string name =
      (cast<LLVM::LLVMFuncOp>(kernel).getName() + "_shared").str();
  auto type = LLVM::LLVMArrayType::get(e.i32, words);
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPoint(kernel);
    global = LLVM::GlobalOp::create(
        e.b, e.loc, type, /*isConstant=*/false, LLVM::Linkage::Internal, name,
        Attribute(), /*alignment=*/16,
        cast<LLVM::LLVMPointerType>(e.shared).getAddressSpace());
    e.b.createBlock(&global.getInitializerRegion());
    Value undefined = LLVM::UndefOp::create(e.b, e.loc, type);
    LLVM::ReturnOp::create(e.b, e.loc, undefined);
  }
  return LLVM::AddressOfOp::create(e.b, e.loc, global);
}

//===----------------------------------------------------------------------===//
// Scales that are not positive
//===----------------------------------------------------------------------===//

/// Bytes of the copy of q at the start of the scratch memory, or 0.
static json::Value signedBytes(int64_t columns) {
  return json::Array{"mul",      json::Array{"lt", "SIGN", 1}, "B", "H", "M",
                     2 * columns};
}

namespace {
/// Copies q times the sign of the scale, exactly, where that is not 1.
class SignKernel : public PrologueKernel {
public:
  SignKernel(MLIRContext *context, Type element, int64_t columns)
      : PrologueKernel(context), element(element), columns(columns) {
    threads = 256;
    grid = json::Array{
        "mul", json::Array{"lt", "SIGN", 1},
        json::Array{"ceildiv", json::Array{"mul", "B", "H", "M", columns / 8},
                    int64_t(threads)}};
  }

private:
  void addArguments() override;
  void emitBody() override;

  Type element;
  int64_t columns;
  Value queries, strides[3], copy, heads, length, vectors, sign;
};
} // namespace

void SignKernel::addArguments() {
  addArgument(e.global, json::Object{{"pointer", "q"}}, queries);
  for (unsigned dim = 0; dim < 3; ++dim)
    addArgument(e.i64, json::Object{{"i64", "q.s" + std::to_string(dim)}},
                strides[dim]);
  addArgument(e.global, json::Object{{"scratch", 0}}, copy);
  addArgument(e.i64, json::Object{{"i64", "H"}}, heads);
  addArgument(e.i64, json::Object{{"i64", "M"}}, length);
  addArgument(
      e.i64,
      json::Object{{"i64", json::Array{"mul", "B", "H", "M", columns / 8}}},
      vectors);
  addArgument(e.i32, json::Object{{"i32", "SIGN"}}, sign);
}

void SignKernel::emitBody() {
  Value block = e.intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", e.i32, {});
  Value thread = e.intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", e.i32, {});
  Value vector = e.add(e.mul(e.zext(block), threads), e.zext(thread));
  e.when(e.icmp(LLVM::ICmpPredicate::slt, vector, vectors), [&] {
    auto split = [&](Value value, Value by) {
      Value quotient = e.udiv(value, by);
      return std::pair(quotient, e.sub(value, e.mul(quotient, by)));
    };
    auto [line, chunk] = split(vector, e.c(columns / 8, e.i64));
    auto [rest, row] = split(line, length);
    auto [batch, head] = split(rest, heads);
    Value offset = e.shl(chunk, 3);
    for (auto [index, stride] :
         {std::pair(batch, strides[0]), {head, strides[1]}, {row, strides[2]}})
      offset = e.add(offset, e.mul(index, stride));
    Type half = e.b.getIntegerType(16);
    Values words =
        e.assembly("ld.global.v4.b32 {$0, $1, $2, $3}, [$4];", "=r,=r,=r,=r,l",
                   gep(half, queries, offset), SmallVector<Type>(4, e.i32));
    // A product, as a NaN stays one under a scale of 0.
    bool isBF16 = element.isBF16();
    Value minus = e.c(isBF16 ? 0xBF80BF80 : 0xBC00BC00);
    Value isZero = e.icmp(LLVM::ICmpPredicate::eq, sign, e.c(0));
    Value factor = e.select(isZero, e.c(0), minus);
    Values operands{gep(half, copy, e.shl(vector, 3))};
    for (Value word : words)
      operands.push_back(e.assembly1(isBF16 ? "mul.rn.bf16x2 $0, $1, $2;"
                                            : "mul.rn.f16x2 $0, $1, $2;",
                                     "=r,r,r", {word, factor}, e.i32,
                                     /*sideEffects=*/false));
    e.assembly("st.global.v4.b32 [$0], {$1, $2, $3, $4};",
               "l,r,r,r,r,~{memory}", operands);
  });
}

/// Adds the kernels that run before and the memory that they share.
void KernelEmitter::describePrologues(json::Object &manifest,
                                      ChannelType queries) {
  json::Array before;
  json::Value scratch = 0;
  OpBuilder place(func);
  auto add = [&](PrologueKernel &kernel, StringRef suffix) {
    before.push_back(kernel.emit(place.saveInsertionPoint(), func.getLoc(),
                                 (func.getName() + suffix).str(),
                                 waitsForGrid()));
    prologueFailed |= kernel.hasFailed();
  };
  if (takesSign()) {
    SignKernel kernel(func.getContext(), queries.getElementType(),
                      queries.getColumns());
    add(kernel, "_sign");
    scratch = signedBytes(queries.getColumns());
  }
  manifest["block_mask"] = findList().has_value() && !maskParts;
  if (maskParts) {
    int64_t rows = listRows(), step = findList()->step;
    ListSizes lists(*maskParts, rows, step);
    HullSizes hulls(*maskParts, lists,
                    json::Array{"add", listOffset(), lists.bytes()});
    if (auto kernel = makeHullKernel(*maskParts, rows, step, lists, hulls))
      add(*kernel, "_hulls");
    add(*makeElementKernel(*maskParts, rows, step, lists, hulls, listOffset()),
        "_lists");
    scratch = hulls.end;
  } else if (std::unique_ptr<PrologueKernel> kernel = makeListKernel()) {
    add(*kernel, "_lists");
    scratch =
        json::Array{"add", listOffset(),
                    ListSizes(findList()->step, findList()->groups).bytes()};
  }
  if (before.empty())
    return;
  manifest["before"] = std::move(before);
  manifest["scratch"] = std::move(scratch);
}

bool KernelEmitter::takesSign() {
  return func->hasAttr("attn_gpu.positive_scale");
}

json::Value KernelEmitter::listOffset() {
  if (!takesSign())
    return 0;
  for (auto &[value, channel] : channels)
    if (channel.isLhs)
      return signedBytes(channel.type.getColumns());
  llvm_unreachable("a kernel has queries");
}
