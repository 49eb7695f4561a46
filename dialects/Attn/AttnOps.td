//===- AttnOps.td - Operations of attn ----------------------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTN_OPS
#define FOVEA_DIALECT_ATTN_OPS

include "Attn/AttnDialect.td"
include "Attn/AttnTypes.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Attn_ScoreType : AnyTypeOf<[F32, F64], "score type (f32 or f64)">;
def Attn_ScalarType
    : AnyTypeOf<[I1, I64, F32, F64], "i1, i64 or the score type">;
def Attn_CaptureElement
    : AnyTypeOf<[I1, I8, UI8, I16, UI16, I32, UI32, I64, F16, BF16, F32, F64],
                "capture element type">;
def Attn_Capture : AnyTypeOf<[RankedTensorOf<[Attn_CaptureElement]>,
                              MemRefOf<[Attn_CaptureElement]>],
                             "ranked tensor or memref of a capture type">;
def Attn_Operand : AnyTypeOf<[4DTensorOf<[F16, BF16, F32, F64]>],
                             "rank-4 tensor of f16, bf16, f32 or f64">;
def Attn_PerBatch : AnyTypeOf<[1DTensorOf<[I64]>], "rank-1 tensor of i64">;

//===----------------------------------------------------------------------===//
// The variant
//===----------------------------------------------------------------------===//

def Attn_AttentionOp : Attn_Op<"attention",
    [AttrSizedOperandSegments, IsolatedFromAbove, Pure,
     DeclareOpInterfaceMethods<SymbolUserOpInterface>,
     DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "One attention variant";
  let description = [{
    For every batch b, query head h and query position m (S1–S12):

    ```
    s[n]    = Σ_pairs scale · Σ_d query[b,h,m,d] · key[b, h / (Hq/Hk), n, d]
    s'[n]   = score(s[n], b, h, m, n)
    keep[n] = mask(b, h, m, n), and s'[n] ≠ −inf, n < kv_lengths[b]
    out, lse = normalizer over the kept n of (s'[n], value[b, h/(Hq/Hk), n, :])
    ```

    b, h, m, n are the global indices: m and n include `q_offset[b]` and
    `kv_offset[b]` (S6). Rows m ≥ `q_lengths[b]` are dead. An absent region is
    the identity (score) or all-true (mask). A (query, key) pair more adds its
    dot product to the score. Types at the end stand in the order of the operands.
    With a block mask the keys of an empty tile are invisible, those of a full
    tile visible without asking the mask, those of a partial one ask it.

    Constraints:
    - (C1) query, key and value have the same element type
    - (C2) the feature dims of query i and key i are equal and static
    - (C3) value's feature dim is static, and out's equals it
    - (C4) as many scales as (query, key) pairs, at least one, of the score
      type: f64 for f64 operands, else f32
    - (C5) the score region takes (s, b, h, m, n, captures…) and yields one
      score; the mask region takes (b, h, m, n, captures…) and yields one i1
    - (C6) ops of a region are scalar and of the allowed set (see the dialect)
    - (C7) out has the element type of value; lse has the score type and rank 3
    - (C8) the normaliser is `#attn.softmax` or a symbol that resolves to an
      `attn.normalizer` with the same score type and capture types
    - (C9) lse needs a normaliser with a denominator (S4)
    - (C10) static batch, head and length dims agree; query heads are a multiple
      of key heads
    - (C11) offsets and lengths have one entry a batch

    Example:
    ```mlir
    %o, %lse = attn.attention query(%q) key(%k) value(%v) captures(%slopes)
        normalizer #attn.softmax scale(%c)
      score {
      ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %t: tensor<?xf32>):
        %slope = attn.read %t[%h] : tensor<?xf32> -> f32
        %d = arith.subi %n, %m : i64
        %df = arith.sitofp %d : i64 to f32
        %bias = arith.mulf %slope, %df : f32
        %s2 = arith.addf %s, %bias : f32
        attn.yield %s2 : f32
      }
      mask {
      ^bb0(%b: i64, %h: i64, %m: i64, %n: i64, %t: tensor<?xf32>):
        %keep = arith.cmpi sge, %m, %n : i64
        attn.yield %keep : i1
      }
      : (tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>,
         tensor<?xf32>, f32) -> (tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>)
    ```
  }];
  let arguments = (ins Variadic<Attn_Operand>:$queries,
                       Variadic<Attn_Operand>:$keys, Attn_Operand:$value,
                       Variadic<RankedTensorOf<[Attn_CaptureElement]>>:$captures,
                       Variadic<Attn_ScoreType>:$scales,
                       Variadic<RankedTensorOf<[Attn_CaptureElement]>>:$normalizerCaptures,
                       Optional<Attn_PerBatch>:$qOffset,
                       Optional<Attn_PerBatch>:$kvOffset,
                       Optional<Attn_PerBatch>:$qLengths,
                       Optional<Attn_PerBatch>:$kvLengths,
                       Optional<Attn_BlockMaskType>:$blockMask,
                       AnyAttr:$normalizer);
  let results = (outs Attn_Operand:$out,
                      Optional<3DTensorOf<[F32, F64]>>:$lse);
  let regions = (region MaxSizedRegion<1>:$score, MaxSizedRegion<1>:$mask);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// The type scores are computed in: f64 for f64 operands, else f32 (S1).
    static Type getScoreTypeFor(Type elementType);
    Type getScoreType();
    Type getElementType();
    /// The normaliser's symbol, or null for `#attn.softmax`.
    NormalizerOp lookupNormalizer();
    bool hasScore() { return !getScore().empty(); }
    bool hasMask() { return !getMask().empty(); }
  }];
}

