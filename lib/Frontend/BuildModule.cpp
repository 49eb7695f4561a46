//===- BuildModule.cpp - Program to level 1 ------------------------------===//

#include "Composites.h"
#include "RegionEmitter.h"

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Frontend/AttnModule.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace fovea {
namespace {

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// Builds the function of one program at the end of the module.
class VariantEmitter {
public:
  VariantEmitter(ModuleOp module, Program program)
      : module(module), builder(module.getBodyRegion()),
        program(std::move(program)) {
    builder.setInsertionPointToEnd(module.getBody());
    elementType = getType(*this->program.dtype);
    scoreType = attn::AttentionOp::getScoreTypeFor(elementType);
  }

  void run();

private:
  Type getType(DType dtype) {
    switch (dtype) {
    case DType::F16:
      return builder.getF16Type();
    case DType::BF16:
      return builder.getBF16Type();
    case DType::F32:
      return builder.getF32Type();
    case DType::F64:
      return builder.getF64Type();
    case DType::I1:
      return builder.getI1Type();
    case DType::I8:
      return builder.getIntegerType(8);
    case DType::UI8:
      return builder.getIntegerType(8, /*isSigned=*/false);
    case DType::I16:
      return builder.getIntegerType(16);
    case DType::UI16:
      return builder.getIntegerType(16, /*isSigned=*/false);
    case DType::I32:
      return builder.getIntegerType(32);
    case DType::UI32:
      return builder.getIntegerType(32, /*isSigned=*/false);
    case DType::I64:
      return builder.getI64Type();
    }
    llvm_unreachable("unknown dtype");
  }
  Type getOperandType(int64_t dim) {
    int64_t dynamic = ShapedType::kDynamic;
    return RankedTensorType::get({dynamic, dynamic, dynamic, dim}, elementType);
  }
  Type getCaptureType(const Capture &capture) {
    SmallVector<int64_t> shape(capture.rank, ShapedType::kDynamic);
    return RankedTensorType::get(shape, getType(capture.dtype));
  }

  void addArgument(StringRef name, Type type) {
    argumentNames.push_back(name.str());
    argumentTypes.push_back(type);
  }
  void declareArguments();
  void annotate(func::FuncOp func);
  DictionaryAttr describeCapture(const Capture &capture);

  /// The captures that some of these regions read, in order.
  SmallVector<unsigned> collectCaptures(ArrayRef<RegionKind> kinds);
  void fillRegion(RegionKind kind, mlir::Region &target,
                  ArrayRef<unsigned> captures);
  Attribute emitNormalizer(ArrayRef<unsigned> captures);

  ModuleOp module;
  OpBuilder builder;
  Program program;
  Type elementType, scoreType;
  SmallVector<std::string> argumentNames;
  SmallVector<Type> argumentTypes;
};

constexpr RegionKind normalizerRegions[] = {
    RegionKind::Stat, RegionKind::Weight,    RegionKind::Denom,
    RegionKind::Seed, RegionKind::SeedValue, RegionKind::Finish};

void VariantEmitter::declareArguments() {
  size_t pairs = program.headDims.size();
  auto suffix = [&](StringRef name, size_t index) {
    return pairs == 1 ? name.str() : (name + Twine(index)).str();
  };
  for (StringRef name : {"q", "k"})
    for (auto [index, dim] : llvm::enumerate(program.headDims))
      addArgument(suffix(name, index), getOperandType(dim));
  addArgument("v", getOperandType(*program.valueDim));
  for (const Capture &capture : program.captures)
    addArgument(capture.name, getCaptureType(capture));
  for (size_t index = 0; index < pairs; ++index)
    addArgument(suffix("scale", index), scoreType);
  Type perBatch =
      RankedTensorType::get({ShapedType::kDynamic}, builder.getI64Type());
  for (StringRef name : {"q_offset", "kv_offset", "q_lengths", "kv_lengths"})
    addArgument(name, perBatch);
  if (program.blockMask)
    addArgument("block_mask", attn::BlockMaskType::get(builder.getContext(),
                                                       ShapedType::kDynamic,
                                                       ShapedType::kDynamic));
}

DictionaryAttr VariantEmitter::describeCapture(const Capture &capture) {
  NamedAttrList attrs;
  attrs.append("attn.name", builder.getStringAttr(capture.name));
  if (!capture.dims.empty()) {
    SmallVector<Attribute> dims;
    for (const Dim &dim : capture.dims)
      dims.push_back(
          !dim.size.empty() ? Attribute(builder.getStringAttr(dim.size))
          : dim.value >= 0  ? Attribute(builder.getI64IntegerAttr(dim.value))
                            : Attribute(builder.getUnitAttr()));
    attrs.append("attn.dims", builder.getArrayAttr(dims));
  }
  if (capture.range) {
    SmallVector<Attribute> range;
    for (const Bound &bound : {capture.range->first, capture.range->second})
      range.push_back(bound.size.empty()
                          ? Attribute(builder.getI64IntegerAttr(bound.value))
                          : Attribute(builder.getStringAttr(bound.size)));
    attrs.append("attn.range", builder.getArrayAttr(range));
  }
  return attrs.getDictionary(builder.getContext());
}

void VariantEmitter::annotate(func::FuncOp func) {
  size_t firstCapture = 2 * program.headDims.size() + 1;
  for (auto [index, name] : llvm::enumerate(argumentNames)) {
    size_t capture = index - firstCapture;
    if (index >= firstCapture && capture < program.captures.size())
      func.setArgAttrs(index, describeCapture(program.captures[capture]));
    else
      func.setArgAttr(index, "attn.name", builder.getStringAttr(name));
  }
  if (!program.doc.empty())
    func->setAttr("attn.doc", builder.getStringAttr(program.doc));
  if (!program.params.empty()) {
    // Every parameter, also those that no region reads.
    SmallVector<Attribute> params;
    for (const Param &param : program.params) {
      Attribute value = builder.getI64IntegerAttr(param.integer);
      if (param.type == ValueType::F)
        value = builder.getF64FloatAttr(param.real);
      else if (param.type == ValueType::I1)
        value = builder.getBoolAttr(param.integer != 0);
      params.push_back(
          builder.getArrayAttr({builder.getStringAttr(param.name), value}));
    }
    func->setAttr("attn.params", builder.getArrayAttr(params));
  }
  if (!program.scale)
    return;
  // The default scale is computed by the caller: it travels as a program.
  Program only;
  only.name = "scale";
  only.params = program.params;
  only.scale = program.scale;
  func->setAttr("attn.scale", builder.getStringAttr(canonicalKey(only)));
}

SmallVector<unsigned>
VariantEmitter::collectCaptures(ArrayRef<RegionKind> kinds) {
  llvm::SmallSetVector<unsigned, 8> used;
  for (RegionKind kind : kinds)
    if (const Region *region = getRegion(program, kind))
      for (const Node &node : region->nodes)
        if (node.kind == NodeKind::Read || node.kind == NodeKind::Extent)
          used.insert(node.capture);
  SmallVector<unsigned> captures = used.takeVector();
  llvm::sort(captures);
  return captures;
}

void VariantEmitter::fillRegion(RegionKind kind, mlir::Region &target,
                                ArrayRef<unsigned> captures) {
  const Region *region = getRegion(program, kind);
  if (!region)
    return;
  Block &block = target.emplaceBlock();
  Location loc = builder.getUnknownLoc();
  for (const std::string &arg : region->args)
    block.addArgument(getArgType(arg) == ValueType::F
                          ? scoreType
                          : Type(builder.getI64Type()),
                      loc);
  for (unsigned capture : captures)
    block.addArgument(getCaptureType(program.captures[capture]), loc);
  emitRegion(builder, program, scoreType, *region, block, captures);
}

/// Where there is no stat, t is 0.
static void replaceT(Region &region) {
  for (Node &node : region.nodes) {
    if (node.kind != NodeKind::Arg || node.symbol != "t")
      continue;
    node.kind = NodeKind::Const;
    node.symbol.clear();
  }
}

Attribute VariantEmitter::emitNormalizer(ArrayRef<unsigned> captures) {
  if (!program.normalizer)
    return attn::SoftmaxAttr::get(builder.getContext());
  SmallVector<Type> types;
  for (unsigned capture : captures)
    types.push_back(getCaptureType(program.captures[capture]));
  std::string symbol = program.normalizer->name;
  while (symbol == program.name || module.lookupSymbol(symbol))
    symbol = program.name + "_" + symbol;
  auto op =
      attn::NormalizerOp::create(builder, builder.getUnknownLoc(), symbol,
                                 scoreType, builder.getTypeArrayAttr(types));
  // With a denominator, finish "o" differs from what an absent region means.
  NormalizerSpec &spec = *program.normalizer;
  if (spec.denom && spec.finishKind == FinishKind::Plain) {
    spec.finishKind = FinishKind::Custom;
    for (StringRef arg : getRegionArgs(RegionKind::Finish))
      spec.finish.args.push_back(arg.str());
    Node output;
    output.kind = NodeKind::Arg;
    output.type = ValueType::F;
    output.symbol = "o";
    spec.finish.nodes = {output};
    spec.finish.results = {0};
  }
  if (!spec.stat) {
    replaceT(spec.weight);
    if (spec.denom)
      replaceT(*spec.denom);
  }
  for (auto [kind, region] : llvm::zip(normalizerRegions, op->getRegions()))
    fillRegion(kind, region, captures);
  return FlatSymbolRefAttr::get(builder.getContext(), symbol);
}

void VariantEmitter::run() {
  expandComposites(program);
  declareArguments();
  SmallVector<unsigned> captures =
      collectCaptures({RegionKind::Score, RegionKind::Mask});
  SmallVector<unsigned> normalizerCaptures = collectCaptures(normalizerRegions);
  Attribute normalizer = emitNormalizer(normalizerCaptures);
  Location loc = builder.getUnknownLoc();
  Type out = getOperandType(*program.valueDim), lse;
  SmallVector<Type> results = {out};
  if (program.returnLse) {
    SmallVector<int64_t> shape(3, ShapedType::kDynamic);
    lse = RankedTensorType::get(shape, scoreType);
    results.push_back(lse);
  }
  auto func =
      func::FuncOp::create(builder, loc, program.name,
                           builder.getFunctionType(argumentTypes, results));
  annotate(func);
  Block *body = func.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(body);
  size_t pairs = program.headDims.size();
  ValueRange arguments = body->getArguments();
  ValueRange inputs = arguments.drop_front(2 * pairs + 1);
  ValueRange tail = inputs.drop_front(program.captures.size());
  auto pick = [&](ArrayRef<unsigned> list) {
    SmallVector<Value> values;
    for (unsigned capture : list)
      values.push_back(inputs[capture]);
    return values;
  };
  ValueRange batch = tail.drop_front(pairs);
  auto op = attn::AttentionOp::create(
      builder, loc, out, lse, arguments.take_front(pairs),
      arguments.slice(pairs, pairs), arguments[2 * pairs], pick(captures),
      tail.take_front(pairs), pick(normalizerCaptures), batch[0], batch[1],
      batch[2], batch[3], program.blockMask ? batch[4] : Value(), normalizer);
  fillRegion(RegionKind::Score, op.getScore(), captures);
  fillRegion(RegionKind::Mask, op.getMask(), captures);
  func::ReturnOp::create(builder, loc, op->getResults());
}

} // namespace

static llvm::Error checkComplete(const Program &program) {
  if (llvm::Error error = verifyProgram(program))
    return error;
  StringRef missing = !program.dtype             ? "dtype"
                      : program.headDims.empty() ? "D"
                      : !program.valueDim        ? "E"
                                                 : "";
  if (missing.empty())
    return llvm::Error::success();
  return llvm::createStringError(
      llvm::inconvertibleErrorCode(),
      llvm::formatv("program '{0}': {1} is missing", program.name, missing)
          .str());
}

llvm::Expected<OwningOpRef<ModuleOp>>
buildAttnModule(ArrayRef<Program> programs, MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, attn::AttnDialect, func::FuncDialect,
                      math::MathDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  for (const Program &program : programs) {
    if (llvm::Error error = checkComplete(program))
      return std::move(error);
    if (module->lookupSymbol(program.name))
      return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                     "two variants are named '" + program.name +
                                         "'");
    VariantEmitter(*module, program).run();
  }
  std::string text;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream os(text);
    if (!text.empty())
      os << "; ";
    auto file = dyn_cast<FileLineColLoc>(diagnostic.getLocation());
    // A normalizer has no place of its own, its clauses do.
    for (Diagnostic &note : diagnostic.getNotes())
      if (!file)
        file = note.getLocation()->findInstanceOf<FileLineColLoc>();
    if (file)
      os << file.getFilename().getValue() << ':' << file.getLine() << ':'
         << file.getColumn() << ": error: ";
    // Who writes .attn or Python knows no ops.
    std::string message = diagnostic.str();
    StringRef said(message);
    if (said.consume_front("'attn.normalizer' op "))
      os << "normalizer: ";
    os << said;
    return success();
  });
  if (failed(verify(*module)))
    return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
  return std::move(module);
}

llvm::Expected<OwningOpRef<ModuleOp>> buildAttnModule(const Program &program,
                                                      MLIRContext &context) {
  return buildAttnModule(ArrayRef(program), context);
}

} // namespace fovea
