//===- ExportProgram.cpp - Level 1 to Program ----------------------------===//

#include "Composites.h"
#include "RegionBuilder.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <charconv>
#include <limits>

using namespace mlir;

namespace fovea {
namespace {

llvm::Error fail(Location loc, const Twine &message) {
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

llvm::Error failOp(Operation *op, const Twine &message) {
  return fail(op->getLoc(),
              "'" + op->getName().getStringRef() + "' " + message);
}

/// Constants of single precision read as the shortest decimal that gives them.
double readFloat(FloatAttr attr) {
  llvm::APFloat value = attr.getValue();
  if (!attr.getType().isF32())
    return value.convertToDouble();
  float single = value.convertToFloat();
  if (!std::isfinite(single))
    return single;
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), single).ptr;
  llvm::APFloat decimal(llvm::APFloat::IEEEdouble());
  llvm::Expected<llvm::APFloat::opStatus> status = decimal.convertFromString(
      StringRef(buffer, end - buffer), llvm::APFloat::rmNearestTiesToEven);
  if (!status) {
    llvm::consumeError(status.takeError());
    return single;
  }
  return decimal.convertToDouble();
}

std::optional<DType> readDType(Type type) {
  for (unsigned index = 0; index <= static_cast<unsigned>(DType::F64);
       ++index) {
    auto dtype = static_cast<DType>(index);
    std::string text;
    llvm::raw_string_ostream(text) << type;
    if (stringify(dtype) == text)
      return dtype;
  }
  return std::nullopt;
}

/// Reads the ops of one region.
class RegionReader {
public:
  RegionReader(Program &program, RegionKind kind, ArrayRef<unsigned> captures)
      : program(program), kind(kind), captures(captures), builder(kind) {}

  llvm::Expected<Region> run(mlir::Region &source);

private:
  llvm::Error read(Operation &op);
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
    return failOp(op, "has a value that is no number");
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
    return failOp(op, "gives '" + Twine(param.name) +
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

llvm::Error RegionReader::read(Operation &op) {
  setLocation(op);
  if (auto param = dyn_cast<attn::ParamOp>(op))
    if (llvm::Error error = declareParam(param))
      return error;
  std::optional<unsigned> id = readLeaf(op);
  if (!id)
    id = readOp(op);
  if (!id)
    return failOp(&op,
                  "in " + stringify(kind) + " cannot be written as a program");
  Node &node = builder[*id];
  if (node.name.empty() && !node.operands.empty())
    node.name = name;
  ids[op.getResult(0)] = *id;
  return llvm::Error::success();
}

llvm::Expected<Region> RegionReader::run(mlir::Region &source) {
  Block &block = source.front();
  ArrayRef<llvm::StringLiteral> args = getRegionArgs(kind);
  for (auto [index, value] : llvm::enumerate(block.getArguments())) {
    if (index >= args.size())
      captureOf[value] = captures[index - args.size()];
    else if (!value.use_empty())
      ids[value] = builder.addSymbol(NodeKind::Arg, getArgType(args[index]),
                                     args[index]);
  }
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = read(op))
      return std::move(error);
  SmallVector<unsigned> results;
  for (Value operand : block.getTerminator()->getOperands())
    results.push_back(ids.lookup(operand));
  return builder.take(results);
}

/// Reads the function of one variant.
class VariantReader {
public:
  explicit VariantReader(func::FuncOp func) : func(func) {}

  llvm::Expected<Program> run();

private:
  llvm::Error findAttention();
  llvm::Error readOperands();
  llvm::Error readCaptures();
  llvm::Error readCapture(BlockArgument argument);
  llvm::Error readScale();
  llvm::Error readParams();
  llvm::Error readRegions();
  llvm::Error readRegion(RegionKind kind, mlir::Region &source,
                         ArrayRef<unsigned> captures,
                         std::optional<Region> &target);
  llvm::Error readNormalizer();
  SmallVector<unsigned> getCaptureIndices(ValueRange values);
  std::string getArgumentName(BlockArgument argument);

