//===- ExportProgram.cpp - Level 1 to Program ----------------------------===//

#include "Composites.h"
#include "RegionBuilder.h"
#include "RegionReader.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace fovea {

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

namespace {

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
  StringRef getNormalizerName(attn::NormalizerOp normalizer);
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
    return failExportOp(func, "has no body");
  if (!func.getBody().hasOneBlock())
    return failExportOp(func, "must have one block");
  for (Operation &inner : func.front()) {
    if (auto found = dyn_cast<attn::AttentionOp>(inner)) {
      if (op)
        return failExportOp(found, "is the second of its function; a program "
                                   "holds one");
      op = found;
    } else if (!isa<arith::ConstantOp, func::ReturnOp>(inner)) {
      return failExportOp(&inner,
                          "beside 'attn.attention' cannot be written as a "
                          "program");
    }
  }
  if (!op)
    return failExportOp(func, "holds no 'attn.attention'");
  auto end = cast<func::ReturnOp>(func.front().getTerminator());
  if (end.getOperands() != op->getResults())
    return failExportOp(end, "must return what 'attn.attention' gives");
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
      return failExportOp(op,
                          "must take arguments of its function as operands");
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
    return failExportOp(op,
                        "has a capture of a type that a program cannot have");
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
      return failExportOp(func, "has an attn.scale that is no program: " +
                                    llvm::toString(only.takeError()));
    program.scale = std::move(only->scale);
  }
  std::optional<double> value;
  for (Value scale : op.getScales()) {
    FloatAttr constant;
    if (isa<BlockArgument>(scale))
      continue;
    if (!matchPattern(scale, m_Constant(&constant)))
      return failExportOp(scale.getDefiningOp(), "is no constant scale");
    double real = readFloat(constant);
    if (value && *value != real)
      return failExportOp(op, "has two constant scales; a program has one");
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
      return failExportOp(func,
                          "has attn.params that are no [name, value] pairs");
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
      return failExportOp(func, "has a parameter that is no number");
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
      fovea::readRegion(program, kind, source, captures);
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

/// The name in the program: where another symbol had it first, the module says
/// it after that of the function.
StringRef VariantReader::getNormalizerName(attn::NormalizerOp normalizer) {
  StringRef name = normalizer.getSymName();
  auto module = func->getParentOfType<ModuleOp>();
  for (StringRef rest = name;
       rest.consume_front(func.getName()) && rest.consume_front("_");) {
    Operation *other = module.lookupSymbol(rest);
    bool isTaken = other && other->getBlock() == normalizer->getBlock() &&
                   (other == func || other->isBeforeInBlock(normalizer));
    if (!isTaken)
      break;
    name = rest;
  }
  return name;
}

llvm::Error VariantReader::readNormalizer() {
  if (isa<attn::SoftmaxAttr>(op.getNormalizer()))
    return llvm::Error::success();
  attn::NormalizerOp normalizer = op.lookupNormalizer();
  if (!normalizer)
    return failExportOp(op, "names a normalizer that does not exist");
  SmallVector<unsigned> captures =
      getCaptureIndices(op.getNormalizerCaptures());
  NormalizerSpec &spec = program.normalizer.emplace();
  spec.name = getNormalizerName(normalizer).str();
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
    return failExportOp(normalizer, "has no weight");
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
    return failExportOp(func, llvm::toString(std::move(error)));
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
      return failExportOp(&inner, "cannot be written as a program");
    llvm::Expected<Program> program = VariantReader(func).run();
    if (!program)
      return program.takeError();
    programs.push_back(std::move(*program));
  }
  if (programs.empty())
    return failExport(module.getLoc(), "the module holds no variant");
  return std::move(programs);
}

llvm::Expected<Program> exportProgram(ModuleOp module) {
  llvm::Expected<std::vector<Program>> programs = exportPrograms(module);
  if (!programs)
    return programs.takeError();
  if (programs->size() != 1)
    return failExport(module.getLoc(), "the module holds " +
                                           Twine(programs->size()) +
                                           " variants, expected one");
  return std::move(programs->front());
}

} // namespace fovea
