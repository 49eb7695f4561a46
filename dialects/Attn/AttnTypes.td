//===- AttnTypes.td - Types and attributes of attn ----------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTN_TYPES
#define FOVEA_DIALECT_ATTN_TYPES

include "Attn/AttnDialect.td"

def Attn_BlockMaskType : Attn_Type<"BlockMask", "block_mask"> {
  let summary = "Classes of tiles of a mask: empty, partial or full";
  let description = [{
    A mask cut into tiles of `queryTile` × `keyTile` positions, each *empty*
    (no visible pair), *full* (all pairs visible) or *partial*. `?` stands for a
    tile size that is known at run time only.

    Example: `!attn.block_mask<128x64>`, `!attn.block_mask<?x?>`
  }];
  let parameters = (ins "int64_t":$queryTile, "int64_t":$keyTile);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Attn_SoftmaxAttr : Attn_Attr<"Softmax", "softmax"> {
  let summary = "The softmax normaliser";
  let description = [{
    stat = s, weight = denom = exp(s − t), seed (−inf, 0, 0), finish o / l.
    Every other normaliser is an `attn.normalizer` symbol.
  }];
  let assemblyFormat = "";
}

def Attn_SizeKind : I32EnumAttr<"SizeKind", "A size of an attention op", [
    I32EnumAttrCase<"B", 0>, I32EnumAttrCase<"H", 1>, I32EnumAttrCase<"Hk", 2>,
    I32EnumAttrCase<"M", 3>, I32EnumAttrCase<"N", 4>, I32EnumAttrCase<"D", 5>,
    I32EnumAttrCase<"E", 6>]> {
  let cppNamespace = "::mlir::attn";
  let genSpecializedAttr = 0;
}
def Attn_SizeKindAttr : EnumAttr<Attn_Dialect, Attn_SizeKind, "size_kind">;

#endif // FOVEA_DIALECT_ATTN_TYPES
