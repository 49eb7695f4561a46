// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s

// A key that a row does not see has the score -inf, and no weight whatever the
// function (S9). Where the function is proved to give 0 there, nothing selects.
!t = tensor<?x?x?x64xf32>
!c = tensor<f32>

attn.normalizer @sigmoid score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1.0 : f32
    %bias = arith.constant 0.5 : f32
    %x = arith.addf %s, %bias : f32
    %minus = arith.negf %x : f32
    %e = math.exp %minus : f32
    %d = arith.addf %one, %e : f32
    %w = arith.divf %one, %d : f32
    attn.yield %w : f32
  }

// CHECK-LABEL: llvm.func @sigmoid_of_masked_run(
// CHECK-NOT: arith.cmpf oeq
// CHECK: arith.divf
// CHECK-NOT: arith.cmpf oeq
// CHECK: llvm.return
func.func @sigmoid_of_masked(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @sigmoid scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// A bias that may be NaN or an infinity proves nothing.
attn.normalizer @captured score_type f32 captures [tensor<f32>]
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64, %biases: tensor<f32>):
    %one = arith.constant 1.0 : f32
    %bias = attn.read %biases[] : tensor<f32> -> f32
    %x = arith.addf %s, %bias : f32
    %minus = arith.negf %x : f32
    %e = math.exp %minus : f32
    %d = arith.addf %one, %e : f32
    %w = arith.divf %one, %d : f32
    attn.yield %w : f32
  }

// CHECK-LABEL: llvm.func @sigmoid_with_bias_run(
// CHECK: %[[HIDDEN:.*]] = arith.cmpf oeq, %{{.*}}, %{{.*}} : vector<32xf32>
// CHECK: arith.divf
// CHECK: arith.select %[[HIDDEN]]
// CHECK: llvm.return
func.func @sigmoid_with_bias(%q: !t, %k: !t, %v: !t, %bias: !c, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @captured(%bias) scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    attn.yield %keep : i1
  } : (!t, !t, !t, f32, !c) -> !t
  return %o : !t
}
