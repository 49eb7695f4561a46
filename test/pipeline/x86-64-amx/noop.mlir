// RUN: fovea-opt %s -convert-attn-to-online=cpu=sapphirerapids -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: %python %S/../Inputs/count_instructions.py 1500 < %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=sapphirerapids -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=CALLS < %t.s
// RUN: FileCheck %s --check-prefix=TILES < %t.s
// RUN: FileCheck %s --check-prefix=BAND < %t.s

// One step of the scores: two tiles of keys, read in place by the stride of
// their rows, and two of queries; four products, none of which waits for the
// one before; sums stay in tiles.
// CHECK-LABEL: dense_run:
// CHECK: ldtilecfg
// CHECK: tilezero %tmm3
// CHECK-NOT: tilestored
// CHECK: tileloadd (%r{{.*}},%[[STRIDE:r[^)]*]]), %tmm4
// CHECK: tileloadd {{.*}}, %tmm6
// CHECK-NEXT: tdpbf16ps %tmm6, %tmm4, %tmm0
// CHECK: tileloadd {{.*}}, %tmm7
// CHECK-NEXT: tdpbf16ps %tmm7, %tmm4, %tmm1
// CHECK-NEXT: tileloadd (%r{{.*}},%[[STRIDE]]), %tmm5
// CHECK-NEXT: tdpbf16ps %tmm6, %tmm5, %tmm2
// CHECK-NEXT: tdpbf16ps %tmm7, %tmm5, %tmm3
// The exponential of a pair of keys, of what is too small zero, and the weights
// in pairs.
// CHECK-COUNT-4: vreduceps $1
// CHECK: vscalefps {{.*}} {%k{{[0-9]}}} {z}
// CHECK: vpsrld $16
// CHECK: vpternlogd
// CHECK-NOT: {{vpermps|vcvtne2ps2bf16}}
// Lines of the next block.
// CHECK: prefetcht1
// CHECK-NEXT: prefetcht1
// Results go to tiles and back, with every key of the block between.
// CHECK: tileloadd {{.*}}, %tmm0
// CHECK: tileloadd {{.*}}, %tmm3
// CHECK: tdpbf16ps %tmm6, %tmm4, %tmm0
// CHECK-NOT: {{tilezero|tilestored}}
// CHECK: tdpbf16ps %tmm7, %tmm5, %tmm3
// CHECK: tilerelease

// Values lie across after three exchanges within parts of registers, which are
// loaded one by one: no shuffle of two registers by a third.
// BAND-LABEL: dense_band:
// BAND-COUNT-8: vpunpck
// BAND-NOT: {{vpermt2|vpermi2|vpinsr}}
// BAND: retq

// No other configuration, which would clear the tiles.
// TILES: ldtilecfg
// TILES-NOT: {{ldtilecfg|sttilecfg}}

// Kernels call their own helpers and nothing else.
// CALLS-NOT: PLT

!t = tensor<?x?x?x64xbf16>
func.func @dense(%q: !t, %k: !t, %v: !t, %c: f32) -> (!t, tensor<?x?x?xf32>) {
  %o:2 = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    : (!t, !t, !t, f32) -> (!t, tensor<?x?x?xf32>)
  return %o#0, %o#1 : !t, tensor<?x?x?xf32>
}
