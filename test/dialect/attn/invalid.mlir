// RUN: fovea-opt %s --split-input-file --verify-diagnostics

// C1
func.func @c1_element_types(%q: tensor<?x?x?x64xf16>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{query #0 has element type 'f16', value has 'f32'}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf16>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C1
func.func @c1_key(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xbf16>, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{key #0 has element type 'bf16', value has 'f32'}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xbf16>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C2
func.func @c2_feature_dims(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x32xf32>, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{query #0 has feature dim 64, its key has 32}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x32xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C2
func.func @c2_dynamic(%q: tensor<?x?x?x?xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{query #0 must have a static feature dim}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x?xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C3
func.func @c3_value_dim(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x?xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{value must have a static feature dim}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x?xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C3
func.func @c3_out_dim(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x48xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{out has feature dim 64, value has 48}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x48xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C4
func.func @c4_scale_count(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{needs one scale per pair, got 2 scales for 1 pairs}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c, %c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C4
func.func @c4_pairs(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{needs one key per query and at least one pair, got 2 queries and 1 keys}}
  %o = attn.attention query(%q, %q) key(%q) value(%q) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C4
func.func @c4_scale_type(%q: tensor<?x?x?x64xf64>, %c: f32) -> tensor<?x?x?x64xf64> {
  // expected-error@+1 {{scale has type 'f32', the score type is 'f64'}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf64>, tensor<?x?x?x64xf64>, tensor<?x?x?x64xf64>, f32) -> tensor<?x?x?x64xf64>
  return %o : tensor<?x?x?x64xf64>
}

// -----

// C5
func.func @c5_score_arguments(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{score region must take ('f32', 'i64', 'i64', 'i64', 'i64'), got ('f32', 'i64')}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64):
      attn.yield %s : f32
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C5
func.func @c5_mask_result(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      // expected-error@+1 {{in the mask region must give ('i1'), got ('i64')}}
      attn.yield %m : i64
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C6: a division that is not total
func.func @c6_division(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-note@+1 {{region of this op}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      // expected-error@+1 {{is not allowed in the mask region: only scalar ops on i1, i64 and the score type, with total integer arithmetic}}
      %d = arith.divsi %m, %n : i64
      %keep = arith.cmpi eq, %d, %b : i64
      attn.yield %keep : i1
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C6: a float that is not of the score type
func.func @c6_float_type(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-note@+1 {{region of this op}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      // expected-error@+1 {{is not allowed in the mask region}}
      %x = arith.sitofp %m : i64 to f64
      %y = arith.sitofp %n : i64 to f64
      %keep = arith.cmpf olt, %x, %y : f64
      attn.yield %keep : i1
    } : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C7
func.func @c7_out_type(%q: tensor<?x?x?x64xf16>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{out has element type 'f32', value has 'f16'}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C7
func.func @c7_lse_type(%q: tensor<?x?x?x64xf16>, %c: f32) -> tensor<?x?x?x64xf16> {
  // expected-error@+1 {{lse has element type 'f64', the score type is 'f32'}}
  %o, %l = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>, f32) -> (tensor<?x?x?x64xf16>, tensor<?x?x?xf64>)
  return %o : tensor<?x?x?x64xf16>
}

// -----

// C8
func.func @c8_unknown(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{@nothing does not name an 'attn.normalizer'}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer @nothing scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C8
func.func @c8_attribute(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{normalizer must be #attn.softmax or a symbol, got "softmax"}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer "softmax" scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C8
func.func @c8_softmax_captures(%q: tensor<?x?x?x64xf32>, %c: f32, %s: tensor<?xf32>) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{#attn.softmax takes no captures, got 1}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax(%s) scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32, tensor<?xf32>) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C8
// expected-note@+1 {{normalizer declared here}}
attn.normalizer @relu score_type f64
  weight {
  ^bb0(%s: f64, %t: f64, %b: i64, %h: i64, %m: i64, %n: i64):
    %z = arith.constant 0.0 : f64
    %w = arith.maximumf %s, %z : f64
    attn.yield %w : f64
  }
func.func @c8_score_type(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{score type of @relu is 'f64', needs 'f32'}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer @relu scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C8
// expected-note@+1 {{normalizer declared here}}
attn.normalizer @relu score_type f32 captures [tensor<?xf32>]
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %x: tensor<?xf32>):
    attn.yield %s : f32
  }
func.func @c8_captures(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{capture list of @relu is [tensor<?xf32>], needs []}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer @relu scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C9
attn.normalizer @relu score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    attn.yield %s : f32
  }
func.func @c9_lse(%q: tensor<?x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{lse needs a normalizer with a denominator, @relu has none}}
  %o, %l = attn.attention query(%q) key(%q) value(%q) normalizer @relu scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, f32) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>)
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C10
func.func @c10_heads(%q: tensor<?x6x?x64xf32>, %k: tensor<?x4x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{query heads must be a multiple of key heads, got 6 and 4}}
  %o = attn.attention query(%q) key(%k) value(%k) normalizer #attn.softmax scale(%c) : (tensor<?x6x?x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C10
func.func @c10_lengths(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x10x64xf32>, %v: tensor<?x?x12x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{value has size 12 in dim 2, key has 10}}
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (tensor<?x?x?x64xf32>, tensor<?x?x10x64xf32>, tensor<?x?x12x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C10
func.func @c10_batch(%q: tensor<3x?x?x64xf32>, %k: tensor<2x?x?x64xf32>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{key has batch size 2, query has 3}}
  %o = attn.attention query(%q) key(%k) value(%k) normalizer #attn.softmax scale(%c) : (tensor<3x?x?x64xf32>, tensor<2x?x?x64xf32>, tensor<2x?x?x64xf32>, f32) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C11
func.func @c11_offsets(%q: tensor<3x?x?x64xf32>, %off: tensor<2xi64>, %c: f32) -> tensor<?x?x?x64xf32> {
  // expected-error@+1 {{offsets and lengths need one entry a batch, got 2 for 3 batches}}
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c) q_offset(%off) : (tensor<3x?x?x64xf32>, tensor<3x?x?x64xf32>, tensor<3x?x?x64xf32>, f32, tensor<2xi64>) -> tensor<?x?x?x64xf32>
  return %o : tensor<?x?x?x64xf32>
}

// -----

// C12
// expected-error@+1 {{stat region must take ('f32'), got ('f64')}}
attn.normalizer @c12 score_type f32
  stat {
  ^bb0(%s: f64):
    attn.yield %s : f64
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    attn.yield %s : f32
  }

// -----

// C12
// expected-error@+1 {{needs a weight region}}
attn.normalizer @c12_weight score_type f32

// -----

// C12
// expected-error@+1 {{score type must be f32 or f64, got 'bf16'}}
attn.normalizer @c12_type score_type bf16
  weight {
  ^bb0(%s: bf16):
    attn.yield
  }

// -----

// C13: with a stat, the weight must rescale
// expected-error@+1 {{weight must be a multiple of exp(-t): t may enter it only as exp(x - t) times something free of t}}
attn.normalizer @c13 score_type f32
  stat {
  ^bb0(%s: f32):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    // expected-note@+1 {{the weight is given here}}
    attn.yield %d : f32
  }

// -----

// C13: exp(t - s) grows with t
// expected-error@+1 {{denom must be a multiple of exp(-t)}}
attn.normalizer @c13_sign score_type f32
  stat {
  ^bb0(%s: f32):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } denom {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %t, %s : f32
    %p = math.exp %d : f32
    // expected-note@+1 {{the denom is given here}}
    attn.yield %p : f32
  }

// -----

// C13: the product of two factors is exp(-2t)
// expected-error@+1 {{weight must be a multiple of exp(-t)}}
attn.normalizer @c13_square score_type f32
  stat {
  ^bb0(%s: f32):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    %pp = arith.mulf %p, %p : f32
    // expected-note@+1 {{the weight is given here}}
    attn.yield %pp : f32
  }

// -----

// C13: exp(0) does not shrink with t
// expected-error@+1 {{weight must be a multiple of exp(-t)}}
attn.normalizer @c13_select score_type f32
  stat {
  ^bb0(%s: f32):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %zero = arith.constant 0.0 : f32
    %some = arith.cmpf olt, %s, %zero : f32
    %d = arith.subf %s, %t : f32
    %chosen = arith.select %some, %d, %zero : f32
    %p = math.exp %chosen : f32
    // expected-note@+1 {{the weight is given here}}
    attn.yield %p : f32
  }

// -----

// C13: without a stat there is no t
// expected-error@+1 {{weight must not use t: this normalizer has no stat}}
attn.normalizer @c13_no_stat score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %d = arith.subf %s, %t : f32
    // expected-note@+1 {{the weight is given here}}
    attn.yield %d : f32
  }

// -----

// C14
// expected-note@+1 {{region of this op}}
attn.normalizer @c14 score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    // expected-error@+1 {{is not allowed in the weight region}}
    %w = math.cbrt %s : f32
    attn.yield %w : f32
  }

// -----

// C15
func.func @c15(%t: tensor<?x?xf32>, %i: i64) -> f32 {
  // expected-error@+1 {{needs one index per dimension: 'tensor<?x?xf32>' has 2, got 1}}
  %r = attn.read %t[%i] : tensor<?x?xf32> -> f32
  return %r : f32
}

// -----

// C16
func.func @c16_int(%t: tensor<?xi8>, %i: i64) -> f32 {
  // expected-error@+1 {{of 'i8' elements gives 'i64', not 'f32'}}
  %r = attn.read %t[%i] : tensor<?xi8> -> f32
  return %r : f32
}

// -----

// C16
func.func @c16_float(%t: tensor<?xbf16>, %i: i64) -> i64 {
  // expected-error@+1 {{of 'bf16' elements gives the score type, not 'i64'}}
  %r = attn.read %t[%i] : tensor<?xbf16> -> i64
  return %r : i64
}

// -----

// C17
func.func @c17(%t: tensor<?xf32>) -> i64 {
  // expected-error@+1 {{dimension 1 is not within rank 1}}
  %r = attn.extent %t, 1 : tensor<?xf32>
  return %r : i64
}

// -----

// C18
func.func @c18() -> i64 {
  // expected-error@+1 {{result #0 must be i1, i64 or the score type, but got 'i32'}}
  %w = "attn.param"() <{name = "W", value = 4 : i32}> : () -> i32
  %c = arith.constant 0 : i64
  return %c : i64
}

// -----

// C19
func.func @c19(%b: i64) -> !attn.block_mask<64x64> {
  // expected-error@+1 {{mask region must take ('i64', 'i64', 'i64', 'i64'), got ('i64')}}
  %bm = attn.block_mask.create sizes(%b, %b, %b, %b) {
  ^bb0(%m: i64):
    %t = arith.constant true
    attn.yield %t : i1
  } : !attn.block_mask<64x64>
  return %bm : !attn.block_mask<64x64>
}

// -----

// C20
func.func @c20(%n: tensor<?x?x?xi32>, %i: tensor<?x?x?x?xi32>) -> !attn.block_mask<64x64> {
  // expected-error@+1 {{full counts and full indices come together}}
  %bm = "attn.block_mask.from_lists"(%n, %i, %n) <{operandSegmentSizes = array<i32: 1, 1, 1, 0>}> : (tensor<?x?x?xi32>, tensor<?x?x?x?xi32>, tensor<?x?x?xi32>) -> !attn.block_mask<64x64>
  return %bm : !attn.block_mask<64x64>
}

// -----

// C21
func.func @c21(%bm: !attn.block_mask<128x64>) -> !attn.block_mask<128x64> {
  // expected-error@+1 {{result tile must be the source's with its axes swapped, got '!attn.block_mask<128x64>' and '!attn.block_mask<128x64>'}}
  %t = attn.block_mask.transpose %bm : !attn.block_mask<128x64> -> !attn.block_mask<128x64>
  return %t : !attn.block_mask<128x64>
}

// -----

// C22
func.func @c22(%o: tensor<1x2x3x4xf32>, %p: tensor<1x2x3x5xf32>, %l: tensor<1x2x3xf32>) -> tensor<1x2x3x4xf32> {
  // expected-error@+1 {{all parts must have the type of the result}}
  %m, %n = "attn.merge"(%o, %p, %l, %l) : (tensor<1x2x3x4xf32>, tensor<1x2x3x5xf32>, tensor<1x2x3xf32>, tensor<1x2x3xf32>) -> (tensor<1x2x3x4xf32>, tensor<1x2x3xf32>)
  return %m : tensor<1x2x3x4xf32>
}

// -----

// The type's own rules
// expected-error@+1 {{tile sizes must be positive, got 0}}
func.func private @tile(!attn.block_mask<0x64>)

// -----

// expected-error@+1 {{expected a query tile and a key tile, got 3 sizes}}
func.func private @tile_rank(!attn.block_mask<64x64x64>)
