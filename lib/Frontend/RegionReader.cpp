//===- RegionReader.cpp - Scalar ops to nodes ----------------------------===//

#include "RegionReader.h"

#include "RegionBuilder.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"

#include "llvm/ADT/TypeSwitch.h"

#include <charconv>
#include <cmath>

using namespace mlir;

namespace fovea {

llvm::Error failExport(Location loc, const Twine &message) {
  std::string text;
  llvm::raw_string_ostream os(text);
  // Line 0: what a parser gives to a module that the text does not spell out.
  auto file = loc->findInstanceOf<FileLineColLoc>();
  if (file && file.getLine() != 0)
    os << file.getFilename().getValue() << ':' << file.getLine() << ':'
       << file.getColumn() << ": error: ";
  os << message;
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

llvm::Error failExportOp(Operation *op, const Twine &message) {
  return failExport(op->getLoc(),
                    "'" + op->getName().getStringRef() + "' " + message);
}

double readFloat(FloatAttr attr) {
  llvm::APFloat value = attr.getValue();
  if (!attr.getType().isF32())
    return value.convertToDouble();
  float single = value.convertToFloat();
  if (!std::isfinite(single))
    return single;
  char buffer[64];
  char *end = std::to_chars(buffer, buffer + sizeof(buffer), single).ptr;
  llvm::APFloat decimal(llvm::APFloat::IEEEdouble());
  llvm::Expected<llvm::APFloat::opStatus> status = decimal.convertFromString(
      StringRef(buffer, end - buffer), llvm::APFloat::rmNearestTiesToEven);
  if (!status) {
    llvm::consumeError(status.takeError());
    return single;
  }
  return decimal.convertToDouble();
}

namespace {
/// Reads the ops of one region.
class RegionReader {
public:
  RegionReader(Program &program, RegionKind kind, ArrayRef<unsigned> captures)
      : program(program), kind(kind), captures(captures), builder(kind) {}

  llvm::Expected<Region> run(mlir::Region &source);
  std::optional<Region> runOpen(Block &block, ArrayRef<StringRef> argNames);
  /// After run: of each node the first value that it is.
  std::vector<Value> takeValues() { return std::move(values); }

private:
  llvm::Error read(Operation &op);
  std::optional<unsigned> addUnknown(Value value);
  void note(Value value, unsigned id);
  std::optional<unsigned> readLeaf(Operation &op);
  std::optional<unsigned> readOp(Operation &op);
  std::optional<unsigned> readSpecial(Operation &op,
                                      ArrayRef<unsigned> operands);
  void setLocation(Operation &op);
  /// Parameters are declared by the first op that reads them.
  llvm::Error declareParam(attn::ParamOp op);

  Program &program;
  RegionKind kind;
  ArrayRef<unsigned> captures;
  RegionBuilder builder;
  llvm::DenseMap<Value, unsigned> ids;
  llvm::DenseMap<Value, unsigned> captureOf;
  std::vector<Value> values;
  std::string name;
};

void RegionReader::setLocation(Operation &op) {
  name.clear();
  if (auto named = dyn_cast<NameLoc>(op.getLoc()))
    name = named.getName().str();
  unsigned line = 0, column = 0;
  if (auto file = op.getLoc()->findInstanceOf<FileLineColLoc>()) {
    line = file.getLine();
    column = file.getColumn();
    if (program.file.empty())
      program.file = file.getFilename().str();
  }
  builder.setLocation(line, column);
}

llvm::Error RegionReader::declareParam(attn::ParamOp op) {
  Param param;
  param.name = op.getName().str();
  if (auto real = dyn_cast<FloatAttr>(op.getValue())) {
    param.type = ValueType::F;
    param.real = readFloat(real);
  } else if (auto integer = dyn_cast<IntegerAttr>(op.getValue())) {
    bool isBool = integer.getType().isInteger(1);
    param.type = isBool ? ValueType::I1 : ValueType::I64;
    param.integer = isBool ? !integer.getValue().isZero() : integer.getInt();
  } else {
    return failExportOp(op, "has a value that is no number");
  }
  for (const Param &known : program.params) {
    if (known.name != param.name)
      continue;
    bool isReal = param.type == ValueType::F;
    bool same =
        known.type == param.type && (isReal ? static_cast<float>(known.real) ==
                                                  static_cast<float>(param.real)
                                            : known.integer == param.integer);
    if (same)
      return llvm::Error::success();
    return failExportOp(op, "gives '" + Twine(param.name) +
                                "' another default than before");
  }
  program.params.push_back(std::move(param));
  return llvm::Error::success();
}

std::optional<unsigned> RegionReader::readLeaf(Operation &op) {
  return llvm::TypeSwitch<Operation *, std::optional<unsigned>>(&op)
      .Case([&](arith::ConstantOp constant) -> std::optional<unsigned> {
        if (auto real = dyn_cast<FloatAttr>(constant.getValue()))
          return builder.addReal(readFloat(real));
        auto integer = dyn_cast<IntegerAttr>(constant.getValue());
        if (!integer)
          return std::nullopt;
        if (integer.getType().isInteger(1))
          return builder.addBool(!integer.getValue().isZero());
        return builder.addInteger(integer.getInt());
      })
      .Case([&](attn::SizeOp size) -> std::optional<unsigned> {
        return builder.addSymbol(NodeKind::Size, ValueType::I64,
                                 attn::stringifySizeKind(size.getKind()));
      })
      .Case([&](attn::ParamOp param) -> std::optional<unsigned> {
        ValueType type = param.getType().isInteger(1)    ? ValueType::I1
                         : param.getType().isInteger(64) ? ValueType::I64
                                                         : ValueType::F;
        return builder.addSymbol(NodeKind::Param, type, param.getName());
      })
      .Case([&](attn::ExtentOp extent) -> std::optional<unsigned> {
        auto it = captureOf.find(extent.getSource());
        if (it == captureOf.end())
          return std::nullopt;
        return builder.addExtent(it->second, extent.getDim());
      })
      .Case([&](attn::ReadOp read) -> std::optional<unsigned> {
        auto it = captureOf.find(read.getSource());
        if (it == captureOf.end())
          return std::nullopt;
        SmallVector<unsigned> indices;
        for (Value index : read.getIndices())
          indices.push_back(ids.lookup(index));
        return builder.addRead(it->second, program.captures[it->second].dtype,
                               indices);
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<NodeKind> getSimpleKind(Operation &op) {
  bool isBool =
      op.getNumResults() == 1 && op.getResult(0).getType().isInteger(1);
  return llvm::StringSwitch<std::optional<NodeKind>>(
             op.getName().getStringRef())
      .Case("arith.addi", NodeKind::IAdd)
      .Case("arith.subi", NodeKind::ISub)
      .Case("arith.muli", NodeKind::IMul)
      .Case("math.absi", NodeKind::IAbs)
      .Case("arith.minsi", NodeKind::IMin)
      .Case("arith.maxsi", NodeKind::IMax)
      .Case("attn.floordiv", NodeKind::FloorDiv)
      .Case("attn.mod", NodeKind::Mod)
      .Case("attn.shl", NodeKind::Shl)
      .Case("attn.shr", NodeKind::Shr)
      .Case("attn.to_int", NodeKind::ToInt)
      .Case("arith.andi", isBool ? NodeKind::BAnd : NodeKind::IAnd)
      .Case("arith.ori", isBool ? NodeKind::BOr : NodeKind::IOr)
      .Case("arith.xori", isBool ? NodeKind::BXor : NodeKind::IXor)
      .Case("arith.addf", NodeKind::FAdd)
      .Case("arith.subf", NodeKind::FSub)
      .Case("arith.mulf", NodeKind::FMul)
      .Case("arith.divf", NodeKind::FDiv)
      .Case("arith.negf", NodeKind::FNeg)
      .Case("arith.minimumf", NodeKind::FMin)
      .Case("arith.maximumf", NodeKind::FMax)
      .Case("math.absf", NodeKind::FAbs)
      .Case("math.powf", NodeKind::Pow)
      .Case("math.exp", NodeKind::Exp)
      .Case("math.exp2", NodeKind::Exp2)
      .Case("math.log", NodeKind::Log)
      .Case("math.log2", NodeKind::Log2)
      .Case("math.log1p", NodeKind::Log1p)
      .Case("math.tanh", NodeKind::Tanh)
      .Case("math.sin", NodeKind::Sin)
      .Case("math.cos", NodeKind::Cos)
      .Case("math.sqrt", NodeKind::Sqrt)
      .Case("math.rsqrt", NodeKind::Rsqrt)
      .Case("math.erf", NodeKind::Erf)
      .Case("math.floor", NodeKind::Floor)
      .Default(std::nullopt);
}

std::optional<NodeKind> getKind(arith::CmpIPredicate predicate) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return NodeKind::IEq;
  case arith::CmpIPredicate::ne:
    return NodeKind::INe;
  case arith::CmpIPredicate::slt:
    return NodeKind::ILt;
  case arith::CmpIPredicate::sle:
    return NodeKind::ILe;
  case arith::CmpIPredicate::sgt:
    return NodeKind::IGt;
  case arith::CmpIPredicate::sge:
    return NodeKind::IGe;
  default:
    return std::nullopt;
  }
}

std::optional<NodeKind> getKind(arith::CmpFPredicate predicate) {
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
    return NodeKind::FEq;
  case arith::CmpFPredicate::UNE:
    return NodeKind::FNe;
  case arith::CmpFPredicate::OLT:
    return NodeKind::FLt;
  case arith::CmpFPredicate::OLE:
    return NodeKind::FLe;
  case arith::CmpFPredicate::OGT:
    return NodeKind::FGt;
  case arith::CmpFPredicate::OGE:
    return NodeKind::FGe;
  default:
    return std::nullopt;
  }
}

/// Ops whose meaning depends on more than their name.
std::optional<unsigned> RegionReader::readSpecial(Operation &op,
                                                  ArrayRef<unsigned> operands) {
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return builder.addSelect(operands[0], operands[1], operands[2]);
  std::optional<NodeKind> node;
  Type source = op.getNumOperands() > 0 ? op.getOperand(0).getType() : Type();
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) {
    if (source.isInteger(64))
      node = getKind(compare.getPredicate());
  } else if (auto compare = dyn_cast<arith::CmpFOp>(op)) {
    node = getKind(compare.getPredicate());
  } else if (isa<arith::ExtUIOp>(op) && source.isInteger(1)) {
    node = NodeKind::I1ToI64;
  } else if (isa<arith::UIToFPOp>(op) && source.isInteger(1)) {
    node = NodeKind::I1ToF;
  } else if (isa<arith::SIToFPOp>(op) && source.isInteger(64)) {
    node = NodeKind::I64ToF;
  }
  if (!node)
    return std::nullopt;
  return builder.addOp(*node, operands);
}

std::optional<unsigned> RegionReader::readOp(Operation &op) {
  SmallVector<unsigned> operands;
  for (Value operand : op.getOperands()) {
    auto it = ids.find(operand);
    if (it == ids.end())
      return std::nullopt;
    operands.push_back(it->second);
  }
  std::optional<NodeKind> node = getSimpleKind(op);
  if (!node)
    return readSpecial(op, operands);
  // The types that a node has; i1 arithmetic other than logic has none.
  const NodeSignature &signature = getSignature(*node);
  for (auto [operand, type] : llvm::zip(operands, signature.operands))
    if (builder[operand].type != type)
      return std::nullopt;
  const Node *rhs = operands.size() == 2 ? &builder[operands[1]] : nullptr;
  bool isFlip = rhs && rhs->kind == NodeKind::Const;
  if (*node == NodeKind::IXor && isFlip && rhs->integer == -1)
    return builder.addOp(NodeKind::INot, operands[0]);
  if (*node == NodeKind::BXor && isFlip && rhs->integer != 0)
    return builder.addOp(NodeKind::BNot, operands[0]);
  return builder.addOp(*node, operands);
}

void RegionReader::note(Value value, unsigned id) {
  ids[value] = id;
  values.resize(builder.get().nodes.size());
  if (!values[id])
    values[id] = value;
}

static bool isScalar(Type type) {
  return type.isInteger(1) || type.isInteger(64) || type.isF32() ||
         type.isF64();
}

/// A constant from above, or a parameter of its own that no program declares.
std::optional<unsigned> RegionReader::addUnknown(Value value) {
  Type type = value.getType();
  if (!isScalar(type))
    return std::nullopt;
  if (auto constant = value.getDefiningOp<arith::ConstantOp>())
    if (std::optional<unsigned> id = readLeaf(*constant)) {
      note(value, *id);
      return id;
    }
  unsigned id =
      builder.addSymbol(NodeKind::Param,
                        type.isInteger(1)    ? ValueType::I1
                        : type.isInteger(64) ? ValueType::I64
                                             : ValueType::F,
                        "unknown" + std::to_string(builder.get().nodes.size()));
  note(value, id);
  return id;
}

std::optional<Region> RegionReader::runOpen(Block &block,
                                            ArrayRef<StringRef> argNames) {
  for (auto [index, value] : llvm::enumerate(block.getArguments()))
    if (index < argNames.size() && !argNames[index].empty())
      note(value, builder.addSymbol(NodeKind::Arg, getArgType(argNames[index]),
                                    argNames[index]));
  auto know = [&](Value value) {
    return ids.contains(value) || isa<ShapedType>(value.getType()) ||
           addUnknown(value);
  };
  for (Operation &op : block.without_terminator()) {
    if (op.getNumResults() != 1 || !isScalar(op.getResult(0).getType()) ||
        !llvm::all_of(op.getOperands(), know))
      return std::nullopt;
    std::optional<unsigned> id = readLeaf(op);
    if (!id)
      id = readOp(op);
    if (id)
      note(op.getResult(0), *id);
    else
      addUnknown(op.getResult(0));
  }
  SmallVector<unsigned> results;
  for (Value operand : block.getTerminator()->getOperands()) {
    if (!know(operand))
      return std::nullopt;
    results.push_back(ids.lookup(operand));
  }
  return builder.take(results);
}

llvm::Error RegionReader::read(Operation &op) {
  setLocation(op);
  if (auto param = dyn_cast<attn::ParamOp>(op))
    if (llvm::Error error = declareParam(param))
      return error;
  std::optional<unsigned> id = readLeaf(op);
  if (!id)
    id = readOp(op);
  if (!id)
    return failExportOp(&op, "in " + stringify(kind) +
                                 " cannot be written as a program");
  Node &node = builder[*id];
  if (node.name.empty() && !node.operands.empty())
    node.name = name;
  note(op.getResult(0), *id);
  return llvm::Error::success();
}

llvm::Expected<Region> RegionReader::run(mlir::Region &source) {
  Block &block = source.front();
  ArrayRef<llvm::StringLiteral> args = getRegionArgs(kind);
  for (auto [index, value] : llvm::enumerate(block.getArguments())) {
    if (index >= args.size()) {
      captureOf[value] = captures[index - args.size()];
    } else if (!value.use_empty()) {
      note(value, builder.addSymbol(NodeKind::Arg, getArgType(args[index]),
                                    args[index]));
    }
  }
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = read(op))
      return std::move(error);
  SmallVector<unsigned> results;
  for (Value operand : block.getTerminator()->getOperands())
    results.push_back(ids.lookup(operand));
  return builder.take(results);
}

} // namespace

