// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v4 -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=ONCE
// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=V3

!t = tensor<?x?x?x64xf32>

// The plan counts items and gives the scratch; it reads no tensor.
// CHECK-LABEL: llvm.func @dense_plan(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i64
// CHECK-NOT: vector<32xf32>
// CHECK: llvm.return

// Scores: one load of the packed queries and 16 broadcasts, 16 accumulators.
// CHECK-LABEL: llvm.func @dense_run(
// CHECK-SAME: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr) -> i64
// The next item's queries and its first block of keys and values, in lines or,
// with gaps, in rows.
// Items are panels, six a tile, which are computed together: those of the call,
// backwards.
// CHECK: %[[FIRST:.*]] = arith.divui %arg1, %c6_i64
// CHECK: %[[LAST:.*]] = arith.divui %{{.*}}, %c6_i64
// CHECK: scf.for %[[TILE:.*]] = %[[FIRST]] to %[[LAST]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[TILE]], %c1_i64
// CHECK: %[[END:.*]] = arith.muli %[[NEXT]], %c6_i64
// CHECK: arith.subi %[[END]], %arg2
// CHECK: arith.maxsi
// CHECK: arith.subi %[[END]], %arg1
// CHECK: arith.minsi
// CHECK: arith.select %{{.*}}, %c768_i64{{[_0-9]*}}, %c192_i64{{[_0-9]*}} : i64
// CHECK-COUNT-2: arith.select %{{.*}}, %c1024_i64{{[_0-9]*}}, %c256_i64{{[_0-9]*}} : i64
// Eight pieces, each before a key's weights of the panel before.
// CHECK: %{{.*}}:10 = scf.for %{{.*}} = %{{.*}} to %c64_i64{{[_0-9]*}} step %c8_i64{{.*}} iter_args(
// CHECK: %{{.*}}:8 = scf.for %{{.*}} iter_args(
// CHECK: "llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK-NOT: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: loop_annotation
// CHECK: scf.if
// CHECK-COUNT-2: llvm.x86.avx512.permvar.sf.512
// CHECK-COUNT-3: llvm.intr.fma(
// CHECK-COUNT-2: llvm.x86.avx512.mask.scalef.ps.512
// CHECK: loop_annotation
// The next pass fetches on from where this one came to.
// CHECK: %[[LINE:.*]] = arith.addi %{{.*}}, %c64_i64
// CHECK: %[[DONE:.*]] = arith.cmpi sge, %[[LINE]], %{{.*}}
// CHECK: %[[NEXT:.*]] = arith.select %[[DONE]], %c0_i64{{.*}}, %[[LINE]]
// CHECK: llvm.store %[[NEXT]]
// No mod: nothing is computed between the products and the maximum.
// CHECK-NOT: arith.mulf
// CHECK: arith.cmpf ogt
// The exponential stays in log2 units.
// CHECK: llvm.intr.roundeven
// CHECK: llvm.x86.avx512.mask.scalef.ps.512
// Values: the accumulators are rescaled when they are loaded.
// CHECK: scf.for
// CHECK-COUNT-8: arith.mulf %{{.*}}, %[[ALPHA:[0-9]+]] : vector<32xf32>
// CHECK: scf.for
// CHECK: scf.for
// Each step of either product fetches a line into L2.
// CHECK: "llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-COUNT-8: llvm.intr.fma(
// CHECK: scf.yield
// CHECK: llvm.return

// Two micro-kernels and no third, though a key block has two kinds of element.
// ONCE-LABEL: llvm.func @dense_run(
// ONCE: :10 = scf.for
// ONCE: :8 = scf.for
// ONCE: :9 = scf.for
// ONCE: :9 = scf.for
// ONCE-NOT: {{:8|:9|:10}} = scf.for
// ONCE-LABEL: llvm.func

// Sixteen vector registers hold twelve accumulators, six keys of two vectors;
// exp2 takes no scalef.
// V3-LABEL: llvm.func @dense_run(
// V3: %{{.*}}:8 = scf.for {{.*}} -> (vector<16xf32>, {{.*}}vector<16xf32>, !llvm.ptr, !llvm.ptr)
// V3-COUNT-6: llvm.intr.fma(
// V3-NOT: llvm.intr.fma(
// V3: scf.yield
// V3-NOT: avx512
// V3: llvm.return
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}

func.func @last(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> !t
  return %o : !t
}
