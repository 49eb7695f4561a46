//===- AttnGpuOps.td - Operations of attn_gpu ---------------*- tablegen -*-===//
//
// Those of the synchronous form stand here, those of the role form in
// AttnGpuRoleOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_DIALECT_ATTNGPU_OPS
#define FOVEA_DIALECT_ATTNGPU_OPS

include "AttnGpu/AttnGpuDialect.td"
include "AttnGpu/AttnGpuTypes.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// The enums of online would be generated twice if its types were included.
def AttnGpu_View : Type<CPred<"::llvm::isa<::mlir::online::ViewType>($_self)">, "view",
                        "::mlir::online::ViewType">;
def AttnGpu_Fragment : AnyTypeOf<[AttnGpu_FragType, AttnGpu_RowvecType], "frag or rowvec">;
def AttnGpu_MapInput : AnyTypeOf<[AttnGpu_FragType, AttnGpu_RowvecType, AttnGpu_DiagvecType],
                                 "frag, rowvec or diagvec">;

def AttnGpu_ForTilesOp : AttnGpu_Op<"for_tiles", [SingleBlockImplicitTerminator<"YieldOp">,
     RecursiveMemoryEffects]> {
  let summary = "Output tiles of a persistent kernel";
  let description = [{
    Runs its body for every index vector below the bounds (batch, head, query
    tile). The order is the schedule's: heads in sections, inside a section the
    last query tile first.

    Constraints:
    - (C2) three bounds and three index arguments

    Example:
    ```mlir
    attn_gpu.for_tiles (%b, %h, %mt) in (%B, %H, %MT) schedule(#attn_gpu.schedule<…>) { … }
    ```
  }];
  let arguments = (ins Variadic<Index>:$bounds, AttnGpu_ScheduleAttr:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def AttnGpu_ForBlocksOp : AttnGpu_Op<"for_blocks", [SingleBlock, AttrSizedOperandSegments, RecursiveMemoryEffects]> {
  let summary = "The key tiles that one query tile sees";
  let description = [{
    Runs its body for tiles of `step` keys: (n0, how many keys from n0 on belong,
    whether the mask holds on all of them; of a list, whether they are of a full
    tile). Segments are cut as in
    `online.walk.segments`, and numbered: the whole ones of full segments from
    the last one down, then the others. The last number comes first, then the
    rest. Where there is none the body runs once with no key belonging.

    With `cut_front` no block goes beyond its segment's end: those that are not
    whole are laid out from there down, the last of them from before its segment's
    begin, perhaps from before key 0. The second argument then is not a number of
    keys but the first one that belongs.

    `list` takes the elements from one row of a block mask instead, as
    `list.count` and `list.element` number them; `unmasked` is as theirs. With
    `joint` they are those of the joint list of a tile's rows (`joint.count`), in its
    order; no key of an element belongs where the warpgroup's row has not got it.

    Constraints:
    - (C3) body arguments are (index, index, i1, carried types…), the yield gives
      the carried types, and so do the results
    - (C4) one begin, end and class per segment, at least one; none beside a list,
      which is not `cut_front`
    - (C29) as `list.count`
    - (C38) joint lists are in tiles whose schedule has own_rows
    - (C43) as `joint.count`
    - (C45) `visible` is of a joint list

    Example:
    ```mlir
    %o = attn_gpu.for_blocks (%n0, %count, %full) in [%c0, %end) full step 128
        iter(%acc = %zero) -> (!attn_gpu.frag<64x128xf32, quad>) { … }
    attn_gpu.for_blocks (%n0, %from, %full) in [%c0, %end) full step 128 attributes {cut_front} { … }
    attn_gpu.for_blocks (%n0, %count, %full) in list %classes[%b, %h, %row] tile(%kt) length(%n)
        : memref<?x?x?x?xi8> step 128 { … }
    attn_gpu.for_blocks (%n0, %count, %full) in list %classes[%b, %h, %mt] joint(%qt) tile(%kt)
        length(%n) : memref<?x?x?x?xi8> step 64 { … }
    ```
  }];
  let arguments = (ins Variadic<Index>:$begins, Variadic<Index>:$ends,
                       Optional<MemRefRankOf<[I8], [4]>>:$list, Variadic<Index>:$row,
                       Optional<Index>:$queryTile, Optional<Index>:$keyTile,
                       Optional<Index>:$length,
                       Variadic<AnyType>:$inits, DenseI32ArrayAttr:$classes, I64Attr:$step,
                       UnitAttr:$unmasked, UnitAttr:$cut_front,
                       OptionalAttr<IntegerSetAttr>:$visible);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

class AttnGpu_ListOp<string mnemonic, dag more, dag results_> : AttnGpu_Op<mnemonic, [Pure]> {
  let arguments = !con((ins MemRefRankOf<[I8], [4]>:$list, Variadic<Index>:$row, Index:$keyTile,
                            Index:$length, I64Attr:$step, UnitAttr:$unmasked), more);
  let results = results_;
  let hasVerifier = 1;
}

def AttnGpu_ListCountOp : AttnGpu_ListOp<"list.count", (ins),
    (outs Index:$whole, Index:$total, Index:$cut)> {
  let summary = "How many elements a row of a block mask has";
  let description = [{
    `list` holds 0 (empty), 1 (partial) or 2 (full) per (batch, head, query tile,
    key tile); `row` picks a row. Its elements are `step` keys wide, cut at
    `length`. `whole` counts those of full tiles that `length` does not cut,
    `total` all of tiles that are not empty. `cut` is 1 where `length` cuts one
    of a full tile, which is then the last of all, else 0. Where no mask is
    asked (`unmasked`) partial tiles are as full ones.

    Constraints:
    - (C29) three indices; step is positive

    Example:
    ```mlir
    %whole, %total, %cut = attn_gpu.list.count %classes[%b, %h, %row] tile(%kt) length(%n) step 128
      : memref<?x?x?x?xi8>
    ```
  }];
  let assemblyFormat = [{
    $list `[` $row `]` `tile` `(` $keyTile `)` `length` `(` $length `)` `step` $step attr-dict `:`
    type($list)
  }];
}

def AttnGpu_ListElementOp : AttnGpu_ListOp<"list.element", (ins Index:$element), (outs Index:$n0)> {
  let summary = "The first key of an element of a row of a block mask";
  let description = [{
    The whole elements of full tiles come first, then the others, both in the
    order of the keys. `length` for element 0 of a row that has none.

    Constraints:
    - (C29) as `list.count`

    Example:
    ```mlir
    %n0 = attn_gpu.list.element %i of %classes[%b, %h, %row] tile(%kt) length(%n) step 128
      : memref<?x?x?x?xi8>
    ```
  }];
  let assemblyFormat = [{
    $element `of` $list `[` $row `]` `tile` `(` $keyTile `)` `length` `(` $length `)` `step` $step
    attr-dict `:` type($list)
  }];
}

class AttnGpu_JointOp<string mnemonic, dag more, dag results_>
    : AttnGpu_Op<mnemonic, [Pure, AttrSizedOperandSegments]> {
  let arguments = !con((ins MemRefRankOf<[I8], [4]>:$list, Variadic<Index>:$row, Index:$queryTile,
                            Index:$keyTile, Index:$length, Optional<Index>:$tiles, I64Attr:$step, I64Attr:$reach,
                            UnitAttr:$unmasked, OptionalAttr<IntegerSetAttr>:$visible), more);
  let results = results_;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The planes of `visible`, none where it is not there.
    ::llvm::SmallVector<Plane> getPlanes() {
      return getVisible() ? *toPlanes(*getVisible()) : ::llvm::SmallVector<Plane>();
    }
  }];
}

def AttnGpu_JointCountOp : AttnGpu_JointOp<"joint.count", (ins),
    (outs Index:$uses, Variadic<Index>:$groups)> {
  let summary = "How many elements rows of a block mask have together";
  let description = [{
    For G = 2 or 3 warpgroups: `row` is (batch, head, t), and of queries 64·G·t …
    64·G·(t + 1) − 1 each group's 64 lie in one row of tiles of `queryTile`
    queries. Where `tiles` says how many tiles there are, those of 8 in a row, from
    a multiple of 8 on, share out their rows of 64 queries by how many elements
    each has, the fewest first, equal ones as they are numbered, and first of all
    rows behind the last query: rows of a tile are as long as each other then, and
    none waits for another. The joint list of these rows holds what any of them has
    (`list.count`): an element that several have is there once, and each of these
    groups reads it.

    The order: the last one that all have, if any, of those that are not whole in
    all rows, else of the others. Then what is whole for all that have it: first
    what all have, then of the other kinds (who has it) one each in turns: of two
    groups what each has alone, of three what groups 0 and 1 have, 2 alone, 0 and
    2, 1 alone, 1 and 2, 0 alone. Then what is not whole, in the same order. So a
    group meets whole elements first, all go on at the same pace, and a group's
    next whole one is 2 (of three groups 6) places away at most. Where the next is further, a
    group reads elements in vain, with no key belonging: every `reach`-th before
    its next one; before the end of the list, where the next tile's first may lie
    1 (5) places on; and the first one of all where its own first one is more than
    1 (5) places on. So slots come free. A list without elements has one at
    `length`, which all read in vain.

    `visible` is a set of (m, n) on which the mask holds. An element of a partial
    tile that lies in it with all 64 rows of a group is for that group as of a full
    tile: most partial tiles do not touch the mask's edge, and are whole so.

    Results are the number of elements, then for each group: the number of the
    first one that it reads, how many whole ones follow that, how many it
    reads in all, and its first query.

    Constraints:
    - (C29) three indices; step is positive
    - (C33) four results for each of two or three groups; reach is at least 2,
      of three groups 6
    - (C43) visible is made of inequalities over (m, n), with factors −1 to 1 that
      are not both 1 or both −1 and constants within ±2^30

    Example:
    ```mlir
    %uses, %g:8 = attn_gpu.joint.count %classes[%b, %h, %t] tiles(%qt, %kt) length(%n) step 64
      reach 4 : memref<?x?x?x?xi8> -> index, index, index, index, index, index, index, index
    ```
  }];
  let assemblyFormat = [{
    $list `[` $row `]` (`sorted` `of` $tiles^)? `tiles` `(` $queryTile `,` $keyTile `)`
    `length` `(` $length `)` `step` $step `reach` $reach attr-dict `:` type($list) `->` type($groups)
  }];
}

def AttnGpu_JointElementOp : AttnGpu_JointOp<"joint.element", (ins Index:$element),
    (outs Index:$n0, Variadic<Index>:$links)> {
  let summary = "An element of a joint list, and who reads it";
  let description = [{
    Where it begins, and for each group a link: 0 where the group
    does not read it, else 1, plus 2 where the group's row has it of a full tile,
    plus 4 where no key belongs, plus 8 times how far the next one that the group reads
    is away (of the last one 0).

    Constraints:
    - (C29) as `joint.count`
    - (C33) as `joint.count`, with one link for each group
    - (C43) as `joint.count`

    Example:
    ```mlir
    %n0, %l:2 = attn_gpu.joint.element %i of %classes[%b, %h, %t] tiles(%qt, %kt) length(%n) step 64
      reach 4 : memref<?x?x?x?xi8> -> index, index
    ```
  }];
  let assemblyFormat = [{
    $element `of` $list `[` $row `]` (`sorted` `of` $tiles^)? `tiles` `(` $queryTile `,` $keyTile `)`
    `length` `(` $length `)` `step` $step `reach` $reach attr-dict `:` type($list) `->` type($links)
  }];
}

def AttnGpu_YieldOp : AttnGpu_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region with its results";
  let description = [{ Example: `attn_gpu.yield %s1 : f32` }];
  let arguments = (ins Variadic<AnyType>:$results);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ValueRange()); }]>];
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
}