llvm::Expected<Region> readRegion(Program &program, RegionKind kind,
                                  mlir::Region &source,
                                  ArrayRef<unsigned> captures,
                                  std::vector<Value> *values) {
  RegionReader reader(program, kind, captures);
  llvm::Expected<Region> region = reader.run(source);
  if (region && values)
    *values = reader.takeValues();
  return region;
}

llvm::Expected<Program> readRegionAlone(mlir::Region &source, RegionKind kind,
                                        std::vector<Value> &values) {
  Program program;
  SmallVector<unsigned> captures;
  unsigned first = getRegionArgs(kind).size();
  for (BlockArgument argument : source.getArguments().drop_front(first)) {
    auto type = cast<ShapedType>(argument.getType());
    std::optional<DType> dtype = readDType(type.getElementType());
    if (!dtype)
      return failExport(argument.getLoc(), "the capture has a type that a "
                                           "program cannot have");
    captures.push_back(program.captures.size());
    Capture &capture = program.captures.emplace_back();
    capture.dtype = *dtype;
    capture.rank = type.getRank();
  }
  llvm::Expected<Region> region =
      readRegion(program, kind, source, captures, &values);
  if (!region)
    return region.takeError();
  (kind == RegionKind::Score ? program.score : program.mask) =
      std::move(*region);
  return program;
}

std::optional<OpenRegion> readOpenBlock(Block &block,
                                        ArrayRef<StringRef> argNames) {
  OpenRegion open;
  RegionReader reader(open.program, RegionKind::Score, {});
  std::optional<Region> region = reader.runOpen(block, argNames);
  if (!region)
    return std::nullopt;
  open.region = std::move(*region);
  open.values = reader.takeValues();
  return open;
}

} // namespace fovea
