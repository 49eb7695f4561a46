//===- AttnGpuOps.td - Operations of attn_gpu ---------------*- tablegen -*-===//

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

//===----------------------------------------------------------------------===//
// The synchronous form
//===----------------------------------------------------------------------===//

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
    whether the mask holds on all of them). Segments are cut as in
    `online.walk.segments`, and numbered: the whole ones of full segments from
    the last one down, then the others. The last number comes first, then the
    rest. Where there is none the body runs once with no key belonging.

    `list` takes the elements from one row of a block mask instead, as
    `list.count` and `list.element` number them; `unmasked` is as theirs.

    Constraints:
    - (C3) body arguments are (index, index, i1, carried types…), the yield gives
      the carried types, and so do the results
    - (C4) one begin, end and class per segment, at least one; none beside a list
    - (C29) as `list.count`

    Example:
    ```mlir
    %o = attn_gpu.for_blocks (%n0, %count, %full) in [%c0, %end) full step 128
        iter(%acc = %zero) -> (!attn_gpu.frag<64x128xf32, quad>) { … }
    attn_gpu.for_blocks (%n0, %count, %full) in list %classes[%b, %h, %row] tile(%kt) length(%n)
        : memref<?x?x?x?xi8> step 128 { … }
    ```
  }];
  let arguments = (ins Variadic<Index>:$begins, Variadic<Index>:$ends,
                       Optional<MemRefRankOf<[I8], [4]>>:$list, Variadic<Index>:$row,
                       Optional<Index>:$keyTile, Optional<Index>:$length,
                       Variadic<AnyType>:$inits, DenseI32ArrayAttr:$classes, I64Attr:$step,
                       UnitAttr:$unmasked);
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