def AttnGpu_LoadOp : AttnGpu_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "A tile of rows in shared memory; zero past the end";
  let description = [{
    Constraints:
    - (C5) the tile has the view's columns and element type

    Example: `%kt = attn_gpu.load %K[%n0] : !online.view<?x64xbf16, ragged> -> !attn_gpu.tile<128x64xbf16>`
  }];
  let arguments = (ins AttnGpu_View:$view, Index:$row);
  let results = (outs AttnGpu_TileType:$tile);
  let assemblyFormat = [{
    $view `[` $row `]` attr-dict `:` qualified(type($view)) `->` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

class AttnGpu_MmaBase<string mnemonic, Type result, list<Trait> traits = [], dag more = (ins),
                      string moreFormat = ""> : AttnGpu_Op<mnemonic, !listconcat([Pure], traits)> {
  let arguments = !con((ins AnyTypeOf<[AttnGpu_TileType, AttnGpu_FragType]>:$lhs, AttnGpu_TileType:$rhs,
                            Optional<AttnGpu_FragType>:$acc), more, (ins UnitAttr:$transposed));
  let results = (outs result:$result);
  let assemblyFormat = "$lhs `,` $rhs (`transposed` $transposed^)? "
    "(`acc` `(` $acc^ `:` qualified(type($acc)) `)`)? " # moreFormat # " attr-dict `:` "
    "qualified(type($lhs)) `,` qualified(type($rhs)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def AttnGpu_MmaOp : AttnGpu_MmaBase<"mma", AttnGpu_FragType> {
  let summary = "A product on the tensor cores";
  let description = [{
    lhs · rhs, or lhs · rhsᵀ where `transposed`, added to `acc`, in f32. A tile
    as lhs gives this warpgroup's 64 rows of it.

    Constraints:
    - (C6) lhs is a tile of whole groups of 64 rows, or a `quad_a` fragment
    - (C7) the contracted sizes and the element types agree; the result is a
      `quad` fragment of the remaining sizes, and so is acc

    Example:
    ```mlir
    %s = attn_gpu.mma %qt, %kt transposed : !attn_gpu.tile<128x64xbf16>, !attn_gpu.tile<128x64xbf16>
      -> !attn_gpu.frag<64x128xf32, quad>
    ```
  }];
}

def AttnGpu_ZeroOp : AttnGpu_Op<"zero", [Pure]> {
  let summary = "Zeros in registers";
  let description = [{ Example: `%o = attn_gpu.zero : !attn_gpu.frag<64x64xf32, quad>` }];
  let arguments = (ins);
  let results = (outs AttnGpu_Fragment:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
}

def AttnGpu_SplatOp : AttnGpu_Op<"splat", [Pure]> {
  let summary = "One scalar for every row";
  let description = [{ Example: `%m = attn_gpu.splat %floor : f32 -> !attn_gpu.rowvec<64xf32>` }];
  let arguments = (ins F32:$value);
  let results = (outs AttnGpu_RowvecType:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` qualified(type($result))";
}

def AttnGpu_MapOp : AttnGpu_Op<"map", [Pure, AttrSizedOperandSegments]> {
  let summary = "A scalar region on every element or row";
  let description = [{
    With `at(%m0, %n0)` the region's first arguments are the global query and key
    positions as i64 (for a rowvec: the query's alone, `at(%m0)`); then one
    scalar per input: elements of a fragment, of a rowvec the row's, of a diagvec
    that of the row less the column.

    Constraints:
    - (C8) positions are two for a frag, one for a rowvec, or none
    - (C9) the region takes the positions and one f32 per input and yields f32
    - (C10) a frag input has the result's shape and layout, a diagvec input its
      columns; a rowvec result takes rowvecs only, partial as itself
    - (C11) the region's ops are scalar and of the set that `attn` allows

    Example:
    ```mlir
    %p = attn_gpu.map (%s, %nm) {
    ^bb0(%x: f32, %y: f32):
      %t = math.fma %x, %c, %y : f32
      %e = math.exp2 %t : f32
      attn_gpu.yield %e : f32
    } : (!attn_gpu.frag<64x128xf32, quad>, !attn_gpu.rowvec<64xf32>) -> !attn_gpu.frag<64x128xf32, quad>
    ```
  }];
  let arguments = (ins Variadic<AttnGpu_MapInput>:$inputs, Variadic<Index>:$origins);
  let results = (outs AttnGpu_Fragment:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    (`at` `(` $origins^ `)`)? `(` $inputs `)` $body attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
}

def AttnGpu_DiagonalOp : AttnGpu_Op<"diagonal", [Pure]> {
  let summary = "A scalar region on every difference of positions";
  let description = [{
    The region's argument is m − n, of global positions, for the queries from m0
    and the keys from n0 on. So a bias table is read once for each difference,
    not once for each score.

    Constraints:
    - (C30) the region takes (d: i64) and yields one f32; its ops are scalar and
      of the set that `attn` allows (C11)

    Example:
    ```mlir
    %t = attn_gpu.diagonal at(%m0, %n0) {
    ^bb0(%d: i64):
      %x = attn.read %table[%d] : memref<?xf32> -> f32
      attn_gpu.yield %x : f32
    } : !attn_gpu.diagvec<128x64xf32>
    ```
  }];
  let arguments = (ins Index:$m0, Index:$n0);
  let results = (outs AttnGpu_DiagvecType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`at` `(` $m0 `,` $n0 `)` $body attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

def AttnGpu_MaskOp : AttnGpu_Op<"mask", [Pure, AllTypesMatch<["scores", "result"]>]> {
  let summary = "Minus infinity where a pair is not visible";
  let description = [{
    Visible are the keys n0 … n0 + count − 1 (local) for which the region, if
    any, holds at the global positions (m, n). Where `full` holds all are visible
    and the op is the identity.

    Constraints:
    - (C12) the region, where present, takes (m: i64, n: i64) and yields one i1
    - (C11) the region's ops are scalar and of the set that `attn` allows

    Example:
    ```mlir
    %s1 = attn_gpu.mask %s at(%m0, %n0) count(%count) full(%full) {
    ^bb0(%m: i64, %n: i64):
      %keep = arith.cmpi sge, %m, %n : i64
      attn_gpu.yield %keep : i1
    } : !attn_gpu.frag<64x128xf32, quad>
    ```
  }];
  let arguments = (ins AttnGpu_FragType:$scores, Index:$m0, Index:$n0, Index:$count, I1:$full);
  let results = (outs AttnGpu_FragType:$result);
  let regions = (region MaxSizedRegion<1>:$body);
  let assemblyFormat = [{
    $scores `at` `(` $m0 `,` $n0 `)` `count` `(` $count `)` `full` `(` $full `)` ($body^)? attr-dict
    `:` qualified(type($scores))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def AttnGpu_ReduceKind : I32EnumAttr<"ReduceKind", "An associative operation", [
    I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"Sum", 1, "sum">]> {
  let cppNamespace = "::mlir::attn_gpu";
}

def AttnGpu_ReduceOp : AttnGpu_Op<"reduce", [Pure]> {
  let summary = "Over the columns of a fragment";
  let description = [{
    Combines a row's elements and `init`. The maximum drops NaN. A `partial`
    result is reduced over each lane's own columns alone; another over the quad.

    Constraints:
    - (C13) rows agree; init has the result's type

    Example:
    ```mlir
    %mx = attn_gpu.reduce max %s init(%m) : !attn_gpu.frag<64x128xf32, quad> -> !attn_gpu.rowvec<64xf32>
    ```
  }];
  let arguments = (ins AttnGpu_ReduceKind:$kind, AttnGpu_FragType:$source,
                       Optional<AttnGpu_RowvecType>:$init);
  let results = (outs AttnGpu_RowvecType:$result);
  let assemblyFormat = [{
    $kind $source (`init` `(` $init^ `:` qualified(type($init)) `)`)? attr-dict `:`
    qualified(type($source)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def AttnGpu_QuadReduceOp : AttnGpu_Op<"quad_reduce", [Pure]> {
  let summary = "Joins the parts of the four lanes";
  let description = [{
    Constraints:
    - (C14) from a partial rowvec to one that is not

    Example: `%l = attn_gpu.quad_reduce sum %part : !attn_gpu.rowvec<64xf32, partial> -> !attn_gpu.rowvec<64xf32>`
  }];
  let arguments = (ins AttnGpu_ReduceKind:$kind, AttnGpu_RowvecType:$source);
  let results = (outs AttnGpu_RowvecType:$result);
  let assemblyFormat = "$kind $source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def AttnGpu_RescaleOp : AttnGpu_Op<"rescale", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "x · alpha [+ y], where alpha is finite";
  let description = [{
    The step of a running state: alpha = exp(t_old − t_new) lies in [0, 1], so
    that zeros stay zeros whatever alpha.

    Constraints:
    - (C15) alpha is a rowvec that is not partial; y has x's type

    Example: `%o1 = attn_gpu.rescale %o by %alpha : !attn_gpu.frag<64x64xf32, quad>`
  }];
  let arguments = (ins AttnGpu_Fragment:$source, AttnGpu_RowvecType:$alpha,
                       Optional<AttnGpu_Fragment>:$addend);
  let results = (outs AttnGpu_Fragment:$result);
  let assemblyFormat = [{
    $source `by` $alpha (`plus` $addend^ `:` qualified(type($addend)))? attr-dict `:` qualified(type($source))
    `,` qualified(type($alpha))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def AttnGpu_ConvertOp : AttnGpu_Op<"convert", [Pure]> {
  let summary = "Rounds an accumulator to an operand";
  let description = [{
    Round to nearest even; no data moves between lanes.

    Constraints:
    - (C16) from `quad` to `quad_a` of the same shape

    Example: `%a = attn_gpu.convert %p : !attn_gpu.frag<64x128xf32, quad> -> !attn_gpu.frag<64x128xbf16, quad_a>`
  }];
  let arguments = (ins AttnGpu_FragType:$source);
  let results = (outs AttnGpu_FragType:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def AttnGpu_StoreTileOp : AttnGpu_Op<"store_tile", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes this warpgroup's rows of a tile; clipped at the end";
  let description = [{
    Rows row + 64·g … of the view, converted to its element type. `staged`: through
    shared memory and the copy engine, else by 16-byte stores.

    Constraints:
    - (C17) a `quad` fragment of the view's columns; f16 or bf16 views

    Example: `attn_gpu.store_tile %o, %O[%row] : !attn_gpu.frag<64x64xf32, quad>, !online.view<?x64xbf16, ragged>`
  }];
  let arguments = (ins AttnGpu_FragType:$source, AttnGpu_View:$view, Index:$row, UnitAttr:$staged);
  let assemblyFormat = "(`staged` $staged^)? $source `,` $view `[` $row `]` attr-dict `:` qualified(type($source)) `,` qualified(type($view))";
  let hasVerifier = 1;
}

def AttnGpu_StoreRowsOp : AttnGpu_Op<"store_rows", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes one value a row; clipped at the end";
  let description = [{
    Constraints:
    - (C18) a rowvec that is not partial into a view of f32 scalars

    Example: `attn_gpu.store_rows %lse, %L[%row] : !attn_gpu.rowvec<64xf32>, !online.view<?xf32, ragged>`
  }];
  let arguments = (ins AttnGpu_RowvecType:$source, AttnGpu_View:$view, Index:$row);
  let assemblyFormat = "$source `,` $view `[` $row `]` attr-dict `:` qualified(type($source)) `,` qualified(type($view))";
  let hasVerifier = 1;
}

include "AttnGpu/AttnGpuRoleOps.td"

#endif // FOVEA_DIALECT_ATTNGPU_OPS
