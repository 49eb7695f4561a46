//===- RegionEmitter.cpp - Nodes to scalar ops ---------------------------===//

#include "RegionEmitter.h"

#include "fovea/Dialect/Attn/IR/Attn.h"

using namespace mlir;

namespace fovea {
namespace {

class RegionEmitter {
public:
  RegionEmitter(OpBuilder &builder, const Program &program, Type scoreType,
                const Region &region, Block &block, ArrayRef<unsigned> captures)
      : builder(builder), program(program), scoreType(scoreType),
        region(region), block(block) {
    unsigned first = region.args.size();
    for (auto [index, capture] : llvm::enumerate(captures))
      captureValues[capture] = block.getArgument(first + index);
  }

  void run() {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&block);
    for (const Node &node : region.nodes) {
      loc = getLocation(node);
      values.push_back(emitLeaf(node));
    }
    SmallVector<Value> results;
    for (unsigned result : region.results)
      results.push_back(values[result]);
    // A value has its place, even where it is an argument.
    Location place = getPlace(region.nodes[region.results.front()]);
    attn::YieldOp::create(builder, place, results);
  }

private:
  Location getPlace(const Node &node) {
    if (node.line == 0)
      return builder.getUnknownLoc();
    return FileLineColLoc::get(builder.getContext(), program.file, node.line,
                               node.column);
  }
  Location getLocation(const Node &node) {
    Location place = getPlace(node);
    if (node.name.empty())
      return place;
    return NameLoc::get(builder.getStringAttr(node.name), place);
  }

