// RUN: fovea-opt %s | FileCheck %s
// RUN: fovea-opt %s | fovea-opt | FileCheck %s
// RUN: fovea-opt %s -mlir-print-op-generic | fovea-opt | FileCheck %s
// RUN: fovea-opt %s -emit-bytecode | fovea-opt | FileCheck %s

attn.normalizer @sink score_type f32 captures [tensor<?xf32>] stat {
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

// CHECK-LABEL: func.func private @types
// CHECK-SAME: !online.view<?x128xbf16>, !online.view<?x64xf32, paged, ragged>
// CHECK-SAME: !online.view<?xf32, ragged>, !online.view<?x0xf32>
// CHECK-SAME: !online.walk, !online.class
// CHECK-SAME: !online.state<128x64xf32, t, l>, !online.state<1x0xf64, l>, !online.state<128x64xf32>
func.func private @types(!online.view<?x128xbf16>, !online.view<?x64xf32, paged, ragged>,
                 !online.view<?xf32, ragged>, !online.view<?x0xf32>,
                 !online.walk, !online.class, !online.state<128x64xf32, t, l>,
                 !online.state<1x0xf64, l>, !online.state<128x64xf32>)

// CHECK-LABEL: func.func @grid
func.func @grid(%b: index, %m: index) {
  // CHECK: online.grid (%[[B:.*]], %[[M:.*]]) in (%{{.*}}, %{{.*}}) schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
  online.grid (%i, %j) in (%b, %m)
      schedule(#online.cpu_schedule<m = 192, n = 256, lanes = 16, exact = false, index_bits = 32>) {
    // CHECK: arith.addi %[[B]], %[[M]] : index
    %x = arith.addi %i, %j : index
  }
  // CHECK: online.grid (%{{.*}}) in (%{{.*}}) attributes {note = "plain"} {
  // CHECK-NEXT: }
  online.grid (%i) in (%b) attributes {note = "plain"} {
    online.yield
  }
  return
}

// CHECK-LABEL: func.func @views
func.func @views(%k: memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>,
                 %pool: memref<?x?x16x64xbf16>, %table: memref<?xi32>,
                 %lse: memref<?x?x?xf32>, %b: index, %h: index, %n: index) {
  // CHECK: %[[K:.*]] = online.view %{{.*}}[%{{.*}}, %{{.*}}] len(%{{.*}}) : memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>> -> <?x64xf32, ragged>
  %K = online.view %k[%b, %h] len(%n) : memref<?x?x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>
    -> !online.view<?x64xf32, ragged>
  // CHECK: online.view %{{.*}}[%{{.*}}] len(%{{.*}}) pages(%{{.*}} : memref<?xi32>) : memref<?x?x16x64xbf16> -> <?x64xbf16, paged, ragged>
  %P = online.view %pool[%h] len(%n) pages(%table : memref<?xi32>) : memref<?x?x16x64xbf16>
    -> !online.view<?x64xbf16, paged, ragged>
  // CHECK: online.view %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x?x?xf32> -> <?xf32>
  %L = online.view %lse[%b, %h] : memref<?x?x?xf32> -> !online.view<?xf32>
  // CHECK: %[[T:.*]] = online.load %[[K]][%{{.*}}] : <?x64xf32, ragged> -> tensor<256x64xf32>
  %kt = online.load %K[%n] : !online.view<?x64xf32, ragged> -> tensor<256x64xf32>
  %lt = online.load %L[%n] : !online.view<?xf32> -> tensor<128xf32>
  // CHECK: online.store %[[T]], %[[K]][%{{.*}}] : tensor<256x64xf32>, <?x64xf32, ragged>
  online.store %kt, %K[%n] : tensor<256x64xf32>, !online.view<?x64xf32, ragged>
  // CHECK: online.reduce_into %[[T]], %[[K]][%{{.*}}] : tensor<256x64xf32>, <?x64xf32, ragged>
  online.reduce_into %kt, %K[%n] : tensor<256x64xf32>, !online.view<?x64xf32, ragged>
  return
}

// CHECK-LABEL: func.func @walks
func.func @walks(%lo: index, %mid: index, %hi: index, %classes: memref<?x?x?x?xi8, strided<[?, ?, ?, ?]>>) {
  // CHECK: online.walk.segments step 256 [%{{.*}}, %{{.*}}) full, [%{{.*}}, %{{.*}}) partial : !online.walk
  %w = online.walk.segments step 256 [%lo, %mid) full, [%mid, %hi) partial : !online.walk
  // CHECK: online.walk.segments reverse step 8 : !online.walk
  %e = online.walk.segments reverse step 8 : !online.walk
  // CHECK: online.walk.list %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] tile(%{{.*}}) length(%{{.*}}) step 256 : memref<?x?x?x?xi8, strided<[?, ?, ?, ?]>>
  %l = online.walk.list %classes[%lo, %lo, %mid] tile(%hi) length(%hi) step 256
    : memref<?x?x?x?xi8, strided<[?, ?, ?, ?]>>
  // CHECK: online.walk.scan rows 128 step 256 at(%{{.*}}) shift(%{{.*}}) [%{{.*}}, %{{.*}}) {
  // CHECK: ^bb0(%[[M:.*]]: i64, %[[N:.*]]: i64):
  // CHECK: arith.cmpi sge, %[[M]], %[[N]] : i64
  %s = online.walk.scan rows 128 step 256 at(%lo) shift(%mid) [%lo, %hi) {
  ^bb0(%m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    online.yield %keep : i1
  }
  // CHECK: online.walk.slice %{{.*}} part(%{{.*}} of %{{.*}})
  %p = online.walk.slice %w part(%lo of %hi)
  return
}

// CHECK-LABEL: func.func @maps
func.func @maps(%x: tensor<128x256xf32>, %r: tensor<128xf32>, %c: tensor<1x256xf32>,
                %m0: index, %n0: index, %cls: !online.class) {
  // CHECK: online.map rows(%{{.*}}) ins(%{{.*}} : tensor<128xf32>) {
  // CHECK: } -> tensor<128xf32>
  %a = online.map rows(%m0) ins(%r : tensor<128xf32>) {
  ^bb0(%m: i64, %v: f32):
    online.yield %v : f32
  } -> tensor<128xf32>
  // CHECK: online.map cols(%{{.*}}) {
  %b = online.map cols(%n0) {
  ^bb0(%n: i64):
    %f = arith.sitofp %n : i64 to f32
    online.yield %f : f32
  } -> tensor<1x256xf32>
  // CHECK: online.map diag(%{{.*}}, %{{.*}}) columns 256 {
  %d = online.map diag(%m0, %n0) columns 256 {
  ^bb0(%i: i64):
    %f = arith.sitofp %i : i64 to f32
    online.yield %f : f32
  } -> tensor<383xf32>
  // CHECK: online.map tile(%{{.*}}, %{{.*}}) ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<128x256xf32>, tensor<128xf32>, tensor<1x256xf32>, tensor<383xf32>) {
  // CHECK: } -> tensor<128x256xf32>, tensor<128x256xi1>
  %y:2 = online.map tile(%m0, %n0)
      ins(%x, %a, %b, %d : tensor<128x256xf32>, tensor<128xf32>, tensor<1x256xf32>, tensor<383xf32>) {
  ^bb0(%m: i64, %n: i64, %s: f32, %rv: f32, %cv: f32, %dv: f32):
    %z = arith.addf %s, %rv : f32
    %lt = arith.cmpf olt, %cv, %dv : f32
    online.yield %z, %lt : f32, i1
  } -> tensor<128x256xf32>, tensor<128x256xi1>
  // CHECK: online.mask at(%{{.*}}, %{{.*}}) class(%{{.*}}) {
  // CHECK: } : tensor<128x256xi1>
  %p = online.mask at(%m0, %n0) class(%cls) {
  ^bb0(%m: i64, %n: i64):
    %keep = arith.cmpi sge, %m, %n : i64
    online.yield %keep : i1
  } : tensor<128x256xi1>
  // CHECK: online.mask rows at(%{{.*}}, %{{.*}}) class(%{{.*}}) : tensor<128x256xi1>
  %t = online.mask rows at(%m0, %n0) class(%cls) : tensor<128x256xi1>
  // CHECK: online.mask at(%{{.*}}, %{{.*}}) class(%{{.*}}) : tensor<128x256xi1>
  %q = online.mask at(%m0, %n0) class(%cls) : tensor<128x256xi1>
  return
}

// CHECK-LABEL: func.func @sweep
func.func @sweep(%w: !online.walk, %Q: !online.view<?x64xf32>, %K: !online.view<?x64xf32>,
                 %V: !online.view<?x32xf32>, %O: !online.view<?x32xf32>, %L: !online.view<?xf32>,
                 %m0: index, %b: i64, %h: i64, %c: f32, %row: tensor<128xf32>,
                 %col: tensor<1x256xf32>, %sigma: memref<?xf32>) {
  %qt = online.load %Q[%m0] : !online.view<?x64xf32> -> tensor<128x64xf32>
  // CHECK: %[[INIT:.*]] = online.init normalizer #attn.softmax at(%{{.*}}, %{{.*}}, %{{.*}}) : <128x32xf32, t, l>
  %init = online.init normalizer #attn.softmax at(%b, %h, %m0) : !online.state<128x32xf32, t, l>
  // CHECK: %[[ST:.*]] = online.sweep (%[[N0:.*]], %[[CLS:.*]]) in %{{.*}} iter(%[[S:.*]] = %[[INIT]]) -> !online.state<128x32xf32, t, l> {
  %st = online.sweep (%n0, %cls) in %w iter(%s = %init) -> !online.state<128x32xf32, t, l> {
    %kt = online.load %K[%n0] : !online.view<?x64xf32> -> tensor<256x64xf32>
    %vt = online.load %V[%n0] : !online.view<?x32xf32> -> tensor<256x32xf32>
    // CHECK: online.dot %{{.*}}, %{{.*}} contract [1, 1] : tensor<128x64xf32>, tensor<256x64xf32> -> tensor<128x256xf32>
    %x = online.dot %qt, %kt contract [1, 1]
      : tensor<128x64xf32>, tensor<256x64xf32> -> tensor<128x256xf32>
    %p = online.mask at(%m0, %n0) class(%cls) : tensor<128x256xi1>
    // CHECK: online.step %[[S]], %{{.*}}, %{{.*}} visible(%{{.*}} : tensor<128x256xi1>) scale(%{{.*}} : f32) row(%{{.*}} : tensor<128xf32>) col(%{{.*}} : tensor<1x256xf32>) normalizer #attn.softmax at(%{{.*}}, %{{.*}}, %{{.*}}, %[[N0]]) : <128x32xf32, t, l>, tensor<128x256xf32>, tensor<256x32xf32>
    %s1 = online.step %s, %x, %vt visible(%p : tensor<128x256xi1>) scale(%c : f32)
        row(%row : tensor<128xf32>) col(%col : tensor<1x256xf32>) normalizer #attn.softmax at(%b, %h, %m0, %n0)
      : !online.state<128x32xf32, t, l>, tensor<128x256xf32>, tensor<256x32xf32>
    // CHECK: online.yield %{{.*}} : !online.state<128x32xf32, t, l>
    online.yield %s1 : !online.state<128x32xf32, t, l>
  }
  // CHECK: online.init unseeded normalizer @sink(%{{.*}} : memref<?xf32>) at(%{{.*}}, %{{.*}}, %{{.*}}) : <128x32xf32, t, l>
  %init2 = online.init unseeded normalizer @sink(%sigma : memref<?xf32>) at(%b, %h, %m0)
    : !online.state<128x32xf32, t, l>
  // CHECK: online.merge %[[ST]], %{{.*}} : <128x32xf32, t, l>
  %merged = online.merge %st, %init2 : !online.state<128x32xf32, t, l>
  // CHECK: online.finish %{{.*}} normalizer @sink(%{{.*}} : memref<?xf32>) at(%{{.*}}, %{{.*}}, %{{.*}}) : <128x32xf32, t, l> -> tensor<128x32xf32>, tensor<128xf32>
  %o, %lse = online.finish %merged normalizer @sink(%sigma : memref<?xf32>) at(%b, %h, %m0)
    : !online.state<128x32xf32, t, l> -> tensor<128x32xf32>, tensor<128xf32>
  // CHECK: online.finish %[[ST]] normalizer #attn.softmax at(%{{.*}}, %{{.*}}, %{{.*}}) : <128x32xf32, t, l> -> tensor<128x32xf32>
  %o2 = online.finish %st normalizer #attn.softmax at(%b, %h, %m0)
    : !online.state<128x32xf32, t, l> -> tensor<128x32xf32>
  online.store %o, %O[%m0] : tensor<128x32xf32>, !online.view<?x32xf32>
  // CHECK: online.sweep (%{{.*}}, %{{.*}}) in %{{.*}} {
  online.sweep (%n0, %cls) in %w {
    online.yield
  }
  return
}

// CHECK-LABEL: func.func @weights
func.func @weights(%w: !online.walk, %x: tensor<128x256xf32>, %vis: tensor<128x256xi1>,
                   %lse: tensor<128xf32>, %do: tensor<128x64xf32>, %z: tensor<256x64xf32>,
                   %y: tensor<8x8xf32>, %b: i64, %h: i64, %m0: index) {
  // CHECK: online.sweep (%{{.*}}, %{{.*}}) in %{{.*}} iter(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) -> (tensor<256x64xf32>, tensor<8x8xf32>) {
  %r:2 = online.sweep (%n0, %cls) in %w iter(%dv = %z, %k = %y) -> (tensor<256x64xf32>, tensor<8x8xf32>) {
    // CHECK: online.weights %{{.*}} stat(%{{.*}} : tensor<128xf32>) visible(%{{.*}} : tensor<128x256xi1>) normalizer #attn.softmax at(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : tensor<128x256xf32>
    %p = online.weights %x stat(%lse : tensor<128xf32>) visible(%vis : tensor<128x256xi1>)
      normalizer #attn.softmax at(%b, %h, %m0, %n0) : tensor<128x256xf32>
    // CHECK: online.accumulate %{{.*}}, %{{.*}}, %{{.*}} contract [0, 0] : tensor<128x256xf32>, tensor<128x64xf32> -> tensor<256x64xf32>
    %dv1 = online.accumulate %dv, %p, %do contract [0, 0]
      : tensor<128x256xf32>, tensor<128x64xf32> -> tensor<256x64xf32>
    online.yield %dv1, %k : tensor<256x64xf32>, tensor<8x8xf32>
  }
  return
}
