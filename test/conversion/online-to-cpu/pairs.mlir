// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 features=+avx512bf16' -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=WIDE

// WIDE-NOT: avx512bf16

!t = tensor<?x?x?x64xbf16>

// Values: two rows become one of pairs.
// CHECK-LABEL: llvm.func internal @dense_interleave(
// CHECK: arith.shli
// CHECK-LABEL: llvm.func @dense_run(
// Half as many steps, a pair of keys' elements for two registers of queries.
// CHECK: %{{.*}}:10 = scf.for %{{.*}} = %{{.*}} to %c32_i64{{[_0-9]*}} step %c8_i64{{.*}} iter_args(
// CHECK: %{{.*}}:8 = scf.for %{{.*}} iter_args(
// CHECK-COUNT-16: llvm.x86.avx512bf16.dpbf16ps.512
// CHECK-NOT: dpbf16ps
// CHECK: scf.yield
// Weights of two keys of the panel before, rounded.
// CHECK-COUNT-4: llvm.x86.avx512.mask.scalef.ps.512
// CHECK-COUNT-2: llvm.x86.avx512bf16.cvtne2ps2bf16.512
// The scale multiplies the products.
// CHECK-COUNT-8: arith.mulf {{.*}} vector<32xf32>
// What rescales, and the weights that are left.
// CHECK-COUNT-6: llvm.x86.avx512.mask.scalef.ps.512
// CHECK-COUNT-2: llvm.x86.avx512bf16.cvtne2ps2bf16.512
// CHECK-NOT: cvtne2ps2bf16
// CHECK-COUNT-16: llvm.x86.avx512bf16.dpbf16ps.512
// CHECK-NOT: dpbf16ps
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// Half a pair of the next row is not read: rows of an odd length are copied.
// CHECK-LABEL: llvm.func @odd_run(
// CHECK: llvm.call @odd_pack
// CHECK: llvm.call @odd_pack
// CHECK-NOT: llvm.call @odd_pack
// CHECK: scf.for %{{.*}} = %{{.*}} to %c8_i64{{[_0-9]*}} step %c2_i64{{.*}} iter_args(
!d = tensor<?x?x?x15xbf16>
func.func @odd(%q: !d, %k: !d, %v: !d, %c: f32) -> !d {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!d, !d, !d, f32) -> !d
  return %o : !d
}