  Value in(const Node &node, unsigned index) {
    return values[node.operands[index]];
  }
  template <typename OpTy> Value unary(const Node &node) {
    return OpTy::create(builder, loc, in(node, 0));
  }
  template <typename OpTy> Value binary(const Node &node) {
    return OpTy::create(builder, loc, in(node, 0), in(node, 1));
  }
  Value compare(const Node &node, arith::CmpIPredicate predicate) {
    return arith::CmpIOp::create(builder, loc, predicate, in(node, 0),
                                 in(node, 1));
  }
  Value compare(const Node &node, arith::CmpFPredicate predicate) {
    return arith::CmpFOp::create(builder, loc, predicate, in(node, 0),
                                 in(node, 1));
  }
  /// Negations need constants that the region may have as well: one op each.
  Value constant(TypedAttr value) {
    Value &known = constants[value];
    Location place = loc;
    if (auto named = dyn_cast<NameLoc>(loc))
      place = named.getChildLoc();
    if (!known)
      known = arith::ConstantOp::create(builder, place, value);
    return known;
  }
  TypedAttr getScalar(ValueType type, int64_t integer, double real) {
    if (type == ValueType::F) {
      llvm::APFloat value(real);
      bool losesInfo = false;
      value.convert(cast<FloatType>(scoreType).getFloatSemantics(),
                    llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      return FloatAttr::get(scoreType, value);
    }
    if (type == ValueType::I1)
      return builder.getBoolAttr(integer != 0);
    return builder.getI64IntegerAttr(integer);
  }

  Value emitLeaf(const Node &node);
  Value emitInteger(const Node &node);
  Value emitFloat(const Node &node);
  Value emitFunction(const Node &node);

  OpBuilder &builder;
  const Program &program;
  Type scoreType;
  const Region &region;
  Block &block;
  llvm::DenseMap<unsigned, Value> captureValues;
  llvm::DenseMap<Attribute, Value> constants;
  SmallVector<Value> values;
  Location loc = builder.getUnknownLoc();
};

Value RegionEmitter::emitLeaf(const Node &node) {
  switch (node.kind) {
  case NodeKind::Arg: {
    auto it = llvm::find(region.args, node.symbol);
    return block.getArgument(it - region.args.begin());
  }
  case NodeKind::Const:
    return constant(getScalar(node.type, node.integer, node.real));
  case NodeKind::Read: {
    SmallVector<Value> indices;
    for (unsigned operand : node.operands)
      indices.push_back(values[operand]);
    Type type = node.type == ValueType::F    ? scoreType
                : node.type == ValueType::I1 ? Type(builder.getI1Type())
                                             : builder.getI64Type();
    return attn::ReadOp::create(builder, loc, type, captureValues[node.capture],
                                indices);
  }
  case NodeKind::Extent:
    return attn::ExtentOp::create(builder, loc, captureValues[node.capture],
                                  uint64_t(node.dim));
  case NodeKind::Size:
    return attn::SizeOp::create(builder, loc,
                                *attn::symbolizeSizeKind(node.symbol));
  case NodeKind::Param: {
    auto param = llvm::find_if(program.params, [&](const Param &candidate) {
      return candidate.name == node.symbol;
    });
    return attn::ParamOp::create(
        builder, loc, StringRef(node.symbol),
        getScalar(param->type, param->integer, param->real));
  }
  default:
    return emitInteger(node);
  }
}

Value RegionEmitter::emitInteger(const Node &node) {
  using P = arith::CmpIPredicate;
  switch (node.kind) {
  case NodeKind::IAdd:
    return binary<arith::AddIOp>(node);
  case NodeKind::ISub:
    return binary<arith::SubIOp>(node);
  case NodeKind::IMul:
    return binary<arith::MulIOp>(node);
  case NodeKind::INeg:
    return arith::SubIOp::create(
        builder, loc, constant(builder.getI64IntegerAttr(0)), in(node, 0));
  case NodeKind::IAbs:
    return unary<math::AbsIOp>(node);
  case NodeKind::IMin:
    return binary<arith::MinSIOp>(node);
  case NodeKind::IMax:
    return binary<arith::MaxSIOp>(node);
  case NodeKind::FloorDiv:
    return binary<attn::FloorDivOp>(node);
  case NodeKind::Mod:
    return binary<attn::ModOp>(node);
  case NodeKind::Shl:
    return binary<attn::ShlOp>(node);
  case NodeKind::Shr:
    return binary<attn::ShrOp>(node);
  case NodeKind::IAnd:
  case NodeKind::BAnd:
    return binary<arith::AndIOp>(node);
  case NodeKind::IOr:
  case NodeKind::BOr:
    return binary<arith::OrIOp>(node);
  case NodeKind::IXor:
  case NodeKind::BXor:
    return binary<arith::XOrIOp>(node);
  case NodeKind::INot:
    return arith::XOrIOp::create(builder, loc, in(node, 0),
                                 constant(builder.getI64IntegerAttr(-1)));
  case NodeKind::BNot:
    return arith::XOrIOp::create(builder, loc, in(node, 0),
                                 constant(builder.getBoolAttr(true)));
  case NodeKind::IEq:
    return compare(node, P::eq);
  case NodeKind::INe:
    return compare(node, P::ne);
  case NodeKind::ILt:
    return compare(node, P::slt);
  case NodeKind::ILe:
    return compare(node, P::sle);
  case NodeKind::IGt:
    return compare(node, P::sgt);
  case NodeKind::IGe:
    return compare(node, P::sge);
  case NodeKind::I1ToI64:
    return arith::ExtUIOp::create(builder, loc, builder.getI64Type(),
                                  in(node, 0));
  case NodeKind::ToInt:
    return attn::ToIntOp::create(builder, loc, builder.getI64Type(),
                                 in(node, 0));
  default:
    return emitFloat(node);
  }
}

Value RegionEmitter::emitFloat(const Node &node) {
  using P = arith::CmpFPredicate;
  switch (node.kind) {
  case NodeKind::FAdd:
    return binary<arith::AddFOp>(node);
  case NodeKind::FSub:
    return binary<arith::SubFOp>(node);
  case NodeKind::FMul:
    return binary<arith::MulFOp>(node);
  case NodeKind::FDiv:
    return binary<arith::DivFOp>(node);
  case NodeKind::FNeg:
    return unary<arith::NegFOp>(node);
  case NodeKind::FAbs:
    return unary<math::AbsFOp>(node);
  case NodeKind::FMin:
    return binary<arith::MinimumFOp>(node);
  case NodeKind::FMax:
    return binary<arith::MaximumFOp>(node);
  case NodeKind::Pow:
    return binary<math::PowFOp>(node);
  case NodeKind::FEq:
    return compare(node, P::OEQ);
  case NodeKind::FNe:
    return compare(node, P::UNE);
  case NodeKind::FLt:
    return compare(node, P::OLT);
  case NodeKind::FLe:
    return compare(node, P::OLE);
  case NodeKind::FGt:
    return compare(node, P::OGT);
  case NodeKind::FGe:
    return compare(node, P::OGE);
  case NodeKind::Select:
    return arith::SelectOp::create(builder, loc, in(node, 0), in(node, 1),
                                   in(node, 2));
  case NodeKind::I1ToF:
    return arith::UIToFPOp::create(builder, loc, scoreType, in(node, 0));
  case NodeKind::I64ToF:
    return arith::SIToFPOp::create(builder, loc, scoreType, in(node, 0));
  default:
    return emitFunction(node);
  }
}

Value RegionEmitter::emitFunction(const Node &node) {
  switch (node.kind) {
  case NodeKind::Exp:
    return unary<math::ExpOp>(node);
  case NodeKind::Exp2:
    return unary<math::Exp2Op>(node);
  case NodeKind::Log:
    return unary<math::LogOp>(node);
  case NodeKind::Log2:
    return unary<math::Log2Op>(node);
  case NodeKind::Log1p:
    return unary<math::Log1pOp>(node);
  case NodeKind::Tanh:
    return unary<math::TanhOp>(node);
  case NodeKind::Sin:
    return unary<math::SinOp>(node);
  case NodeKind::Cos:
    return unary<math::CosOp>(node);
  case NodeKind::Sqrt:
    return unary<math::SqrtOp>(node);
  case NodeKind::Rsqrt:
    return unary<math::RsqrtOp>(node);
  case NodeKind::Erf:
    return unary<math::ErfOp>(node);
  case NodeKind::Floor:
    return unary<math::FloorOp>(node);
  default:
    llvm_unreachable("composites have been expanded");
  }
}

} // namespace

void emitRegion(OpBuilder &builder, const Program &program, Type scoreType,
                const Region &region, Block &block,
                ArrayRef<unsigned> captures) {
  RegionEmitter(builder, program, scoreType, region, block, captures).run();
}

} // namespace fovea