  func::FuncOp func;
  attn::AttentionOp op;
  Program program;
  llvm::DenseMap<Value, unsigned> captureIndex;
};

llvm::Error VariantReader::findAttention() {
  if (func.isExternal())
    return failOp(func, "has no body");
  if (!func.getBody().hasOneBlock())
    return failOp(func, "must have one block");
  for (Operation &inner : func.front()) {
    if (auto found = dyn_cast<attn::AttentionOp>(inner)) {
      if (op)
        return failOp(found, "is the second of its function; a program "
                             "holds one");
      op = found;
    } else if (!isa<arith::ConstantOp, func::ReturnOp>(inner)) {
      return failOp(&inner, "beside 'attn.attention' cannot be written as a "
                            "program");
    }
  }
  if (!op)
    return failOp(func, "holds no 'attn.attention'");
  auto end = cast<func::ReturnOp>(func.front().getTerminator());
  if (end.getOperands() != op->getResults())
    return failOp(end, "must return what 'attn.attention' gives");
  return llvm::Error::success();
}

std::string VariantReader::getArgumentName(BlockArgument argument) {
  unsigned index = argument.getArgNumber();
  if (auto name = func.getArgAttrOfType<StringAttr>(index, "attn.name"))
    return name.str();
  if (auto named = dyn_cast<NameLoc>(argument.getLoc()))
    return named.getName().str();
  return "arg" + std::to_string(index);
}

llvm::Error VariantReader::readOperands() {
  auto dim = [](Value value) {
    return cast<ShapedType>(value.getType()).getDimSize(3);
  };
  program.dtype = readDType(op.getElementType());
  for (Value query : op.getQueries())
    program.headDims.push_back(dim(query));
  program.valueDim = dim(op.getValue());
  program.returnLse = static_cast<bool>(op.getLse());
  program.blockMask = static_cast<bool>(op.getBlockMask());
  for (Value operand : op->getOperands())
    if (!isa<BlockArgument>(operand) &&
        !llvm::is_contained(op.getScales(), operand))
      return failOp(op, "must take arguments of its function as operands");
  return llvm::Error::success();
}

llvm::Error VariantReader::readCapture(BlockArgument argument) {
  unsigned index = argument.getArgNumber();
  auto type = cast<RankedTensorType>(argument.getType());
  Capture capture;
  capture.name = getArgumentName(argument);
  capture.rank = type.getRank();
  std::optional<DType> dtype = readDType(type.getElementType());
  if (!dtype)
    return failOp(op, "has a capture of a type that a program cannot have");
  capture.dtype = *dtype;
  for (Attribute attr :
       func.getArgAttrOfType<ArrayAttr>(index, "attn.dims")
           ? func.getArgAttrOfType<ArrayAttr>(index, "attn.dims")
           : ArrayAttr::get(func.getContext(), {})) {
    Dim dim;
    if (auto size = dyn_cast<StringAttr>(attr))
      dim.size = size.str();
    else if (auto number = dyn_cast<IntegerAttr>(attr))
      dim.value = number.getInt();
    capture.dims.push_back(dim);
  }
  auto range = func.getArgAttrOfType<ArrayAttr>(index, "attn.range");
  if (range && range.size() == 2) {
    Bound bounds[2];
    for (auto [bound, attr] : llvm::zip(bounds, range)) {
      if (auto size = dyn_cast<StringAttr>(attr))
        bound.size = size.str();
      else if (auto number = dyn_cast<IntegerAttr>(attr))
        bound.value = number.getInt();
    }
    capture.range = {bounds[0], bounds[1]};
  }
  captureIndex[argument] = program.captures.size();
  program.captures.push_back(std::move(capture));
  return llvm::Error::success();
}

/// Captures are the arguments that the op captures, and what no other operand
/// takes but has a name: a capture that nothing reads.
llvm::Error VariantReader::readCaptures() {
  for (BlockArgument argument : func.getArguments()) {
    bool isCaptured = llvm::is_contained(op.getCaptures(), argument) ||
                      llvm::is_contained(op.getNormalizerCaptures(), argument);
    bool isNamed = static_cast<bool>(
        func.getArgAttr(argument.getArgNumber(), "attn.name"));
    bool isUnused = argument.use_empty() && isNamed &&
                    isa<RankedTensorType>(argument.getType());
    if (isCaptured || isUnused)
      if (llvm::Error error = readCapture(argument))
        return error;
  }
  return llvm::Error::success();
}

llvm::Error VariantReader::readScale() {
  if (auto text = func->getAttrOfType<StringAttr>("attn.scale")) {
    llvm::Expected<Program> only = parseProgram(text.getValue());
    if (!only)
      return failOp(func, "has an attn.scale that is no program: " +
                              llvm::toString(only.takeError()));
    program.scale = std::move(only->scale);
  }
  std::optional<double> value;
  for (Value scale : op.getScales()) {
    FloatAttr constant;
    if (isa<BlockArgument>(scale))
      continue;
    if (!matchPattern(scale, m_Constant(&constant)))
      return failOp(scale.getDefiningOp(), "is no constant scale");
    double real = readFloat(constant);
    if (value && *value != real)
      return failOp(op, "has two constant scales; a program has one");
    value = real;
  }
  if (value) {
    RegionBuilder builder(RegionKind::Scale);
    unsigned id = builder.addReal(*value);
    program.scale = builder.take(id);
  }
  return llvm::Error::success();
}

llvm::Error VariantReader::readParams() {
  auto params = func->getAttrOfType<ArrayAttr>("attn.params");
  if (!params)
    return llvm::Error::success();
  for (Attribute attr : params) {
    auto pair = dyn_cast<ArrayAttr>(attr);
    auto name =
        pair && pair.size() == 2 ? dyn_cast<StringAttr>(pair[0]) : StringAttr();
    if (!name)
      return failOp(func, "has attn.params that are no [name, value] pairs");
    Param param;
    param.name = name.str();
    if (auto real = dyn_cast<FloatAttr>(pair[1])) {
      param.type = ValueType::F;
      param.real = readFloat(real);
    } else if (auto integer = dyn_cast<IntegerAttr>(pair[1])) {
      bool isBool = integer.getType().isInteger(1);
      param.type = isBool ? ValueType::I1 : ValueType::I64;
      param.integer = isBool ? !integer.getValue().isZero() : integer.getInt();
    } else {
      return failOp(func, "has a parameter that is no number");
    }
    program.params.push_back(std::move(param));
  }
  return llvm::Error::success();
}

llvm::Error VariantReader::readRegion(RegionKind kind, mlir::Region &source,
                                      ArrayRef<unsigned> captures,
                                      std::optional<Region> &target) {
  if (source.empty())
    return llvm::Error::success();
  llvm::Expected<Region> region =
      RegionReader(program, kind, captures).run(source);
  if (!region)
    return region.takeError();
  target = std::move(*region);
  return llvm::Error::success();
}

SmallVector<unsigned> VariantReader::getCaptureIndices(ValueRange values) {
  SmallVector<unsigned> indices;
  for (Value value : values)
    indices.push_back(captureIndex.lookup(value));
  return indices;
}

llvm::Error VariantReader::readNormalizer() {
  if (isa<attn::SoftmaxAttr>(op.getNormalizer()))
    return llvm::Error::success();
  attn::NormalizerOp normalizer = op.lookupNormalizer();
  if (!normalizer)
    return failOp(op, "names a normalizer that does not exist");
  SmallVector<unsigned> captures =
      getCaptureIndices(op.getNormalizerCaptures());
  NormalizerSpec &spec = program.normalizer.emplace();
  spec.name = normalizer.getSymName().str();
  std::optional<Region> weight, finish;
  if (llvm::Error error = readRegion(RegionKind::Stat, normalizer.getStat(),
                                     captures, spec.stat))
    return error;
  if (llvm::Error error = readRegion(RegionKind::Weight, normalizer.getWeight(),
                                     captures, weight))
    return error;
  if (llvm::Error error = readRegion(RegionKind::Denom, normalizer.getDenom(),
                                     captures, spec.denom))
    return error;
  if (llvm::Error error = readRegion(RegionKind::Seed, normalizer.getSeed(),
                                     captures, spec.seed))
    return error;
  if (llvm::Error error =
          readRegion(RegionKind::SeedValue, normalizer.getSeedValue(), captures,
                     spec.seedValue))
    return error;
  if (llvm::Error error = readRegion(RegionKind::Finish, normalizer.getFinish(),
                                     captures, finish))
    return error;
  if (!weight)
    return failOp(normalizer, "has no weight");
  spec.weight = std::move(*weight);
  spec.finishKind = finish       ? FinishKind::Custom
                    : spec.denom ? FinishKind::OverL
                                 : FinishKind::Plain;
  if (finish)
    spec.finish = std::move(*finish);
  return llvm::Error::success();
}

llvm::Error VariantReader::readRegions() {
  SmallVector<unsigned> captures = getCaptureIndices(op.getCaptures());
  if (llvm::Error error =
          readRegion(RegionKind::Score, op.getScore(), captures, program.score))
    return error;
  if (llvm::Error error =
          readRegion(RegionKind::Mask, op.getMask(), captures, program.mask))
    return error;
  return readNormalizer();
}

llvm::Expected<Program> VariantReader::run() {
  program.name = func.getName().str();
  if (auto doc = func->getAttrOfType<StringAttr>("attn.doc"))
    program.doc = doc.str();
  if (llvm::Error error = findAttention())
    return std::move(error);
  if (llvm::Error error = readOperands())
    return std::move(error);
  if (llvm::Error error = readCaptures())
    return std::move(error);
  if (llvm::Error error = readParams())
    return std::move(error);
  if (llvm::Error error = readScale())
    return std::move(error);
  if (llvm::Error error = readRegions())
    return std::move(error);
  canonicalize(program);
  recognizeComposites(program);
  if (llvm::Error error = verifyProgram(program))
    return failOp(func, llvm::toString(std::move(error)));
  return std::move(program);
}

} // namespace

llvm::Expected<std::vector<Program>> exportPrograms(ModuleOp module) {
  std::vector<Program> programs;
  for (Operation &inner : *module.getBody()) {
    if (isa<attn::NormalizerOp>(inner))
      continue;
    auto func = dyn_cast<func::FuncOp>(inner);
    if (!func)
      return failOp(&inner, "cannot be written as a program");
    llvm::Expected<Program> program = VariantReader(func).run();
    if (!program)
      return program.takeError();
    programs.push_back(std::move(*program));
  }
  if (programs.empty())
    return fail(module.getLoc(), "the module holds no variant");
  return std::move(programs);
}

llvm::Expected<Program> exportProgram(ModuleOp module) {
  llvm::Expected<std::vector<Program>> programs = exportPrograms(module);
  if (!programs)
    return programs.takeError();
  if (programs->size() != 1)
    return fail(module.getLoc(), "the module holds " + Twine(programs->size()) +
                                     " variants, expected one");
  return std::move(programs->front());
}

} // namespace fovea
