//===- OnlineOps.td - Operations of online ------------------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ONLINE_OPS
#define FOVEA_DIALECT_ONLINE_OPS

include "Online/OnlineDialect.td"
include "Online/OnlineTypes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Online_Score : AnyTypeOf<[F32, F64], "score type (f32 or f64)">;
def Online_Element : AnyTypeOf<[F16, BF16, F32, F64], "f16, bf16, f32 or f64">;
def Online_Tile : AnyTypeOf<[StaticShapeTensorOf<[AnyType]>], "static tile">;
def Online_ScoreTile : AnyTypeOf<[StaticShapeTensorOf<[F32, F64]>], "static tile of the score type">;
def Online_BoolTile : AnyTypeOf<[StaticShapeTensorOf<[I1]>], "static tile of i1">;

//===----------------------------------------------------------------------===//
// The grid and its memory
//===----------------------------------------------------------------------===//

def Online_GridOp : Online_Op<"grid", [SingleBlockImplicitTerminator<"YieldOp">,
     RecursiveMemoryEffects]> {
  let summary = "Output tiles, independent of each other";
  let description = [{
    Runs its body for every index vector below the bounds: usually (batch, head,
    query tile[, split]). The schedule owns order, persistence and packing.

    Constraints:
    - (C1) one index argument per bound, at least one
    - (C2) a schedule, where present, implements ScheduleAttrInterface

    Example:
    ```mlir
    online.grid (%b, %h, %mt) in (%B, %H, %MT)
        schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
      …
    }
    ```
  }];
  let arguments = (ins Variadic<Index>:$bounds, OptionalAttr<AnyAttr>:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Online_YieldOp : Online_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region with its results";
  let description = [{ Example: `online.yield %s1 : !online.state<128x64xf32, t, l>` }];
  let arguments = (ins Variadic<AnyType>:$results);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ValueRange()); }]>];
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
}

