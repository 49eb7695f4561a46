// RUN: fovea-interpret %s -interpret-attn -o /dev/null | FileCheck %s

// S1, S2, S4: scores 0 but for the mod, which gives n; the mask selects after it.
// Row 2: weights 1 and e, so 2 + e/(1+e); lse 1 + log(1+e).
// CHECK: softmax#0 = [{{\[\[}}[1, 10], [2, 20], [2.73106, 27.3106]]]]
// CHECK: softmax#1 = {{\[\[}}[0, 1, 2.31326]]]
func.func @softmax() -> (tensor<1x1x3x2xf64>, tensor<1x1x3xf64>) {
  %q = arith.constant dense<0.0> : tensor<1x1x3x4xf64>
  %k = arith.constant dense<1.0> : tensor<1x1x4x4xf64>
  %v = arith.constant dense<[[[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [9.0, 90.0]]]]> : tensor<1x1x4x2xf64>
  %c = arith.constant 0.5 : f64
  %o, %l = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f64, %b: i64, %h: i64, %m: i64, %n: i64):
    %f = arith.sitofp %n : i64 to f64
    %y = arith.addf %s, %f : f64
    attn.yield %y : f64
  }
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1 : i64
    %three = arith.constant 3 : i64
    // Row 2 sees keys 1 and 2, row m the key m.
    %p = arith.addi %n, %one : i64
    %same = arith.cmpi eq, %m, %n : i64
    %next = arith.cmpi eq, %m, %p : i64
    %two = arith.constant 2 : i64
    %last = arith.cmpi eq, %m, %two : i64
    %also = arith.andi %next, %last : i1
    %keep = arith.ori %same, %also : i1
    attn.yield %keep : i1
  } : (tensor<1x1x3x4xf64>, tensor<1x1x4x4xf64>, tensor<1x1x4x2xf64>, f64) -> (tensor<1x1x3x2xf64>, tensor<1x1x3xf64>)
  return %o, %l : tensor<1x1x3x2xf64>, tensor<1x1x3xf64>
}

// S3, S6: row 0 is beyond its sequence, row 1 sees no key.
// CHECK: dead#0 = [{{\[\[}}[1.5]]], {{\[\[}}[0]]]]
// CHECK: dead#1 = {{\[\[}}[0.693147]], {{\[\[}}-inf]]]
func.func @dead() -> (tensor<2x1x1x1xf32>, tensor<2x1x1xf32>) {
  %q = arith.constant dense<0.0> : tensor<2x1x1x1xf32>
  %k = arith.constant dense<0.0> : tensor<1x1x3x1xf32>
  %v = arith.constant dense<[[[[1.0], [2.0], [3.0]]]]> : tensor<1x1x3x1xf32>
  %c = arith.constant 1.0 : f32
  %ql = arith.constant dense<[1, 0]> : tensor<2xi64>
  %kl = arith.constant dense<[2, 3]> : tensor<2xi64>
  %o, %l = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    q_lengths(%ql) kv_lengths(%kl)
    : (tensor<2x1x1x1xf32>, tensor<1x1x3x1xf32>, tensor<1x1x3x1xf32>, f32, tensor<2xi64>, tensor<2xi64>) -> (tensor<2x1x1x1xf32>, tensor<2x1x1xf32>)
  return %o, %l : tensor<2x1x1x1xf32>, tensor<2x1x1xf32>
}

// S9: a sink of weight 1 beside one key of weight 1.
// CHECK: sink#0 = [{{\[\[}}[2]]]]
attn.normalizer @with_sink score_type f32 captures [tensor<1xf32>]
  stat {
  ^bb0(%s: f32, %sigma: tensor<1xf32>):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<1xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } denom {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<1xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } seed {
  ^bb0(%b: i64, %h: i64, %m: i64, %sigma: tensor<1xf32>):
    %t0 = attn.read %sigma[%h] : tensor<1xf32> -> f32
    %l0 = arith.constant 1.0 : f32
    attn.yield %t0, %l0 : f32, f32
  }
func.func @sink() -> tensor<1x1x1x1xf32> {
  %q = arith.constant dense<0.0> : tensor<1x1x1x1xf32>
  %v = arith.constant dense<4.0> : tensor<1x1x1x1xf32>
  %sigma = arith.constant dense<0.0> : tensor<1xf32>
  %c = arith.constant 1.0 : f32
  %o = attn.attention query(%q) key(%q) value(%v) normalizer @with_sink(%sigma) scale(%c)
    : (tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>, f32, tensor<1xf32>) -> tensor<1x1x1x1xf32>
  return %o : tensor<1x1x1x1xf32>
}

