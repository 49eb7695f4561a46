// RUN: fovea-opt %s -fovea-attn-gpu-pipeline | FileCheck %s

// A score's factors are one product: the launch's scale, constants around it,
// signs, and log2(e) of an exponential.
!t = tensor<?x?x?x64xbf16>

attn.normalizer @logistic score_type f32
  weight {
  ^bb0(%s: f32, %t: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %one = arith.constant 1.0 : f32
    %minus = arith.negf %s : f32
    %e = math.exp %minus : f32
    %d = arith.addf %e, %one : f32
    %w = arith.divf %one, %d : f32
    attn.yield %w : f32
  }

// CHECK-LABEL: func.func @sigmoid(
// CHECK-SAME: %[[SCALE:[a-z0-9]+]]: f32 {attn.name = "scale"}
// CHECK-DAG: %[[MINUS:.*]] = arith.constant -1.000000e+00 : f32
// CHECK-DAG: %[[LOG2E:.*]] = arith.constant 1.44269502 : f32
// CHECK: %[[NEGATIVE:.*]] = arith.mulf %[[SCALE]], %[[MINUS]]
// CHECK: %[[FACTOR:.*]] = arith.mulf %[[NEGATIVE]], %[[LOG2E]]
// CHECK: attn_gpu.map
// CHECK-NEXT: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[X:.*]]: f32):
// CHECK-NEXT: %[[POWER:.*]] = arith.mulf %[[X]], %[[FACTOR]]
// CHECK-NEXT: math.exp2 %[[POWER]]
// CHECK-NEXT: arith.addf
// CHECK-NEXT: arith.divf
// CHECK-NEXT: attn_gpu.yield
func.func @sigmoid(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer @logistic scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// What the last product scales all scores by rides in the exponent, and 1 / 30
// in the launch's scale. A product that is needed elsewhere stays, and so does
// one with two values of the launch, which may leave f32.
// CHECK-LABEL: func.func @scores(
// CHECK-SAME: %[[SCALE:[a-z0-9]+]]: f32 {attn.name = "scale"}
// CHECK: %[[INNER:.*]] = arith.mulf %[[SCALE]], %{{.*}} : f32
// CHECK: attn_gpu.map
// CHECK-NEXT: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[X:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[INNER]]
// CHECK-NEXT: %[[Z:.*]] = math.tanh %[[Y]]
// CHECK-NEXT: %[[A:.*]] = arith.mulf %[[Z]], %{{.*}} :
// CHECK-NEXT: %[[B:.*]] = arith.mulf %[[A]], %{{.*}} :
// CHECK-NEXT: %[[C:.*]] = arith.addf %[[B]], %[[A]]
// CHECK-NEXT: attn_gpu.yield %[[C]]
func.func @scores(%q: !t, %k: !t, %v: !t, %c: f32, %g: tensor<?xf32> {attn.name = "g"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%g) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %gain: tensor<?xf32>):
    %thirty = arith.constant 30.0 : f32
    %part = arith.divf %s, %thirty : f32
    %cap = math.tanh %part : f32
    %x = attn.read %gain[%h] : tensor<?xf32> -> f32
    %y = attn.read %gain[%b] : tensor<?xf32> -> f32
    %left = arith.mulf %cap, %x : f32
    %right = arith.mulf %left, %y : f32
    %sum = arith.addf %right, %left : f32
    attn.yield %sum : f32
  } : (!t, !t, !t, tensor<?xf32>, f32) -> !t
  return %o : !t
}

// Of two constants whose product is not of a common size, one alone is folded:
// with a large scale of the launch all of them might leave f32.
// CHECK-LABEL: func.func @large(
// CHECK-SAME: %[[SCALE:[a-z0-9]+]]: f32 {attn.name = "scale"}
// CHECK-DAG: %[[LARGE:.*]] = arith.constant 3.276800e+04 : f32
// CHECK: %[[INNER:.*]] = arith.mulf %[[SCALE]], %[[LARGE]] : f32
// CHECK: attn_gpu.map
// CHECK-NEXT: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[X:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[INNER]]
// CHECK-NEXT: %[[Z:.*]] = arith.mulf %[[Y]], %[[LARGE]]
// CHECK-NEXT: math.tanh %[[Z]]
func.func @large(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
    %large = arith.constant 32768.0 : f32
    %x = arith.mulf %s, %large : f32
    %y = arith.mulf %x, %large : f32
    %cap = math.tanh %y : f32
    attn.yield %cap : f32
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