def Online_ViewOp : Online_Op<"view", [AttrSizedOperandSegments, Pure]> {
  let summary = "The rows of one (batch, head)";
  let description = [{
    Fixes the leading dimensions of a memref by `indices`; the rest are rows
    [and columns]. `len` bounds the rows. With a page table, `source` is
    (page, head, row in page, feature), `indices` is the head, and row n lies at
    `source[table[n / P], head, n % P]`, P = the memref's third dimension.

    Constraints:
    - (C3) without a page table: rank = indices + 1 (+ 1 with columns)
    - (C4) `paged` in the type with a page table, `ragged` with `len`
    - (C5) element type and static column count agree with the memref

    Example:
    ```mlir
    %K = online.view %k[%b, %hk] len(%n) : memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
      -> !online.view<?x64xf32, ragged>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       Optional<Index>:$length,
                       Optional<MemRefRankOf<[I32, I64], [1]>>:$pageTable);
  let results = (outs Online_ViewType:$view);
  let assemblyFormat = [{
    $source `[` $indices `]` (`len` `(` $length^ `)`)?
    (`pages` `(` $pageTable^ `:` type($pageTable) `)`)? attr-dict `:`
    type($source) `->` type($view)
  }];
  let hasVerifier = 1;
}

def Online_LoadOp : Online_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "A tile of rows; zero past the length";
  let description = [{
    Constraints:
    - (C6) the tile's columns and element type are the view's

    Example: `%kt = online.load %K[%n0] : !online.view<?x64xf32> -> tensor<256x64xf32>`
  }];
  let arguments = (ins Online_ViewType:$view, Index:$row);
  let results = (outs Online_Tile:$tile);
  let assemblyFormat = "$view `[` $row `]` attr-dict `:` type($view) `->` type($tile)";
  let hasVerifier = 1;
}

def Online_StoreOp : Online_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes a tile of rows; clipped at the length";
  let description = [{
    Converts to the view's element type.

    Constraints:
    - (C7) the tile's columns are the view's; floats go to floats, integers to
      integers

    Example: `online.store %o, %O[%m0] : tensor<128x64xf32>, !online.view<?x64xbf16>`
  }];
  let arguments = (ins Online_Tile:$tile, Online_ViewType:$view, Index:$row);
  let assemblyFormat = "$tile `,` $view `[` $row `]` attr-dict `:` type($tile) `,` type($view)";
  let hasVerifier = 1;
}

def Online_ReduceIntoOp : Online_Op<"reduce_into", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Adds a tile of rows to memory";
  let description = [{
    The order of additions from different grid points is the schedule's.

    Constraints:
    - (C8) tile and view agree as in C7

    Example: `online.reduce_into %dq, %DQ[%m0] : tensor<128x64xf32>, !online.view<?x64xf32>`
  }];
  let arguments = (ins Online_Tile:$tile, Online_ViewType:$view, Index:$row);
  let assemblyFormat = "$tile `,` $view `[` $row `]` attr-dict `:` type($tile) `,` type($view)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

def Online_WalkSegmentsOp : Online_Op<"walk.segments", [Pure, SameVariadicOperandSize]> {
  let summary = "Key intervals in closed form";
  let description = [{
    Each segment [begin, end) of its class is cut into elements of `step` keys
    from `begin` on, the last one shorter; empty where begin ≥ end. `reverse`
    runs the elements backwards.

    Constraints:
    - (C9) one begin, end and class per segment; step is positive

    Example:
    ```mlir
    %w = online.walk.segments step 256 [%c0, %mid) full, [%mid, %end) partial : !online.walk
    ```
  }];
  let arguments = (ins Variadic<Index>:$begins, Variadic<Index>:$ends,
                       DenseI32ArrayAttr:$classes, I64Attr:$step,
                       UnitAttr:$reverse);
  let results = (outs Online_WalkType:$walk);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ClassKind getSegmentClass(unsigned segment) {
      return static_cast<ClassKind>(getClasses()[segment]);
    }
  }];
}

def Online_WalkListOp : Online_Op<"walk.list", [Pure]> {
  let summary = "The non-empty tiles of one row of a block mask";
  let description = [{
    `classes` holds 0 (empty), 1 (partial) or 2 (full) per (batch, head, query
    tile, key tile); `indices` picks the row; key tiles are `keyTile` wide and
    are cut into elements of at most `step` keys inside [0, `length`).

    Constraints:
    - (C10) classes is a rank-4 memref of i8, with three indices; step is positive

    Example:
    ```mlir
    %w = online.walk.list %classes[%b, %h, %row] tile(%kt) length(%n) step 256
      : memref<?x?x?x?xi8, strided<[?, ?, ?, ?]>>
    ```
  }];
  let arguments = (ins MemRefRankOf<[I8], [4]>:$classes, Variadic<Index>:$indices,
                       Index:$keyTile, Index:$length, I64Attr:$step);
  let results = (outs Online_WalkType:$walk);
  let assemblyFormat = [{
    $classes `[` $indices `]` `tile` `(` $keyTile `)` `length` `(` $length `)`
    `step` $step attr-dict `:` type($classes)
  }];
  let hasVerifier = 1;
}

def Online_WalkScanOp : Online_Op<"walk.scan", [Pure]> {
  let summary = "Key intervals whose mask is evaluated tile by tile";
  let description = [{
    Cuts [begin, end) into elements of `step` keys and classifies each by
    evaluating the region on `rows` × `step` positions from the global (m0, n0):
    tiles without a visible pair are left out. `kv_shift` is added to a key's
    local position to give its global one. `reason` says why the mask has no
    closed form; it has no effect.

    Constraints:
    - (C11) the region takes (m: i64, n: i64) and yields one i1; rows and step
      are positive

    Example:
    ```mlir
    %w = online.walk.scan rows 128 step 256 at(%m0) shift(%kv_offset) [%lo, %hi) {
    ^bb0(%m: i64, %n: i64):
      %keep = arith.cmpi sge, %m, %n : i64
      online.yield %keep : i1
    }
    ```
  }];
  let arguments = (ins Index:$rowOrigin, Index:$kvShift, Index:$begin, Index:$end,
                       I64Attr:$rows, I64Attr:$step,
                       OptionalAttr<StrAttr>:$reason);
  let results = (outs Online_WalkType:$walk);
  let regions = (region SizedRegion<1>:$mask);
  let assemblyFormat = [{
    `rows` $rows `step` $step `at` `(` $rowOrigin `)` `shift` `(` $kvShift `)`
    `[` $begin `,` $end `)` (`because` $reason^)? $mask attr-dict
  }];
  let hasVerifier = 1;
}

def Online_WalkSliceOp : Online_Op<"walk.slice", [Pure]> {
  let summary = "One part of a walk, for split-KV";
  let description = [{
    The elements with index in [part·n/parts, (part+1)·n/parts) of n elements.

    Example: `%w1 = online.walk.slice %w part(%i of %splits)`
  }];
  let arguments = (ins Online_WalkType:$source, Index:$part, Index:$parts);
  let results = (outs Online_WalkType:$walk);
  let assemblyFormat = "$source `part` `(` $part `of` $parts `)` attr-dict";
  let hasFolder = 1;
}

def Online_SweepOp : Online_Op<"sweep", [SingleBlock, RecursiveMemoryEffects]> {
  let summary = "One loop over the elements of a walk";
  let description = [{
    Runs its body for each element with (n0: index, class) and the carried
    values. The body is in A/B/C normal form:
    A: the `dot`s; B: `map`, `mask`, `weights` and the update of a state;
    C: `accumulate` and what writes memory. `step` ends B and begins C.

    Constraints:
    - (C12) body arguments are (index, !online.class, carried types…), the yield
      gives the carried types, and so do the results
    - (C13) no dot depends on a B or C op of the same iteration, no B op on a C
      op; dependence through carried values is free

    Example:
    ```mlir
    %st = online.sweep (%n0, %cls) in %w iter(%s = %init)
        -> (!online.state<128x64xf32, t, l>) {
      …
      online.yield %s1 : !online.state<128x64xf32, t, l>
    }
    ```
  }];
  let arguments = (ins Online_WalkType:$walk, Variadic<AnyType>:$inits);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

def Online_DotOp : Online_Op<"dot", [Pure]> {
  let summary = "Contraction of two tiles in the score type";
  let description = [{
    Contracts dimension `contract[0]` of lhs with `contract[1]` of rhs; the
    result has lhs' free dimension, then rhs'. Accumulates in the result's type.

    Constraints:
    - (C14) rank-2 tiles of floats, contract dims within rank and of equal size, result
      shape as said, result of a score type

    Example:
    ```mlir
    %x = online.dot %qt, %kt contract [1, 1]
      : tensor<128x64xbf16>, tensor<256x64xbf16> -> tensor<128x256xf32>
    ```
  }];
  let arguments = (ins Online_Tile:$lhs, Online_Tile:$rhs, DenseI64ArrayAttr:$contract);
  let results = (outs Online_ScoreTile:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `contract` $contract attr-dict `:` type($lhs) `,` type($rhs)
    `->` type($result)
  }];
  let hasVerifier = 1;
}

def Online_AccumulateOp : Online_Op<"accumulate", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "Adds a contraction to an accumulator";
  let description = [{
    result = acc + dot(lhs, rhs). A phase-C op: outer products of probabilities
    with values, gradients, decayed states.

    Constraints:
    - (C15) as C14, with the accumulator's type

    Example:
    ```mlir
    %dv1 = online.accumulate %dv, %p, %do contract [0, 0]
      : tensor<128x256xf32>, tensor<128x64xf32> -> tensor<256x64xf32>
    ```
  }];
  let arguments = (ins Online_ScoreTile:$acc, Online_Tile:$lhs, Online_Tile:$rhs,
                       DenseI64ArrayAttr:$contract);
  let results = (outs Online_ScoreTile:$result);
  let assemblyFormat = [{
    $acc `,` $lhs `,` $rhs `contract` $contract attr-dict `:` type($lhs) `,`
    type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Online_MapOp : Online_Op<"map", [AttrSizedOperandSegments, Pure]> {
  let summary = "A scalar region over rows, columns, diagonals or the tile";
  let description = [{
    | kind | region arguments | result |
    |---|---|---|
    | `rows(m0)` | m, inputs… | tensor<M>, inputs tensor<M> |
    | `cols(n0)` | n, inputs… | tensor<1xN>, inputs tensor<1xN> |
    | `diag(m0, n0) columns N` | d = m − n | tensor<(M+N−1)>, entry i − j + N − 1; no inputs |
    | `tile(m0, n0)` | m, n, inputs… | tensor<MxN>, inputs tensor<MxN>, tensor<M>, tensor<Mx1>, tensor<1xN> or tensor<(M+N−1)> |

    An input of M+N−1 values is one of a `diag` map: row i and column j read
    entry i − j + N − 1.

    Constraints:
    - (C16) origins, region arguments, inputs and results as in the table, at
      least one result; f16 and bf16 inputs are read as f32; the region yields one scalar per result, of its element
      type; `columns` stands with `diag` alone

    Example:
    ```mlir
    %y = online.map tile(%m0, %n0) ins(%x : tensor<128x256xf32>) {
    ^bb0(%m: i64, %n: i64, %s: f32):
      %z = math.tanh %s : f32
      online.yield %z : f32
    } -> tensor<128x256xf32>
    ```
  }];
  let arguments = (ins Online_MapKindAttr:$kind, Variadic<Index>:$origins,
                       Variadic<Online_Tile>:$inputs,
                       OptionalAttr<I64Attr>:$columns);
  let results = (outs Variadic<Online_Tile>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $kind `(` $origins `)` (`columns` $columns^)? (`ins` `(` $inputs^ `:` type($inputs) `)`)?
    $body attr-dict `->` type($results)
  }];
  let hasVerifier = 1;
}

def Online_MaskOp : Online_Op<"mask", [Pure]> {
  let summary = "Which pairs of the tile are visible";
  let description = [{
    True where the key belongs to the walk's element and the region, if any,
    holds. Where the class is full the region need not be run. With `rows` the
    walk runs over query rows, as in a backward pass, and the row belongs to it.

    Constraints:
    - (C17) the region, where present, takes (m: i64, n: i64) and yields one i1;
      the result is a rank-2 tile of i1

    Example:
    ```mlir
    %p = online.mask at(%m0, %n0) class(%cls) {
    ^bb0(%m: i64, %n: i64):
      %keep = arith.cmpi sge, %m, %n : i64
      online.yield %keep : i1
    } : tensor<128x256xi1>
    ```
  }];
  let arguments = (ins Index:$m0, Index:$n0, Online_ClassType:$cls, UnitAttr:$rows);
  let results = (outs Online_BoolTile:$visible);
  let regions = (region MaxSizedRegion<1>:$body);
  let assemblyFormat = [{
    (`rows` $rows^)? `at` `(` $m0 `,` $n0 `)` `class` `(` $cls `)` ($body^)? attr-dict `:` type($visible)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

// Ops that run a normaliser's regions know where they are: b, h and the global
// origins; the captures are the normaliser's.
def Online_InitOp : Online_Op<"init", [Pure,
     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The state before any key: the seed";
  let description = [{
    Constraints:
    - (C18) t and l of the state are those of the normaliser; the normaliser is
      `#attn.softmax` without captures or an `attn.normalizer` of the same score
      type and captures

    Example:
    ```mlir
    %init = online.init normalizer #attn.softmax at(%b, %h, %m0) : !online.state<128x64xf32, t, l>
    ```
  }];
  let arguments = (ins I64:$b, I64:$h, Index:$m0, AnyAttr:$normalizer,
                       Variadic<AnyMemRef>:$captures, UnitAttr:$unseeded);
  let results = (outs Online_StateType:$state);
  let assemblyFormat = [{
    (`unseeded` $unseeded^)? `normalizer` custom<Normalizer>($normalizer)
    (`(` $captures^ `:` type($captures) `)`)?
    `at` `(` $b `,` $h `,` $m0 `)` attr-dict `:` type($state)
  }];
  let hasVerifier = 1;
}

