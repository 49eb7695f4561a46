// RUN: fovea-opt %s | fovea-opt | FileCheck %s
// RUN: fovea-opt %s --mlir-print-op-generic | fovea-opt | FileCheck %s
// RUN: fovea-opt %s --emit-bytecode | fovea-opt | FileCheck %s

// CHECK-LABEL: attn.normalizer @sink score_type f32 captures [tensor<?xf32>]
// CHECK-NEXT: stat {
// CHECK: weight {
// CHECK: denom {
// CHECK: seed {
attn.normalizer @sink score_type f32 captures [tensor<?xf32>]
  stat {
  ^bb0(%s: f32, %sigma: tensor<?xf32>):
    attn.yield %s : f32
  } weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } denom {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf32>):
    %d = arith.subf %s, %t : f32
    %p = math.exp %d : f32
    attn.yield %p : f32
  } seed {
  ^bb0(%b: i64, %h: i64, %m: i64, %sigma: tensor<?xf32>):
    %t0 = attn.read %sigma[%h] : tensor<?xf32> -> f32
    %l0 = arith.constant 1.0 : f32
    attn.yield %t0, %l0 : f32, f32
  }

// CHECK-LABEL: func.func @alibi_causal
// CHECK: %{{.*}}:2 = attn.attention query(%{{.*}}) key(%{{.*}}) value(%{{.*}}) captures(%{{.*}}) normalizer #attn.softmax scale(%{{.*}})
// CHECK-NEXT: score {
// CHECK: attn.read %{{.*}}[%{{.*}}] : tensor<?xf32> -> f32
// CHECK: mask {
// CHECK: } : (tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, tensor<?xf32>, f32) -> (tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>)
func.func @alibi_causal(%q: tensor<?x?x?x64xbf16>, %k: tensor<?x?x?x64xbf16>, %v: tensor<?x?x?x64xbf16>, %slopes: tensor<?xf32>, %c: f32) -> (tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>) {
  %o, %lse = attn.attention query(%q) key(%k) value(%v) captures(%slopes) normalizer #attn.softmax scale(%c)
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
    : (tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, tensor<?xf32>, f32) -> (tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>)
  return %o, %lse : tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>
}

// Two (query, key) pairs, a symbol as normalizer, every optional operand.
// CHECK-LABEL: func.func @everything
// CHECK: attn.attention query(%{{.*}}, %{{.*}}) key(%{{.*}}, %{{.*}}) value(%{{.*}}) normalizer @sink(%{{.*}}) scale(%{{.*}}, %{{.*}}) q_offset(%{{.*}}) kv_offset(%{{.*}}) q_lengths(%{{.*}}) kv_lengths(%{{.*}}) block_mask(%{{.*}}) : (
func.func @everything(%q: tensor<?x?x?x64xf16>, %k: tensor<?x?x?x64xf16>, %qr: tensor<?x?x?x32xf16>, %kr: tensor<?x?x?x32xf16>, %v: tensor<?x?x?x48xf16>, %c: f32, %sigma: tensor<?xf32>, %off: tensor<?xi64>, %bm: !attn.block_mask<128x?>) -> tensor<?x?x?x48xf16> {
  %o = attn.attention query(%q, %qr) key(%k, %kr) value(%v) normalizer @sink(%sigma) scale(%c, %c)
    q_offset(%off) kv_offset(%off) q_lengths(%off) kv_lengths(%off) block_mask(%bm)
    : (tensor<?x?x?x64xf16>, tensor<?x?x?x32xf16>, tensor<?x?x?x64xf16>, tensor<?x?x?x32xf16>, tensor<?x?x?x48xf16>, f32, f32, tensor<?xf32>, tensor<?xi64>, tensor<?xi64>, tensor<?xi64>, tensor<?xi64>, !attn.block_mask<128x?>) -> tensor<?x?x?x48xf16>
  return %o : tensor<?x?x?x48xf16>
}

// CHECK-LABEL: func.func @block_masks
func.func @block_masks(%b: i64, %doc: tensor<?xi32>, %num: tensor<?x?x?xi32>, %idx: tensor<?x?x?x?xi32>) -> (!attn.block_mask<64x128>, !attn.block_mask<128x128>) {
  // CHECK: attn.block_mask.create sizes(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) captures(%{{.*}} : tensor<?xi32>)
  %bm = attn.block_mask.create sizes(%b, %b, %b, %b) captures(%doc : tensor<?xi32>) {
  ^bb0(%bi: i64, %hi: i64, %m: i64, %n: i64, %d: tensor<?xi32>):
    %x = attn.read %d[%m] : tensor<?xi32> -> i64
    %y = attn.read in_range %d[%n] : tensor<?xi32> -> i64
    %keep = arith.cmpi eq, %x, %y : i64
    attn.yield %keep : i1
  } : !attn.block_mask<128x64>
  // CHECK: attn.block_mask.transpose %{{.*}} : !attn.block_mask<128x64> -> !attn.block_mask<64x128>
  %t = attn.block_mask.transpose %bm : !attn.block_mask<128x64> -> !attn.block_mask<64x128>
  // CHECK: attn.block_mask.from_lists partial(%{{.*}}, %{{.*}}) full(%{{.*}}, %{{.*}})
  %l = attn.block_mask.from_lists partial(%num, %idx) full(%num, %idx) : (tensor<?x?x?xi32>, tensor<?x?x?x?xi32>, tensor<?x?x?xi32>, tensor<?x?x?x?xi32>) -> !attn.block_mask<128x128>
  return %t, %l : !attn.block_mask<64x128>, !attn.block_mask<128x128>
}

// CHECK-LABEL: func.func @merge
func.func @merge(%o: tensor<?x?x?x64xf32>, %l: tensor<?x?x?xf32>) -> tensor<?x?x?x64xf32> {
  // CHECK: attn.merge outs(%{{.*}}, %{{.*}}) lses(%{{.*}}, %{{.*}}) : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  %m, %lse = attn.merge outs(%o, %o) lses(%l, %l) : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %m : tensor<?x?x?x64xf32>
}

// CHECK-LABEL: func.func @scalars
func.func @scalars(%a: i64, %b: i64, %x: f32, %t: memref<?x4xui8>) -> i64 {
  // CHECK: attn.floordiv
  %0 = attn.floordiv %a, %b
  // CHECK: attn.mod
  %1 = attn.mod %0, %b
  // CHECK: attn.shl
  %2 = attn.shl %1, %b
  // CHECK: attn.shr
  %3 = attn.shr %2, %b
  // CHECK: attn.to_int %{{.*}} : f32
  %4 = attn.to_int %x : f32
  // CHECK: attn.size Hk
  %5 = attn.size Hk
  // CHECK: attn.param "W" = 4096 : i64
  %6 = attn.param "W" = 4096 : i64
  // CHECK: attn.extent %{{.*}}, 0 : memref<?x4xui8>
  %7 = attn.extent %t, 0 : memref<?x4xui8>
  // CHECK: attn.read %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x4xui8> -> i64
  %8 = attn.read %t[%a, %b] : memref<?x4xui8> -> i64
  return %3 : i64
}
