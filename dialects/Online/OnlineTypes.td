//===- OnlineTypes.td - Types and attributes of online ------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ONLINE_TYPES
#define FOVEA_DIALECT_ONLINE_TYPES

include "Online/OnlineDialect.td"
include "Online/OnlineInterfaces.td"

def Online_ViewType : Online_Type<"View", "view"> {
  let summary = "The rows of one (batch, head) of a memref";
  let description = [{
    A run-time number of rows with `columns` features each (0 is legal), or of
    scalars (`columns` = kScalars). `paged`: rows are found through a page table. `ragged`: the
    number of rows is a run-time length below the memref's. Loads zero-fill past
    the length, stores are clipped there.

    Example: `!online.view<?x128xbf16>`, `!online.view<?x64xf32, paged, ragged>`,
    `!online.view<?xf32>`
  }];
  let parameters = (ins "int64_t":$columns, "::mlir::Type":$elementType,
                        "bool":$paged, "bool":$ragged);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The `columns` of a view whose rows are scalars.
    static constexpr int64_t kScalars = -1;
    bool hasColumns() const { return getColumns() != kScalars; }
  }];
}

def Online_WalkType : Online_Type<"Walk", "walk"> {
  let summary = "An ordered sequence of (first key, class)";
  let description = [{
    What a sweep runs over. Keys are rows of the key view (local positions).
    Each element covers at most `step` keys from n0 on.
  }];
}

def Online_ClassType : Online_Type<"Class", "class"> {
  let summary = "What a walk promises about one tile";
  let description = [{
    *full* (the mask holds on every pair of the element's keys and the tile's
    rows) or *partial*, and how many of the tile's keys belong to the element;
    keys beyond that are invisible.
  }];
}

def Online_StateType : Online_Type<"State", "state"> {
  let summary = "The row state (t, l, o) of a normaliser";
  let description = [{
    `rows` × `columns` accumulators o in the score type, with a running maximum
    `t` and a denominator `l` per row where the normaliser has them.

    A state of no columns holds the statistics alone.

    Example: `!online.state<128x64xf32, t, l>`, `!online.state<128x64xf32>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns,
                        "::mlir::Type":$scoreType, "bool":$hasT, "bool":$hasL);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Online_ClassKind : I32EnumAttr<"ClassKind", "Class of a tile", [
    I32EnumAttrCase<"Partial", 1, "partial">, I32EnumAttrCase<"Full", 2, "full">]> {
  let cppNamespace = "::mlir::online";
  let genSpecializedAttr = 0;
}
def Online_ClassKindAttr : EnumAttr<Online_Dialect, Online_ClassKind, "class_kind">;

def Online_MapKind : I32EnumAttr<"MapKind", "What a map's result depends on", [
    I32EnumAttrCase<"Rows", 0, "rows">, I32EnumAttrCase<"Cols", 1, "cols">,
    I32EnumAttrCase<"Diag", 2, "diag">, I32EnumAttrCase<"Tile", 3, "tile">]> {
  let cppNamespace = "::mlir::online";
  let genSpecializedAttr = 0;
}
def Online_MapKindAttr : EnumAttr<Online_Dialect, Online_MapKind, "map_kind">;

def Online_CPUScheduleAttr : Online_Attr<"CPUSchedule", "cpu_schedule", [
    DeclareAttrInterfaceMethods<Online_ScheduleAttrInterface>]> {
  let summary = "How a grid runs on a CPU";
  let description = [{
    Work items of `m` query rows, cut into panels of one vector of queries, swept
    in blocks of `n` keys. `lanes` queries make a vector of the score type.
    `exact` selects on v, so that a non-finite value reaches only rows that see
    it (S11). `index_bits` is the width that the kernel's indices are promised
    to fit (32: all positions below 2³⁰). `pairs` takes both products of bf16
    inputs by dot products of pairs, with weights rounded to bf16; without it
    blocks of keys and values are widened. `amx`, with `pairs`, takes them by
    multiplications of tiles of 16 rows of 64 bytes.

    `split` makes the form for few queries: an item holds the queries of all
    heads of a key head, at most `m` rows, against one part of `split` keys;
    parts are merged in order. Its products have lanes along the features, `wide`
    in a register; `lanes` are the rows that share a key's mods and weights: four,
    or with `amx` eight, half of a tile. With `m` 1 an item holds the one query of
    a key head that has one query head.

    Example: `#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>`,
    `#online.cpu_schedule<m = 32, n = 64, lanes = 4, exact = false, index_bits = 32 few(split = 1024, wide = 16)>`
  }];
  let parameters = (ins "int64_t":$m, "int64_t":$n, "int64_t":$lanes,
                        "bool":$exact, "int64_t":$indexBits,
                        DefaultValuedParameter<"bool", "false">:$pairs,
                        DefaultValuedParameter<"bool", "false">:$amx,
                        DefaultValuedParameter<"int64_t", "0">:$split,
                        DefaultValuedParameter<"int64_t", "0">:$wide);
  let assemblyFormat = [{
    `<` `m` `=` $m `,` `n` `=` $n `,` `lanes` `=` $lanes `,` `exact` `=` $exact `,`
    `index_bits` `=` $indexBits (`,` `pairs` `=` $pairs^)? (`,` `amx` `=` $amx^)?
    (`few` `(` `split` `=` $split^ `,` `wide` `=` $wide `)`)? `>`
  }];
  let genVerifyDecl = 1;
}

#endif // FOVEA_DIALECT_ONLINE_TYPES