def Online_StepOp : Online_Op<"step", [AttrSizedOperandSegments, Pure,
     AllTypesMatch<["state", "result"]>,
     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "One tile of scores and values into the state";
  let description = [{
    s' = scale · s + row[m] + col[n], −inf where not visible whatever scale, row
    and col; then t, l and o take the tile's keys (S9). Keys that are not
    visible, or whose s' is −inf, touch nothing. Without `visible` the tile's keys
    are all visible, which needs an element as wide as the tile.

    Constraints:
    - (C19) scores M×N, values N×E, visible M×N, row M, col 1×N for a state M×E;
      scores, scale, row and col have the state's score type, values are floats
    - (C20) the normaliser and the state agree as in C18

    Example:
    ```mlir
    %s1 = online.step %s, %x, %vt visible(%p : tensor<128x256xi1>) scale(%c : f32)
        normalizer #attn.softmax at(%b, %h, %m0, %n0)
      : !online.state<128x64xf32, t, l>, tensor<128x256xf32>, tensor<256x64xf32>
    ```
  }];
  let arguments = (ins Online_StateType:$state, Online_ScoreTile:$scores, Online_Tile:$values,
                       Optional<Online_BoolTile>:$visible, Optional<Online_Score>:$scale,
                       Optional<Online_ScoreTile>:$row, Optional<Online_ScoreTile>:$col,
                       I64:$b, I64:$h, Index:$m0, Index:$n0, AnyAttr:$normalizer,
                       Variadic<AnyMemRef>:$captures);
  let results = (outs Online_StateType:$result);
  let assemblyFormat = [{
    $state `,` $scores `,` $values (`visible` `(` $visible^ `:` type($visible) `)`)?
    (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`row` `(` $row^ `:` type($row) `)`)? (`col` `(` $col^ `:` type($col) `)`)?
    `normalizer` custom<Normalizer>($normalizer)
    (`(` $captures^ `:` type($captures) `)`)?
    `at` `(` $b `,` $h `,` $m0 `,` $n0 `)` attr-dict `:`
    type($state) `,` type($scores) `,` type($values)
  }];
  let hasVerifier = 1;
}