def AttnGpu_ListCountOp : AttnGpu_ListOp<"list.count", (ins), (outs Index:$whole, Index:$total)> {
  let summary = "How many elements a row of a block mask has";
  let description = [{
    `list` holds 0 (empty), 1 (partial) or 2 (full) per (batch, head, query tile,
    key tile); `row` picks a row. Its elements are `step` keys wide, cut at
    `length`. `whole` counts those of full tiles that `length` does not cut,
    `total` all of tiles that are not empty. Where no mask is asked
    (`unmasked`) partial tiles are as full ones.

    Constraints:
    - (C29) three indices; step is positive

    Example:
    ```mlir
    %whole, %total = attn_gpu.list.count %classes[%b, %h, %row] tile(%kt) length(%n) step 128
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

class AttnGpu_MmaBase<string mnemonic, Type result> : AttnGpu_Op<mnemonic, [Pure]> {
  let arguments = (ins AnyTypeOf<[AttnGpu_TileType, AttnGpu_FragType]>:$lhs, AttnGpu_TileType:$rhs,
                       Optional<AttnGpu_FragType>:$acc, UnitAttr:$transposed);
  let results = (outs result:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`transposed` $transposed^)? (`acc` `(` $acc^ `:` qualified(type($acc)) `)`)? attr-dict
    `:` qualified(type($lhs)) `,` qualified(type($rhs)) `->` qualified(type($result))
  }];
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
    (`at` `(` $origins^ `)`)? `(` $inputs `)` $body attr-dict `:` `(` qualified(type($inputs)) `)`
    `->` qualified(type($result))
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

//===----------------------------------------------------------------------===//
// The role form
//===----------------------------------------------------------------------===//

def AttnGpu_ChannelOp : AttnGpu_Op<"channel", [MemoryEffects<[MemAlloc]>]> {
  let summary = "Makes a channel";
  let description = [{
    `offset` is the byte offset in shared memory, once -attn-gpu-budget has run.

    Example: `%kc = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>`
  }];
  let arguments = (ins StrAttr:$label, OptionalAttr<I64Attr>:$offset);
  let results = (outs AttnGpu_ChannelType:$channel);
  let assemblyFormat = "$label attr-dict `:` qualified(type($channel))";
}

def AttnGpu_SpecializeOp : AttnGpu_Op<"specialize", [SingleBlock, NoTerminator,
     RecursiveMemoryEffects]> {
  let summary = "Roles that run side by side in one block of threads";
  let description = [{
    `pin` is the schedule's, for -attn-gpu-place-awaits.

    Constraints:
    - (C19) holds roles alone: one that loads, then one that computes

    Example: `attn_gpu.specialize { attn_gpu.role load … attn_gpu.role mma … }`
  }];
  let arguments = (ins DefaultValuedAttr<I64Attr, "0">:$pin);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`pin` $pin^)? attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def AttnGpu_RoleKind : I32EnumAttr<"RoleKind", "What a role does", [
    I32EnumAttrCase<"Load", 0, "load">, I32EnumAttrCase<"Mma", 1, "mma">]> {
  let cppNamespace = "::mlir::attn_gpu";
}

def AttnGpu_RoleOp : AttnGpu_Op<"role", [SingleBlockImplicitTerminator<"YieldOp">,
     RecursiveMemoryEffects, HasParent<"SpecializeOp">]> {
  let summary = "What one kind of warpgroup runs";
  let description = [{
    `load` is one thread of one warpgroup, which fills channels; `mma` runs in
    `groups` warpgroups, which read them. `registers` a thread are set by
    -attn-gpu-budget.

    Constraints:
    - (C20) one group loads; 1 to 3 compute
    - (C21) only `load` fills and fetches tiles; only `mma` waits, releases and
      holds fragments

    Example: `attn_gpu.role mma groups(2) { … }`
  }];
  let arguments = (ins AttnGpu_RoleKind:$kind, I64Attr:$groups, OptionalAttr<I64Attr>:$registers);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$kind `groups` `(` $groups `)` (`registers` `(` $registers^ `)`)? $body attr-dict";
  let hasVerifier = 1;
}

def AttnGpu_FillOp : AttnGpu_Op<"fill", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Loads a tile into the slot of a use";
  let description = [{
    Waits until the slot is free, then starts the copy; readers of the use see
    tile and records together. Without a number it is the role's next use of the
    channel; so for `wait`, and for `release` the oldest that it holds. The
    region, evaluated as that of `diagonal`, gives the diagvec beside the tile.

    Constraints:
    - (C22) the channel's tile has the view's columns and element type
    - (C23) as many records as the channel's type says
    - (C31) the region, with its origins (m0, n0), is there if the channel has a
      diagonal; it is as that of C30

    Example: `attn_gpu.fill %kc[%it], %K[%n0] : !attn_gpu.channel<…>, !online.view<?x64xbf16, ragged>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Optional<Index>:$use, AttnGpu_View:$view,
                       Index:$row, Variadic<Index>:$records, Variadic<Index>:$origins);
  let regions = (region MaxSizedRegion<1>:$diagonal);
  let assemblyFormat = [{
    $channel (`[` $use^ `]`)? `,` $view `[` $row `]` (`records` `(` $records^ `)`)?
    (`diagonal` `at` `(` $origins^ `)` $diagonal)? attr-dict `:`
    qualified(type($channel)) `,` qualified(type($view))
  }];
  let builders = [OpBuilder<(ins "Value":$channel, "Value":$use, "Value":$view, "Value":$row,
                                 "ValueRange":$records), [{
    build($_builder, $_state, channel, use, view, row, records, ValueRange());
  }]>];
  let hasVerifier = 1;
}

def AttnGpu_PublishOp : AttnGpu_Op<"publish", [MemoryEffects<[MemWrite]>]> {
  let summary = "A use with records and no tile";
  let description = [{
    Constraints:
    - (C23) as many records as the channel's type says

    Example: `attn_gpu.publish %qc[%qi] records(%c0) : !attn_gpu.channel<…>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Index:$use, Variadic<Index>:$records);
  let assemblyFormat = "$channel `[` $use `]` `records` `(` $records `)` attr-dict `:` qualified(type($channel))";
  let hasVerifier = 1;
}

def AttnGpu_RecordOp : AttnGpu_Op<"record", [MemoryEffects<[MemRead]>]> {
  let summary = "Waits for a use and reads its records";
  let description = [{
    Constraints:
    - (C23) as `fill`: a result for each record of the channel

    Example: `%live, %m0 = attn_gpu.record %qc[%qi] : !attn_gpu.channel<…> -> index, index`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Index:$use);
  let results = (outs Variadic<Index>:$records);
  let assemblyFormat = "$channel `[` $use `]` attr-dict `:` qualified(type($channel)) `->` type($records)";
  let hasVerifier = 1;
}

def AttnGpu_WaitOp : AttnGpu_Op<"wait", [MemoryEffects<[MemRead]>]> {
  let summary = "Waits for the tile of a use";
  let description = [{
    Constraints:
    - (C24) the result is the channel's tile

    Example: `%kt = attn_gpu.wait %kc[%it] : !attn_gpu.channel<…> -> !attn_gpu.tile<128x64xbf16>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Optional<Index>:$use);
  let results = (outs AttnGpu_TileType:$tile);
  let assemblyFormat = "$channel (`[` $use^ `]`)? attr-dict `:` qualified(type($channel)) `->` qualified(type($tile))";
  let hasVerifier = 1;
}

def AttnGpu_DiagonalReadOp : AttnGpu_Op<"diagonal.read", [MemoryEffects<[MemRead]>]> {
  let summary = "Reads the diagvec of a use";
  let description = [{
    The use has been waited for and not been released. Without a number it is the
    role's latest.

    Constraints:
    - (C32) the channel has a diagonal, and the result is it

    Example: `%t = attn_gpu.diagonal.read %kc[%it] : !attn_gpu.channel<…> -> !attn_gpu.diagvec<128x64xf32>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Optional<Index>:$use);
  let results = (outs AttnGpu_DiagvecType:$result);
  let assemblyFormat = "$channel (`[` $use^ `]`)? attr-dict `:` qualified(type($channel)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def AttnGpu_ReleaseOp : AttnGpu_Op<"release", [MemoryEffects<[MemWrite]>]> {
  let summary = "Gives the slot of a use back";
  let description = [{
    Every warpgroup that reads releases each use once, after its products that
    read the tile have ended.

    Example: `attn_gpu.release %kc[%it] : !attn_gpu.channel<…>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Optional<Index>:$use);
  let assemblyFormat = "$channel (`[` $use^ `]`)? attr-dict `:` qualified(type($channel))";
}

def AttnGpu_MmaStartOp : AttnGpu_MmaBase<"mma.start", AttnGpu_PendingType> {
  let summary = "Starts a product";
  let description = [{
    As `mma`, but the result is in flight; products end in the order of their
    starts.

    Constraints:
    - (C6), (C7) as `mma`
    - (C25) the result is awaited once, and used by nothing else

    Example:
    ```mlir
    %ps = attn_gpu.mma.start %qt, %kt transposed : !attn_gpu.tile<128x64xbf16>, !attn_gpu.tile<128x64xbf16>
      -> !attn_gpu.pending<!attn_gpu.frag<64x128xf32, quad>>
    ```
  }];
}

def AttnGpu_AwaitOp : AttnGpu_Op<"await", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits for a product";
  let description = [{
    `keep` of the products started later may still be in flight afterwards; it
    is set by -attn-gpu-place-awaits. A register operand of a product (a
    `quad_a` fragment) is in use until its await: it is named in `holds`.

    Constraints:
    - (C26) the result is what the pending value holds
    - (C27) keep, where set, lies in 0 … 7

    Example: `%s = attn_gpu.await %ps keep 1 : !attn_gpu.pending<!attn_gpu.frag<64x128xf32, quad>>`
  }];
  let arguments = (ins AttnGpu_PendingType:$pending, Optional<AttnGpu_FragType>:$held,
                       OptionalAttr<I64Attr>:$keep);
  let results = (outs AttnGpu_FragType:$result);
  let assemblyFormat = [{
    $pending (`keep` $keep^)? (`holds` `(` $held^ `:` qualified(type($held)) `)`)? attr-dict `:`
    qualified(type($pending)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def AttnGpu_PinOp : AttnGpu_Op<"pin", [MemoryEffects<[MemRead, MemWrite]>,
     AllTypesMatch<["source", "result"]>]> {
  let summary = "Holds a row vector in place among waits";
  let description = [{
    The identity. The assembler moves arithmetic across waits; a memory
    operation that never runs keeps what feeds it before this point (`before`)
    or what it feeds behind it.

    Example: `%m1 = attn_gpu.pin before %m : !attn_gpu.rowvec<64xf32>`
  }];
  let arguments = (ins UnitAttr:$before, AttnGpu_RowvecType:$source);
  let results = (outs AttnGpu_RowvecType:$result);
  let assemblyFormat = "(`before` $before^)? $source attr-dict `:` qualified(type($source))";
}

def AttnGpu_TurnOp : AttnGpu_Op<"turn", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "A turnstile between the warpgroups of a role";
  let description = [{
    Constraints:
    - (C28) take or pass

    `take` waits for this warpgroup's turn, `pass` gives it to the next one; group
    0 has the first turn. Every taken turn is passed.

    Example: `attn_gpu.turn "take"`
  }];
  let arguments = (ins StrAttr:$kind);
  let assemblyFormat = "$kind attr-dict";
  let hasVerifier = 1;
}

def AttnGpu_TileFirstOp : AttnGpu_Op<"tile.first", [Pure]> {
  let summary = "The first tile of this block of threads";
  let description = [{ Example: `%t = attn_gpu.tile.first` }];
  let arguments = (ins);
  let results = (outs Index:$tile);
  let assemblyFormat = "attr-dict";
}

def AttnGpu_TileFetchOp : AttnGpu_Op<"tile.fetch", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Takes the next tile of the grid";
  let description = [{
    From a counter shared by all blocks of threads; the result is that tile's
    number, at or beyond `tiles` where none is left. Who takes the last number
    sets the counter back to zero: it is zero before and after each launch.

    Example: `%t = attn_gpu.tile.fetch of %tiles`
  }];
  let arguments = (ins Index:$tiles);
  let results = (outs Index:$tile);
  let assemblyFormat = "`of` $tiles attr-dict";
}

def AttnGpu_SectionOp : AttnGpu_Op<"section", [Pure]> {
  let summary = "How many heads are walked together";
  let description = [{
    Launch values, chosen by the runtime: how many heads a section has, and how
    many the last one. What the last one leaves of batch × heads is a multiple
    of `heads`.

    Example: `%g, %last = attn_gpu.section`
  }];
  let arguments = (ins);
  let results = (outs Index:$heads, Index:$last);
  let assemblyFormat = "attr-dict";
}

#endif // FOVEA_DIALECT_ATTNGPU_OPS