// Partial results join; one of lse -inf has no influence, not even its NaN.
// CHECK: merge#0 = [{{\[\[}}[1.5], [4], [0]]]]
// CHECK: merge#1 = {{\[\[}}[0.693147, 1, -inf]]]
func.func @merge() -> (tensor<1x1x3x1xf64>, tensor<1x1x3xf64>) {
  %a = arith.constant dense<[[[[1.0], [0x7FF8000000000000], [7.0]]]]> : tensor<1x1x3x1xf64>
  %b = arith.constant dense<[[[[2.0], [4.0], [7.0]]]]> : tensor<1x1x3x1xf64>
  %x = arith.constant dense<[[[0.0, 0xFFF0000000000000, 0xFFF0000000000000]]]> : tensor<1x1x3xf64>
  %y = arith.constant dense<[[[0.0, 1.0, 0xFFF0000000000000]]]> : tensor<1x1x3xf64>
  %o, %l = attn.merge outs(%a, %b) lses(%x, %y) : tensor<1x1x3x1xf64>, tensor<1x1x3xf64>
  return %o, %l : tensor<1x1x3x1xf64>, tensor<1x1x3xf64>
}

// Tiles of 2 x 3 over 5 x 7: what lies past a length counts as masked.
// CHECK: classes#0 = [{{\[\[}}[1, 0, 0], [2, 1, 0], [1, 1, 0]]]]
// CHECK: classes#1 = [{{\[\[}}[1, 2, 1], [0, 1, 1], [0, 0, 0]]]]
func.func @classes() -> (!attn.block_mask<2x3>, !attn.block_mask<3x2>) {
  %one = arith.constant 1 : i64
  %m = arith.constant 5 : i64
  %n = arith.constant 7 : i64
  %bm = attn.block_mask.create sizes(%one, %one, %m, %n) {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %keep = arith.cmpi sge, %i, %j : i64
    attn.yield %keep : i1
  } : !attn.block_mask<2x3>
  %t = attn.block_mask.transpose %bm : !attn.block_mask<2x3> -> !attn.block_mask<3x2>
  return %bm, %t : !attn.block_mask<2x3>, !attn.block_mask<3x2>
}

// A block mask from lists; its full tiles do not ask the mask.
// CHECK: lists#0 = [{{\[\[}}[2, 0], [0, 1]]]]
// CHECK: lists#1 = [{{\[\[}}[1.5], [1.5], [3], [3]]]]
func.func @lists() -> (!attn.block_mask<2x2>, tensor<1x1x4x1xf32>) {
  %num = arith.constant dense<[[[0, 1]]]> : tensor<1x1x2xi32>
  %list = arith.constant dense<[[[[0, 0], [1, 0]]]]> : tensor<1x1x2x2xi32>
  %fnum = arith.constant dense<[[[1, 0]]]> : tensor<1x1x2xi32>
  %flist = arith.constant dense<0> : tensor<1x1x2x2xi32>
  %bm = attn.block_mask.from_lists partial(%num, %list) full(%fnum, %flist)
    : (tensor<1x1x2xi32>, tensor<1x1x2x2xi32>, tensor<1x1x2xi32>, tensor<1x1x2x2xi32>) -> !attn.block_mask<2x2>
  %q = arith.constant dense<0.0> : tensor<1x1x4x1xf32>
  %v = arith.constant dense<[[[[1.0], [2.0], [3.0], [4.0]]]]> : tensor<1x1x4x1xf32>
  %c = arith.constant 1.0 : f32
  %o = attn.attention query(%q) key(%q) value(%v) normalizer #attn.softmax scale(%c) block_mask(%bm)
  mask {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %two = arith.constant 2 : i64
    %keep = arith.cmpi sle, %j, %two : i64
    attn.yield %keep : i1
  } : (tensor<1x1x4x1xf32>, tensor<1x1x4x1xf32>, tensor<1x1x4x1xf32>, f32, !attn.block_mask<2x2>) -> tensor<1x1x4x1xf32>
  return %bm, %o : !attn.block_mask<2x2>, tensor<1x1x4x1xf32>
}