def Online_MergeOp : Online_Op<"merge", [Pure, SameOperandsAndResultType]> {
  let summary = "Joins the states of two disjoint sets of keys";
  let description = [{
    t = max(t1, t2), l and o rescaled by exp(t_i − t) and added (S9). At most one
    of the two was seeded.

    Example: `%s = online.merge %s0, %s1 : !online.state<128x64xf32, t, l>`
  }];
  let arguments = (ins Online_StateType:$lhs, Online_StateType:$rhs);
  let results = (outs Online_StateType:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Online_FinishOp : Online_Op<"finish", [Pure,
     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The results of a state: outputs and lse";
  let description = [{
    out = finish(o, l, t, …), 0 where a denominator l is 0 (S3, S9);
    lse = t + log l, in natural units.

    Constraints:
    - (C21) out is M×E of the score type; lse, where asked for, is M and the
      state has l; the normaliser and the state agree as in C18

    Example:
    ```mlir
    %o, %lse = online.finish %st normalizer #attn.softmax at(%b, %h, %m0)
      : !online.state<128x64xf32, t, l> -> tensor<128x64xf32>, tensor<128xf32>
    ```
  }];
  let arguments = (ins Online_StateType:$state, I64:$b, I64:$h, Index:$m0,
                       AnyAttr:$normalizer, Variadic<AnyMemRef>:$captures);
  let results = (outs Online_ScoreTile:$out, Optional<Online_ScoreTile>:$lse);
  let assemblyFormat = [{
    $state `normalizer` custom<Normalizer>($normalizer)
    (`(` $captures^ `:` type($captures) `)`)?
    `at` `(` $b `,` $h `,` $m0 `)` attr-dict `:`
    type($state) `->` type($out) (`,` type($lse)^)?
  }];
  let hasVerifier = 1;
}

def Online_WeightsOp : Online_Op<"weights", [AttrSizedOperandSegments, Pure,
     AllTypesMatch<["scores", "result"]>,
     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Weights from scores and a given statistic";
  let description = [{
    weight(s, stat[m], b, h, m, n), 0 where not visible. With softmax and the lse
    as the statistic: the probabilities, as the backward pass and two-pass
    normalisers need them.

    Constraints:
    - (C22) scores and result M×N, visible M×N, stat M, of one score type; stat
      is given where the normaliser has a running maximum, and only there

    Example:
    ```mlir
    %p = online.weights %x stat(%lse : tensor<128xf32>) visible(%vis : tensor<128x256xi1>)
        normalizer #attn.softmax at(%b, %h, %m0, %n0) : tensor<128x256xf32>
    ```
  }];
  let arguments = (ins Online_ScoreTile:$scores, Optional<Online_ScoreTile>:$stat,
                       Optional<Online_BoolTile>:$visible, I64:$b, I64:$h, Index:$m0,
                       Index:$n0, AnyAttr:$normalizer, Variadic<AnyMemRef>:$captures);
  let results = (outs Online_ScoreTile:$result);
  let assemblyFormat = [{
    $scores (`stat` `(` $stat^ `:` type($stat) `)`)?
    (`visible` `(` $visible^ `:` type($visible) `)`)?
    `normalizer` custom<Normalizer>($normalizer)
    (`(` $captures^ `:` type($captures) `)`)?
    `at` `(` $b `,` $h `,` $m0 `,` $n0 `)` attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

#endif // FOVEA_DIALECT_ONLINE_OPS
