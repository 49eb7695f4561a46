//===- Emitter.cpp --------------------------------------------------------===//

#include "Emitter.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace fovea::gpu;

Value Emitter::c(int64_t value, Type type) {
  if (!type)
    type = i32;
  return LLVM::ConstantOp::create(b, loc, type, b.getIntegerAttr(type, value));
}

Value Emitter::cf(double value) {
  return LLVM::ConstantOp::create(b, loc, f32, b.getF32FloatAttr(value));
}

Value Emitter::intrinsic(StringRef name, Type type, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

Values Emitter::assembly(StringRef text, StringRef constraints,
                         ValueRange operands, TypeRange results,
                         bool sideEffects) {
  TypeRange asmResults = results;
  Type packed;
  if (results.size() > 1) {
    packed = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                              llvm::to_vector(results));
    asmResults = packed;
  }
  auto op = LLVM::InlineAsmOp::create(
      b, loc, asmResults, operands, text, constraints, sideEffects,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      ArrayAttr());
  Values values;
  if (results.size() == 1)
    values.push_back(op.getResult(0));
  for (size_t i = 0; packed && i < results.size(); ++i)
    values.push_back(
        LLVM::ExtractValueOp::create(b, loc, op.getResult(0), int64_t(i)));
  return values;
}

void Emitter::waitForGrid() {
  NVVM::GriddepcontrolOp::create(b, loc, NVVM::GridDepActionKind::wait);
  // LLVM takes the instruction for one that touches no memory.
  assembly("", "~{memory}", {});
}

Block *Emitter::block(TypeRange arguments) {
  OpBuilder::InsertionGuard guard(b);
  Region *region = b.getInsertionBlock()->getParent();
  return b.createBlock(region, region->end(), arguments,
                       SmallVector<Location>(arguments.size(), loc));
}

void Emitter::when(Value condition, function_ref<void()> then) {
  Block *yes = block(), *join = block();
  condBr(condition, yes, {}, join, {});
  enter(yes);
  then();
  br(join);
  enter(join);
}
