//===- ScalarRegion.cpp - Runs scalar MLIR regions in f64 -----------------===//

#include "fovea/Interpreter/ScalarRegion.h"
#include "ScalarOps.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fovea;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

namespace fovea {
class ScalarCompiler {
public:
  explicit ScalarCompiler(mlir::Region &region) : region(region) {}

  FailureOr<ScalarProgram> run() {
    Block &block = region.front();
    for (BlockArgument argument : block.getArguments())
      if (!isa<ShapedType>(argument.getType()))
        program.argumentRegisters.push_back(define(argument));
    for (Operation &op : block.without_terminator())
      if (failed(visit(&op)))
        return failure();
    for (Value result : block.getTerminator()->getOperands())
      program.resultRegisters.push_back(use(result));
    return std::move(program);
  }

private:
  uint32_t newRegister(ScalarValue value = {}) {
    program.constants.push_back(value);
    return program.constants.size() - 1;
  }

  uint32_t define(Value value) { return registers[value] = newRegister(); }

  /// The register of a value; one from above becomes a binding.
  uint32_t use(Value value) {
    auto [it, isNew] = registers.try_emplace(value);
    if (isNew) {
      it->second = newRegister();
      program.outside.push_back({it->second, value});
    }
    return it->second;
  }

  uint32_t useTensor(Value value) {
    auto [it, isNew] = tensors.try_emplace(value, program.tensors.size());
    if (isNew)
      program.tensors.push_back(value);
    return it->second;
  }

  LogicalResult visit(Operation *op) {
    if (std::optional<ScalarValue> constant = getScalarConstant(op)) {
      registers[op->getResult(0)] = newRegister(*constant);
      return success();
    }
    if (auto read = dyn_cast<attn::ReadOp>(op)) {
      ScalarProgram::Instruction instruction{
          op, static_cast<uint8_t>(ScalarCode::Read), 0};
      instruction.operands[0] = useTensor(read.getSource());
      instruction.operands[2] = read.getIndices().size();
      SmallVector<uint32_t> indices;
      for (Value index : read.getIndices())
        indices.push_back(use(index));
      instruction.operands[1] = program.readIndices.size();
      llvm::append_range(program.readIndices, indices);
      instruction.dst = define(read.getResult());
      program.code.push_back(instruction);
      return success();
    }
    if (isa<attn::ExtentOp, attn::SizeOp>(op)) {
      ScalarProgram::Outside outside{define(op->getResult(0)), Value(), op};
      if (auto extent = dyn_cast<attn::ExtentOp>(op))
        outside.tensor = useTensor(extent.getSource());
      program.outside.push_back(outside);
      return success();
    }
    std::optional<ScalarCode> code = getScalarCode(op);
    if (!code)
      return op->emitError() << "'" << op->getName()
                             << "' cannot be interpreted as a scalar op";
    ScalarProgram::Instruction instruction{op, static_cast<uint8_t>(*code), 0};
    for (auto [index, operand] : llvm::enumerate(op->getOperands()))
      instruction.operands[index] = use(operand);
    instruction.dst = define(op->getResult(0));
    program.code.push_back(instruction);
    return success();
  }

  mlir::Region &region;
  ScalarProgram program;
  DenseMap<Value, uint32_t> registers, tensors;
};
} // namespace fovea

FailureOr<ScalarProgram> ScalarProgram::compile(mlir::Region &region) {
  return ScalarCompiler(region).run();
}

//===----------------------------------------------------------------------===//
// Binding
//===----------------------------------------------------------------------===//

