//===- AttnDialect.cpp - Types, attributes and registration of attn -------===//

#include "fovea/Dialect/Attn/IR/Attn.h"
#include "fovea/Dialect/BytecodeVersion.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

#include "fovea/Dialect/Attn/IR/AttnDialect.cpp.inc"
#include "fovea/Dialect/Attn/IR/AttnEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "fovea/Dialect/Attn/IR/AttnTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "fovea/Dialect/Attn/IR/AttnAttrs.cpp.inc"

/// Raised with every change of the ops, types or attributes.
static constexpr uint64_t kBytecodeVersion = 1;

void AttnDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "fovea/Dialect/Attn/IR/AttnTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "fovea/Dialect/Attn/IR/AttnAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "fovea/Dialect/Attn/IR/AttnOps.cpp.inc"
      >();
  addInterface<fovea::BytecodeVersionInterface>(kBytecodeVersion);
}

Operation *AttnDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

//===----------------------------------------------------------------------===//
// !attn.block_mask<128x64>
//===----------------------------------------------------------------------===//

Type BlockMaskType::parse(AsmParser &parser) {
  SmallVector<int64_t> tile;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(tile, /*allowDynamic=*/true,
                                /*withTrailingX=*/false) ||
      parser.parseGreater())
    return {};
  if (tile.size() != 2) {
    parser.emitError(loc, "expected a query tile and a key tile, got ")
        << tile.size() << " sizes";
    return {};
  }
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    tile[0], tile[1]);
}

void BlockMaskType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList({getQueryTile(), getKeyTile()});
  printer << '>';
}

LogicalResult
BlockMaskType::verify(function_ref<InFlightDiagnostic()> emitError,
                      int64_t queryTile, int64_t keyTile) {
  for (int64_t tile : {queryTile, keyTile})
    if (!ShapedType::isDynamic(tile) && tile < 1)
      return emitError() << "tile sizes must be positive, got " << tile;
  return success();
}

//===----------------------------------------------------------------------===//
// Scalar regions
//===----------------------------------------------------------------------===//

Type mlir::attn::getReadResultType(Type elementType, Type scoreType) {
  if (elementType.isInteger(1))
    return elementType;
  if (isa<IntegerType>(elementType))
    return IntegerType::get(elementType.getContext(), 64);
  return scoreType;
}

static bool isRegionScalar(Type type) {
  return type.isInteger(1) || type.isInteger(64) || type.isF32() ||
         type.isF64();
}

bool mlir::attn::isAllowedInRegion(Operation *op) {
  if (isa<ReadOp, ExtentOp>(op))
    return true;
  bool known =
      isa<SizeOp, ParamOp, FloorDivOp, ModOp, ShlOp, ShrOp, ToIntOp, YieldOp,
          arith::ConstantOp, arith::AddIOp, arith::SubIOp, arith::MulIOp,
          arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::MinSIOp,
          arith::MaxSIOp, arith::CmpIOp, arith::AddFOp, arith::SubFOp,
          arith::MulFOp, arith::DivFOp, arith::NegFOp, arith::MaximumFOp,
          arith::MinimumFOp, arith::CmpFOp, arith::SelectOp, arith::ExtUIOp,
          arith::SIToFPOp, arith::UIToFPOp>(op) ||
      isa<math::AbsFOp, math::AbsIOp, math::CosOp, math::ErfOp, math::ExpOp,
          math::Exp2Op, math::FloorOp, math::LogOp, math::Log1pOp, math::Log2Op,
          math::PowFOp, math::RsqrtOp, math::SinOp, math::SqrtOp, math::TanhOp>(
          op);
  return known && llvm::all_of(op->getOperandTypes(), isRegionScalar) &&
         llvm::all_of(op->getResultTypes(), isRegionScalar);
}
