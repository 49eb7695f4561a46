// RUN: fovea-opt %s -convert-attn-to-online=cpu=sapphirerapids -canonicalize -cse -convert-online-to-cpu | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids exact=true' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=NONE
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids few-queries=true one-row=true' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=NONE
// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids schedule=m=48' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=NONE

// RUN: fovea-opt %s -convert-attn-to-online='cpu=sapphirerapids few-queries=true' -canonicalize -cse -convert-online-to-cpu | FileCheck %s --check-prefix=FEW

// NONE-NOT: {{tileload|tdpbf16ps|ldtilecfg}}

!t = tensor<?x?x?x64xbf16>

// Values: 32 keys, eight features at a time, lie across after three exchanges
// within parts of registers: eight features of four keys at first.
// CHECK-LABEL: llvm.func internal @dense_band(
// CHECK-COUNT-32: llvm.load {{.*}} -> vector<8xi16>
// CHECK-NOT: llvm.load
// CHECK-COUNT-24: llvm.shufflevector {{.*}} [{{0|4}}, {{32|36}},
// CHECK-NOT: llvm.shufflevector
// CHECK-COUNT-8: llvm.store {{.*}} : vector<32xi16>
// CHECK-LABEL: llvm.func @dense_run(
// Once a call, whatever its items.
// CHECK: llvm.x86.ldtilecfg
// CHECK-NOT: ldtilecfg
// Rows of keys are read in place where they can be: only the last, incomplete
// group is copied.
// CHECK: llvm.call @dense_pack
// CHECK: scf.if {{.*}} -> (!llvm.ptr, i64, !llvm.ptr)
// So are rows of values.
// CHECK: scf.if {{.*}} -> (!llvm.ptr, i64)
// CHECK-NEXT: scf.yield
// CHECK: llvm.call @dense_pack
// CHECK: llvm.call @dense_band
// Scores: 32 keys and 32 queries, a step takes 32 features.
// CHECK-COUNT-4: llvm.x86.tilezero
// CHECK: scf.for %{{.*}} = %{{.*}} to %c32_i64
// CHECK-COUNT-4: llvm.x86.tdpbf16ps
// CHECK-NOT: tdpbf16ps
// CHECK-COUNT-4: llvm.x86.tilestored64
// CHECK-NOT: tilestored64
// A positive scale multiplies what the tiles gave where it is read: the maximum
// of four keys a step, no store.
// CHECK: scf.if {{.*}} -> (vector<32xf32>)
// CHECK: scf.for %{{.*}} = %{{.*}} to %c32_i64{{.*}} step %c4_i64
// CHECK-COUNT-4: arith.mulf {{.*}} vector<32xf32>
// CHECK-NOT: llvm.store
// CHECK: else
// CHECK: scf.for %{{.*}} = %{{.*}} to %c32_i64{{.*}} step %c1_i64
// CHECK: arith.mulf {{.*}} vector<32xf32>
// CHECK: llvm.store
// Weights of two keys: 2^x without a table, rounded and joined by integers.
// CHECK-COUNT-4: llvm.x86.avx512.mask.reduce.ps.512
// CHECK-NOT: {{reduce.ps|permvar|cvtne2ps2bf16}}
// CHECK: arith.addi {{.*}} vector<16xi32>
// CHECK-COUNT-2: llvm.x86.avx512.pternlog.d.512
// CHECK-NOT: {{reduce.ps|permvar|cvtne2ps2bf16|pternlog}}
// Meanwhile two lines of the next block's keys and values are fetched: six
// panels ask for all of them.
// CHECK-COUNT-2: "llvm.intr.prefetch"({{.*}}hint = 2
// CHECK-NOT: llvm.intr.prefetch
// Values: 32 features and 32 queries, a step takes 32 keys.
// CHECK-COUNT-4: llvm.x86.tileloadd64
// CHECK: scf.for
// CHECK-COUNT-4: llvm.x86.tdpbf16ps
// CHECK-NOT: tdpbf16ps
// CHECK-COUNT-4: llvm.x86.tilestored64
// CHECK-NOT: tilestored64
// CHECK: llvm.x86.tilerelease
// CHECK-NEXT: llvm.return

// Few queries: groups of keys and of values are read in place where they can
// be, else copied with zeros up to sixteen.
// FEW-LABEL: llvm.func @dense_run(
// FEW: llvm.x86.ldtilecfg
// FEW-NOT: ldtilecfg
// FEW: scf.if {{.*}} -> (!llvm.ptr, i64)
// FEW-NEXT: scf.yield
// FEW: llvm.call @dense_pack(%{{.*}}, %c16_i64{{[_0-9]*}}) :
// FEW: scf.if {{.*}} -> (!llvm.ptr, i64)
// FEW-NEXT: scf.yield
// FEW: llvm.call @dense_pack(%{{.*}}, %c16_i64{{[_0-9]*}}) :
// FEW-NOT: llvm.call @dense_pack
// FEW: llvm.x86.tilezero
// FEW: llvm.x86.tilerelease
// FEW-NEXT: llvm.return
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}

// A tile would reach into the next row: keys are copied to rows of 64.
// CHECK-LABEL: llvm.func @part_run(
// CHECK: llvm.call @part_pack
// CHECK-NOT: -> (!llvm.ptr, i64, !llvm.ptr)
// CHECK: llvm.call @part_pack
// So are values, to rows that are whole tiles.
// CHECK-NOT: -> (!llvm.ptr, i64)
// CHECK: llvm.call @part_pack
// CHECK-NOT: llvm.call @part_pack
// CHECK: llvm.x86.tilezero
// FEW-LABEL: llvm.func @part_run(
// FEW-NOT: -> (!llvm.ptr, i64)
// FEW: llvm.x86.tilezero
!d = tensor<?x?x?x40xbf16>
func.func @part(%q: !d, %k: !d, %v: !d, %c: f32) -> !d {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!d, !d, !d, f32) -> !d
  return %o : !d
}