llvm::Expected<ScalarFrame>
ScalarProgram::bind(const ScalarBindings &bindings) const {
  ScalarFrame frame;
  frame.program = this;
  frame.registers = constants;
  frame.results.resize(resultRegisters.size());
  for (Value tensor : tensors) {
    const TensorView *view = bindings.tensor(tensor);
    if (!view || view->rank() != cast<ShapedType>(tensor.getType()).getRank())
      return llvm::createStringError(
          "a tensor of a scalar region has no data of its rank");
    frame.tensors.push_back(view);
  }
  for (const Outside &from : outside) {
    ScalarValue &value = frame.registers[from.dst];
    if (from.value) {
      value = bindings.scalar(from.value);
    } else if (auto extent = dyn_cast<attn::ExtentOp>(from.op)) {
      value.i = frame.tensors[from.tensor]->sizes[extent.getDim()];
    } else if (bindings.sizes) {
      auto kind = cast<attn::SizeOp>(from.op).getKind();
      value.i = (*bindings.sizes)[static_cast<unsigned>(kind)];
    } else {
      return llvm::createStringError("'attn.size' has no value here");
    }
  }
  return frame;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

ScalarValue ScalarFrame::read(uint32_t position) {
  const ScalarProgram::Instruction &instruction = program->code[position];
  const TensorView &tensor = *tensors[instruction.operands[0]];
  const uint32_t *indices =
      program->readIndices.data() + instruction.operands[1];
  int64_t offset = 0;
  bool empty = false;
  for (uint32_t dim = 0; dim < instruction.operands[2]; ++dim) {
    int64_t index = registers[indices[dim]].i, size = tensor.sizes[dim];
    if ((index < 0 || index >= size) && !bad.read)
      bad = {instruction.op, cast<attn::ReadOp>(instruction.op).getSource(),
             dim, index, size};
    empty |= size == 0;
    offset +=
        std::max<int64_t>(0, std::min(index, size - 1)) * tensor.strides[dim];
  }
  if (empty)
    return {};
  return isa<FloatType>(instruction.op->getResult(0).getType())
             ? ScalarValue::ofFloat(tensor.loadFloat(offset))
             : ScalarValue::ofInt(tensor.loadInt(offset));
}

llvm::ArrayRef<ScalarValue>
ScalarFrame::run(llvm::ArrayRef<ScalarValue> arguments) {
  bad = {};
  for (auto [value, target] :
       llvm::zip_equal(arguments, program->argumentRegisters))
    registers[target] = value;
  for (auto [position, instruction] : llvm::enumerate(program->code)) {
    auto code = static_cast<ScalarCode>(instruction.code);
    const uint32_t *from = instruction.operands;
    registers[instruction.dst] =
        code == ScalarCode::Read
            ? read(position)
            : applyScalarCode(code, registers[from[0]], registers[from[1]],
                              registers[from[2]]);
  }
  for (auto [result, from] : llvm::zip_equal(results, program->resultRegisters))
    result = registers[from];
  return results;
}

llvm::SmallVector<uint32_t, 2>
ScalarFrame::carry(llvm::ArrayRef<uint32_t> marks) const {
  std::vector<uint32_t> of(registers.size());
  for (auto [mark, target] : llvm::zip_equal(marks, program->argumentRegisters))
    of[target] = mark;
  // Every register is written once, so the values of the run are all there.
  for (const ScalarProgram::Instruction &instruction : program->code) {
    auto code = static_cast<ScalarCode>(instruction.code);
    llvm::SmallVector<uint32_t, 4> from(instruction.operands,
                                        instruction.operands + 3);
    if (code == ScalarCode::Read) {
      auto *first = program->readIndices.data() + instruction.operands[1];
      from.assign(first, first + instruction.operands[2]);
    } else {
      from.resize(instruction.op->getNumOperands());
    }
    if (code == ScalarCode::Select)
      from = {from[0], registers[from[0]].i ? from[1] : from[2]};
    for (uint32_t operand : from)
      if (!of[instruction.dst])
        of[instruction.dst] = of[operand];
  }
  llvm::SmallVector<uint32_t, 2> carried;
  for (uint32_t from : program->resultRegisters)
    carried.push_back(of[from]);
  return carried;
}

//===----------------------------------------------------------------------===//
// Single ops
//===----------------------------------------------------------------------===//

bool fovea::isScalarOp(Operation *op) {
  return getScalarConstant(op).has_value() || getScalarCode(op).has_value();
}

ScalarValue fovea::evaluateScalarOp(Operation *op,
                                    llvm::ArrayRef<ScalarValue> operands) {
  if (std::optional<ScalarValue> constant = getScalarConstant(op))
    return *constant;
  ScalarValue in[3];
  llvm::copy(operands, in);
  return applyScalarCode(*getScalarCode(op), in[0], in[1], in[2]);
}

std::string fovea::describeBadRead(const ScalarBadRead &bad,
                                   llvm::StringRef name) {
  return llvm::formatv("'{0}' dimension {1}: index {2} is outside 0..{3}", name,
                       bad.dim, bad.index, bad.size - 1);
}
