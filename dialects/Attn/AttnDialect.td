//===- AttnDialect.td - The attn dialect: what is computed --*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTN
#define FOVEA_DIALECT_ATTN

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::mlir::attn";
  let summary = "Attention variants, target-free";
  let description = [{
    Level 1 of Fovea: what an attention variant computes, on tensors with
    dynamic shapes and operands in the order (batch, head, position, feature).
    Strides, layouts, tiles and machines do not exist here.

    A variant is one `attn.attention`. Its *score* region changes a score, its
    *mask* region says which keys a query sees, its *normalizer* turns scores
    into weights. Regions are isolated from above: tensors that they read are
    *captures*, operands of the op and trailing block arguments of every region.

    Inside regions integer arithmetic is total (S8): `arith` without division,
    remainder, shifts and float-to-int, whose total forms are `attn.floordiv`,
    `attn.mod`, `attn.shl`, `attn.shr` and `attn.to_int`. The same scalar ops
    serve level 2.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

class Attn_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<Attn_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

class Attn_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Attn_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Attn_Op<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, traits>;

#endif // FOVEA_DIALECT_ATTN
