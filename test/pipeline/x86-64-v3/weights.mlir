// RUN: fovea-opt %s -convert-attn-to-online=cpu=x86-64-v3 -canonicalize -cse -convert-online-to-cpu -fovea-cpu-to-llvm | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: opt %t.ll -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -passes="%cpu_passes" -S | llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 -o %t.s
// RUN: FileCheck %s < %t.s
// RUN: FileCheck %s --check-prefix=MASK < %t.s

// The weights of a register: a bound that keeps NaN, a rounded index, a table of
// four in a register, six products, none of which only scales.
// CHECK-LABEL: causal_run:
// CHECK: vpermilps %ymm
// CHECK: vpslld $21, %ymm
// CHECK: vpaddd %ymm
// CHECK: j{{[a-z]+}} .LBB
// CHECK: .Lfunc_end

// Scores that lanes do not see: a choice and a store of the whole register, as
// AVX2's stores of chosen lanes take dozens of steps.
// MASK-NOT: vmaskmovps
// MASK-LABEL: causal_run:
// MASK-NOT: vmaskmovps
// MASK: vpbroadcastw {{.*}}, %ymm
// MASK-NOT: vmaskmovps
// MASK: vblendvps %ymm
// MASK-NOT: vmaskmovps
// MASK: .Lfunc_end

!t = tensor<?x?x?x64xf32>
func.func @causal(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      %visible = arith.cmpi sge, %m, %n : i64
      attn.yield %visible : i1
    } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