def Attn_NormalizerOp : Attn_Op<"normalizer", [Symbol, IsolatedFromAbove,
     DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "How scores become weights: a row state (t, l, o) and its laws";
  let description = [{
    The algebra of S9 for `attn.attention`: `stat(s)` feeds the running maximum
    t, `weight(s, t, …)` multiplies v, `denom(s, t, …)` adds to l, `seed` gives
    (t0, l0), `seed_value` o0 per feature, `finish` the result per element.
    Every region takes its captures as trailing arguments, typed by
    `captures = [...]` in the order of the attention op's normaliser operands.

    | region | arguments | yields | where absent |
    |---|---|---|---|
    | stat | s | score | t is none (0 in the regions) |
    | weight | s, t, b, h, m, n | score | (required) |
    | denom | s, t, b, h, m, n | score | no denominator |
    | seed | b, h, m | t0, l0 | (−inf, 0) |
    | seed_value | b, h, m, e | score | 0 |
    | finish | o, l, t, b, h, m, e | score | o / l with denom, else o |

    Constraints:
    - (C12) each region's arguments and results are as in the table
    - (C13) t enters weight and denom only as a factor exp(−t), if stat is
      present; where stat is absent they do not use t
    - (C14) ops of a region are scalar and of the allowed set

    Example:
    ```mlir
    attn.normalizer @sink score_type f32 captures [tensor<?xf32>]
      stat {
      ^bb0(%s: f32, %sigma: tensor<?xf32>):
        attn.yield %s : f32
      } weight {
      ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf32>):
        %d = arith.subf %s, %t : f32
        %p = math.exp %d : f32
        attn.yield %p : f32
      } denom { … } seed {
      ^bb0(%b: i64, %h: i64, %m: i64, %sigma: tensor<?xf32>):
        %t0 = attn.read %sigma[%h] : tensor<?xf32> -> f32
        %l0 = arith.constant 1.0 : f32
        attn.yield %t0, %l0 : f32, f32
      }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$score_type,
                       TypeArrayAttr:$capture_types);
  let regions = (region MaxSizedRegion<1>:$stat, MaxSizedRegion<1>:$weight,
                        MaxSizedRegion<1>:$denom, MaxSizedRegion<1>:$seed,
                        MaxSizedRegion<1>:$seed_value,
                        MaxSizedRegion<1>:$finish);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool hasStat() { return !getStat().empty(); }
    bool hasDenom() { return !getDenom().empty(); }
  }];
}

def Attn_YieldOp : Attn_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "Ends a region with its results";
  let description = [{ Example: `attn.yield %s2 : f32` }];
  let arguments = (ins Variadic<Attn_ScalarType>:$results);
  let assemblyFormat = "attr-dict ($results^ `:` type($results))?";
}

//===----------------------------------------------------------------------===//
// Scalars in regions
//===----------------------------------------------------------------------===//

def Attn_ReadOp : Attn_Op<"read", [Pure]> {
  let summary = "Reads a captured tensor; total";
  let description = [{
    Reads one element. Each index is clamped to [0, size) (S7); `in_range`
    promises that the clamp changes nothing. An element is converted to the
    type of S13: bool to i1, integers to i64, floats to the score type. Reading
    a tensor with an empty dimension gives zero.

    Constraints:
    - (C15) one i64 index per dimension
    - (C16) the result is i1 for i1, i64 for integers, f32 or f64 for floats

    Example: `%b = attn.read %bias[%h, %d] : tensor<?x?xbf16> -> f32`
  }];
  let arguments = (ins Attn_Capture:$source, Variadic<I64>:$indices,
                       UnitAttr:$in_range);
  let results = (outs Attn_ScalarType:$result);
  let assemblyFormat = [{
    (`in_range` $in_range^)? $source `[` $indices `]` attr-dict `:`
    type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Attn_ExtentOp : Attn_Op<"extent", [Pure]> {
  let summary = "A dimension of a captured tensor";
  let description = [{
    Constraints:
    - (C17) the dimension is within the rank

    Example: `%s = attn.extent %doc, 0 : tensor<?xi32>`
  }];
  let arguments = (ins Attn_Capture:$source, I64Attr:$dim);
  let results = (outs I64:$result);
  let assemblyFormat = "$source `,` $dim attr-dict `:` type($source)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Attn_SizeOp : Attn_Op<"size", [Pure]> {
  let summary = "A size of the enclosing variant";
  let description = [{
    One of B, H (query heads), Hk, M, N, D, E: what the operands have, without
    offsets and lengths. D is that of the first (query, key) pair.

    Example: `%n = attn.size N`
  }];
  let arguments = (ins Attn_SizeKindAttr:$kind);
  let results = (outs I64:$result);
  let assemblyFormat = "$kind attr-dict";
}

def Attn_ParamOp : Attn_Op<"param", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "A compile-time parameter and its default";
  let description = [{
    `-attn-bind-params` replaces it by a constant: the default, or what the
    pass option gives (`W=64`).

    Constraints:
    - (C18) the value is an i1, an i64 or a float of the score type

    Example: `%w = attn.param "W" = 4096 : i64`
  }];
  let arguments = (ins StrAttr:$name, TypedAttrInterface:$value);
  let results = (outs Attn_ScalarType:$result);
  let assemblyFormat = "$name `=` $value attr-dict";
  let hasVerifier = 1;
}

class Attn_IntBinaryOp<string mnemonic, string text, list<Trait> traits = []>
    : Attn_Op<mnemonic, !listconcat([Pure, SameOperandsAndResultType], traits)> {
  let summary = text;
  let arguments = (ins I64:$lhs, I64:$rhs);
  let results = (outs I64:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
  let hasFolder = 1;
}

def Attn_FloorDivOp : Attn_IntBinaryOp<"floordiv", "Floor division, total"> {
  let description = [{
    Rounds towards −inf as Python's `//`; x // 0 = 0; −2⁶³ // −1 wraps (S8).

    Example: `%q = attn.floordiv %a, %b`
  }];
}
def Attn_ModOp : Attn_IntBinaryOp<"mod", "Floor remainder, total"> {
  let description = [{
    Has the sign of the divisor as Python's `%`; x % 0 = 0 (S8).

    Example: `%r = attn.mod %a, %b`
  }];
}
def Attn_ShlOp : Attn_IntBinaryOp<"shl", "Left shift, total"> {
  let description = [{
    A count outside 0…63 gives 0 (S8).

    Example: `%r = attn.shl %a, %b`
  }];
}
def Attn_ShrOp : Attn_IntBinaryOp<"shr", "Arithmetic right shift, total"> {
  let description = [{
    A count outside 0…63 gives 0, or −1 for a negative value (S8).

    Example: `%r = attn.shr %a, %b`
  }];
}
def Attn_ToIntOp : Attn_Op<"to_int", [Pure]> {
  let summary = "Float to integer, total";
  let description = [{
    Truncates towards zero and saturates to i64; NaN gives 0 (S8).

    Example: `%i = attn.to_int %x : f32`
  }];
  let arguments = (ins Attn_ScoreType:$source);
  let results = (outs I64:$result);
  let assemblyFormat = "$source attr-dict `:` type($source)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Block masks and partial results
//===----------------------------------------------------------------------===//

def Attn_BlockMaskCreateOp : Attn_Op<"block_mask.create", [IsolatedFromAbove, Pure]> {
  let summary = "A block mask from a mask region";
  let description = [{
    Classifies the tiles of the mask over sizes (B, H, Q, KV), exactly.
    Positions past Q or KV count as masked.

    Constraints:
    - (C19) the region takes (b, h, m, n, captures…) and yields one i1

    Example:
    ```mlir
    %bm = attn.block_mask.create sizes(%b, %h, %q, %kv) captures(%doc : tensor<?xi32>) {
    ^bb0(%bi: i64, %hi: i64, %m: i64, %n: i64, %d: tensor<?xi32>):
      %x = attn.read %d[%m] : tensor<?xi32> -> i64
      %y = attn.read %d[%n] : tensor<?xi32> -> i64
      %keep = arith.cmpi eq, %x, %y : i64
      attn.yield %keep : i1
    } : !attn.block_mask<128x64>
    ```
  }];
  let arguments = (ins I64:$batch, I64:$heads, I64:$qLength, I64:$kvLength,
                       Variadic<RankedTensorOf<[Attn_CaptureElement]>>:$captures);
  let results = (outs Attn_BlockMaskType:$result);
  let regions = (region SizedRegion<1>:$mask);
  let assemblyFormat = [{
    `sizes` `(` $batch `,` $heads `,` $qLength `,` $kvLength `)`
    (`captures` `(` $captures^ `:` type($captures) `)`)? $mask attr-dict `:` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Attn_BlockMaskFromListsOp : Attn_Op<"block_mask.from_lists",
    [AttrSizedOperandSegments, Pure]> {
  let summary = "A block mask from FlexAttention's lists";
  let description = [{
    `num` [B,H,Qb] and `indices` [B,H,Qb,KVb] list the partial tiles of each row
    of tiles, the optional `full` pair the full ones.

    Constraints:
    - (C20) `full_num` and `full_indices` come together

    Example:
    ```mlir
    %bm = attn.block_mask.from_lists partial(%n, %i) full(%fn, %fi)
      : (tensor<?x?x?xi32>, tensor<?x?x?x?xi32>, tensor<?x?x?xi32>,
         tensor<?x?x?x?xi32>) -> !attn.block_mask<128x128>
    ```
  }];
  let arguments = (ins 3DTensorOf<[I32]>:$num, 4DTensorOf<[I32]>:$indices,
                       Optional<3DTensorOf<[I32]>>:$fullNum,
                       Optional<4DTensorOf<[I32]>>:$fullIndices);
  let results = (outs Attn_BlockMaskType:$result);
  let assemblyFormat = [{
    `partial` `(` $num `,` $indices `)`
    (`full` `(` $fullNum^ `,` $fullIndices `)`)? attr-dict `:`
    functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

def Attn_BlockMaskTransposeOp : Attn_Op<"block_mask.transpose", [Pure]> {
  let summary = "Swaps the query and key axes of a block mask";
  let description = [{
    The lists that a backward pass over key tiles walks.

    Constraints:
    - (C21) the result's tile is the source's with its axes swapped

    Example:
    ```mlir
    %t = attn.block_mask.transpose %bm
      : !attn.block_mask<128x64> -> !attn.block_mask<64x128>
    ```
  }];
  let arguments = (ins Attn_BlockMaskType:$source);
  let results = (outs Attn_BlockMaskType:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Attn_MergeOp : Attn_Op<"merge", [Pure, SameVariadicOperandSize]> {
  let summary = "Joins partial results over disjoint sets of keys";
  let description = [{
    With L = log Σ exp(lse_i): out = Σ exp(lse_i − L) · out_i, lse = L (S9). A
    part with lse = −inf has no influence; where all are, out is 0 (S3).

    Constraints:
    - (C22) at least one part; all outs have one type, all lses have one type

    Example:
    ```mlir
    %o, %l = attn.merge outs(%o0, %o1) lses(%l0, %l1)
      : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
    ```
  }];
  let arguments = (ins Variadic<Attn_Operand>:$outs,
                       Variadic<3DTensorOf<[F32, F64]>>:$lses);
  let results = (outs Attn_Operand:$out, 3DTensorOf<[F32, F64]>:$lse);
  let assemblyFormat = [{
    `outs` `(` $outs `)` `lses` `(` $lses `)` attr-dict `:`
    custom<MergeTypes>(type($outs), type($lses), type($out), type($lse),
                       ref($outs), ref($lses))
  }];
  let hasVerifier = 1;
}

#endif // FOVEA_DIALECT_ATTN_OPS
