// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=LOOP

!t = tensor<?x?x?x64xf32>

// With registers of 32 bytes a mod of a few operations is evaluated on a
// group's six products in registers, before they are stored. The scale is a
// part of the queries. With others a loop over the keys reads the products.
// CHECK-LABEL: llvm.func @alibi_run(
// CHECK-COUNT-6: llvm.intr.fma
// CHECK: scf.yield
// CHECK-NOT: scf.for
// CHECK-COUNT-8: arith.sitofp
// CHECK-NOT: scf.for
// CHECK: %[[SCORE:.+]] = arith.addf %{{[0-9]+}}#5, %{{[0-9]+}} : vector<16xf32>
// CHECK-NEXT: llvm.getelementptr
// CHECK-NEXT: llvm.store %[[SCORE]],

// LOOP-LABEL: llvm.func @alibi_run(
// LOOP: llvm.intr.fma
// LOOP: scf.for
// LOOP: llvm.load {{.*}} -> vector<32xf32>
// LOOP: arith.sitofp
// LOOP: arith.mulf
func.func @alibi(%q: !t, %k: !t, %v: !t, %slopes: tensor<?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%slopes) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %slope: tensor<?xf32>):
      %distance = arith.subi %n, %m : i64
      %steps = arith.sitofp %distance : i64 to f32
      %a = attn.read %slope[%h] : tensor<?xf32> -> f32
      %bias = arith.mulf %steps, %a : f32
      %r = arith.addf %s, %bias : f32
      attn.yield %r : f32
    } : (!t, !t, !t, tensor<?xf32>, f32) -> !t
  return %o : !t
}

// Whether a table is read by loads of neighbours is asked once a group, for its
// first and its last key.
// CHECK-LABEL: llvm.func @table_run(
// CHECK-COUNT-6: llvm.intr.fma
// CHECK: scf.yield
// CHECK-NOT: scf.for
// CHECK: arith.andi
// CHECK: arith.andi
// CHECK: scf.if
// CHECK-NOT: scf.if
// CHECK-COUNT-6: llvm.load {{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
// CHECK: } else {
// CHECK: scf.for
// CHECK: llvm.intr.masked.gather
func.func @table(%q: !t, %k: !t, %v: !t, %biases: tensor<?x?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%biases) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %table: tensor<?x?xf32>):
      %distance = arith.subi %m, %n : i64
      %c2048 = arith.constant 2048 : i64
      %i = arith.addi %distance, %c2048 : i64
      %bias = attn.read %table[%h, %i] : tensor<?x?xf32> -> f32
      %r = arith.addf %s, %bias : f32
      attn.yield %r : f32
    } : (!t, !t, !t, tensor<?x?xf32>, f32) -> !t
  return %o : !t
}

// An index that does not grow evenly from key to key is not known at the first
// and the last one: a loop.
// CHECK-LABEL: llvm.func @clamped_run(
// CHECK-COUNT-6: llvm.intr.fma
// CHECK: scf.yield
// CHECK: scf.for
// CHECK: llvm.load {{.*}} -> vector<16xf32>
// CHECK: llvm.intr.masked.gather
func.func @clamped(%q: !t, %k: !t, %v: !t, %biases: tensor<?x?xf32>, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) captures(%biases) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64, %table: tensor<?x?xf32>):
      %distance = arith.subi %m, %n : i64
      %zero = arith.constant 0 : i64
      %i = arith.maxsi %distance, %zero : i64
      %bias = attn.read %table[%h, %i] : tensor<?x?xf32> -> f32
      %r = arith.addf %s, %bias : f32
      attn.yield %r : f32
    } : (!t, !t, !t, tensor<?x?xf32>, f32) -> !t
  return %o : !t
}

// A comparison could see the rounding of a scale in the queries: the products
// are multiplied.
// CHECK-LABEL: llvm.func @compared_run(
// CHECK-COUNT-6: llvm.intr.fma
// CHECK: scf.yield
// CHECK: arith.mulf %{{[0-9]+}}#5,
func.func @compared(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    score {
    ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64):
      %zero = arith.constant 0.0 : f32
      %positive = arith.cmpf ogt, %s, %zero : f32
      %r = arith.select %positive, %s, %zero : f32
      attn.yield %r : f32
    } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
