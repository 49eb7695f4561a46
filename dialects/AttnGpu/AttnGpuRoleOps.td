//===- AttnGpuRoleOps.td - Operations of roles --------------*- tablegen -*-===//
//
// Channels, roles and what they do, products in flight. Included at the end of
// AttnGpuOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef FOVEA_DIALECT_ATTNGPU_ROLEOPS
#define FOVEA_DIALECT_ATTNGPU_ROLEOPS

def AttnGpu_ChannelOp : AttnGpu_Op<"channel", [MemoryEffects<[MemAlloc]>]> {
  let summary = "Makes a channel";
  let description = [{
    `offset` is the byte offset in shared memory, once -attn-gpu-budget has run.

    Constraints:
    - (C36) offset, where set, is a multiple of 1024 bytes, as swizzles and
      descriptors ask for

    Example: `%kc = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>`
  }];
  let arguments = (ins StrAttr:$label, OptionalAttr<I64Attr>:$offset);
  let results = (outs AttnGpu_ChannelType:$channel);
  let assemblyFormat = "$label attr-dict `:` qualified(type($channel))";
  let hasVerifier = 1;
}

def AttnGpu_GridDependencyWaitOp : AttnGpu_Op<"grid_dependency.wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits for the kernel ahead on the stream";
  let description = [{
    A kernel with this op may begin while the one ahead of it on the stream still
    runs. The op lasts until that one has ended and what it wrote can be read.
    Every block of threads gets there, so the end of a kernel says the same of all
    kernels ahead of it.

    Constraints:
    - (C46) stands in a kernel's own block, ahead of all that reads or writes
      tensors or takes tiles

    Example: `attn_gpu.grid_dependency.wait`
  }];
  let arguments = (ins);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def AttnGpu_SpecializeOp : AttnGpu_Op<"specialize", [SingleBlock, NoTerminator,
     RecursiveMemoryEffects]> {
  let summary = "Roles that run side by side in one block of threads";
  let description = [{
    `pin`, `branch` and `edges` are the schedule's, for -attn-gpu-place-awaits,
    -attn-gpu-classify-uniform and -attn-gpu-narrow-edges.

    Constraints:
    - (C19) holds roles alone: one that loads, then one that computes
    - (C35) registers, where set, are set for both roles: a multiple of 8 from 24
      to 240 a thread, all threads together at most what a launch with the same
      number for all of them can have

    Example: `attn_gpu.specialize { attn_gpu.role load … attn_gpu.role mma … }`
  }];
  let arguments = (ins DefaultValuedAttr<I64Attr, "0">:$pin, UnitAttr:$branch, UnitAttr:$edges);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`pin` $pin^)? (`branch` $branch^)? (`edges` $edges^)? attr-dict-with-keyword $body";
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
    `load` is one thread of one warpgroup, or of several of its warps, which fills
    channels; `mma` runs in
    `groups` warpgroups, which read them. `registers` a thread are set by
    -attn-gpu-budget.

    Constraints:
    - (C20) one group loads; 1 to 3 compute
    - (C21) only `load` fills, fetches and shares tiles; only `mma` waits, releases and
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
    channel; so for `wait`, and for `release` the oldest that it holds. A tile's
    rows come from one place of the view, or in equal parts from several. The
    region, evaluated as that of `diagonal`, gives the diagvec beside the tile.
    With `readers`, one number a group, those whose number is 0 do not read the
    use: they neither wait for it nor release it. The fills of a loading role may
    be shared out to its warps, each of which runs all else: a fill is the
    business of `warp`.

    Constraints:
    - (C22) the channel's tile has the view's columns and element type
    - (C23) as many records as the channel's type says
    - (C31) the region, with its origins (m0, n0), is there if the channel has a
      diagonal; it is as that of C30
    - (C34) readers are none, or one for each group that computes
    - (C37) warp is 0 to 3
    - (C44) parts have whole groups of 64 rows, and are of no cluster's channel

    Example: `attn_gpu.fill %kc[%it], %K[%n0] : !attn_gpu.channel<…>, !online.view<?x64xbf16, ragged>`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Optional<Index>:$use, AttnGpu_View:$view,
                       Variadic<Index>:$rows, Variadic<Index>:$records, Variadic<Index>:$readers,
                       Variadic<Index>:$origins, DefaultValuedAttr<I64Attr, "0">:$warp);
  let regions = (region MaxSizedRegion<1>:$diagonal);
  let assemblyFormat = [{
    $channel (`[` $use^ `]`)? `,` $view `[` $rows `]` (`records` `(` $records^ `)`)?
    (`readers` `(` $readers^ `)`)? (`warp` $warp^)? (`diagonal` `at` `(` $origins^ `)` $diagonal)? attr-dict `:`
    qualified(type($channel)) `,` qualified(type($view))
  }];
  let builders = [OpBuilder<(ins "Value":$channel, "Value":$use, "Value":$view,
                                 "ValueRange":$rows, "ValueRange":$records), [{
    build($_builder, $_state, channel, use, view, rows, records, ValueRange(), ValueRange(), 0);
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
    The last `own` · groups records are `own` for each group; a group reads those
    for it.

    Constraints:
    - (C23) as `fill`: a result for each record of the channel, of those for
      groups `own`

    Example: `%live, %m0 = attn_gpu.record %qc[%qi] : !attn_gpu.channel<…> -> index, index`
  }];
  let arguments = (ins AttnGpu_ChannelType:$channel, Index:$use, DefaultValuedAttr<I64Attr, "0">:$own);
  let results = (outs Variadic<Index>:$records);
  let assemblyFormat = "$channel `[` $use `]` (`own` $own^)? attr-dict `:` qualified(type($channel)) `->` type($records)";
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

def AttnGpu_MmaStartOp : AttnGpu_MmaBase<"mma.start", AttnGpu_PendingType,
    [AttrSizedOperandSegments], (ins Optional<Index>:$keys), "(`keys` `(` $keys^ `)`)?"> {
  let summary = "Starts a product";
  let description = [{
    As `mma`, but the result is in flight; products end in the order of their
    starts. With `keys` those from that one on need not take part: of scores
    (`transposed`) their columns are unspecified, of outputs their weights are
    zero. It may be negative, or more than there are.

    Constraints:
    - (C6), (C7) as `mma`
    - (C41) keys are of scores, or of outputs with weights in registers
    - (C25) the result is awaited once, in the block of the start and so on every
      path, and used by nothing else

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

def AttnGpu_GroupOp : AttnGpu_Op<"group", [Pure]> {
  let summary = "The number of this warpgroup in its role";
  let description = [{
    Rows 64 · group … of a query tile are its own.

    Constraints:
    - (C42) stands in a role that computes

    Example: `%g = attn_gpu.group`
  }];
  let arguments = (ins);
  let results = (outs Index:$number);
  let assemblyFormat = "attr-dict";
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
    Where several warps load, the first one takes the tile, and the others are
    told; `number` says which one it is of this block of threads. With `cluster`
    2 two neighbouring blocks take tiles 2i and 2i + 1, of which there is an even
    number: the first one takes both, and the result is the first of them there;
    in the other block it is nothing until `tile.share`.

    Constraints:
    - (C39) cluster is 1 or 2; with 2 the tile is shared, once and by nothing else
      used

    Example: `%t = attn_gpu.tile.fetch of %tiles`
  }];
  let arguments = (ins Index:$tiles, Optional<Index>:$number,
                       DefaultValuedAttr<I64Attr, "1">:$cluster);
  let results = (outs Index:$tile);
  let assemblyFormat = "`of` $tiles (`number` $number^)? (`cluster` $cluster^)? attr-dict";
  let hasVerifier = 1;
}

def AttnGpu_TileShareOp : AttnGpu_Op<"tile.share", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Tells a cluster's other block which tiles were taken";
  let description = [{
    The tile of this block of threads, of the two that the first block of the
    cluster has fetched. `number` says which fetch it was. It waits for the other
    block; what takes time between fetch and share hides the fetch.

    Constraints:
    - (C40) the tile is that of a `tile.fetch` with cluster 2

    Example: `%u = attn_gpu.tile.share %t number %n`
  }];
  let arguments = (ins Index:$fetched, Index:$number);
  let results = (outs Index:$tile);
  let assemblyFormat = "$fetched `number` $number attr-dict";
  let hasVerifier = 1;
}

def AttnGpu_SectionOp : AttnGpu_Op<"section", [Pure]> {
  let summary = "How many heads are walked together";
  let description = [{
    Launch values, chosen by the runtime: how many heads a section has, and how
    many the last one. What the last one leaves of batch × heads is a multiple
    of `heads`. Where tiles are fetched by clusters both are even.

    Example: `%g, %last = attn_gpu.section`
  }];
  let arguments = (ins);
  let results = (outs Index:$heads, Index:$last);
  let assemblyFormat = "attr-dict";
}

def AttnGpu_BatchOp : AttnGpu_Op<"batch", [Pure]> {
  let summary = "Which batch a launch takes at a place";
  let description = [{
    A launch value, chosen by the runtime: the batches in the order in which
    tiles are taken, those with the most keys first, as long tiles should not be
    the last ones. `place` is from 0 to the number of batches less 1.

    Example: `%b = attn_gpu.batch %place`
  }];
  let arguments = (ins Index:$place);
  let results = (outs Index:$batch);
  let assemblyFormat = "$place attr-dict";
}

#endif // FOVEA_DIALECT_ATTNGPU_ROLEOPS
