// RUN: fovea-opt %s -fovea-online-pipeline='cpu=x86-64-v4 schedule=m=32,n=64 params=W=100' | FileCheck %s --check-prefix=ONLINE
// RUN: fovea-opt %s -fovea-cpu-pipeline='cpu=x86-64-v4' | FileCheck %s --check-prefix=LLVM
// RUN: not fovea-opt %s -fovea-cpu-pipeline='params=V=100' 2>&1 | FileCheck %s --check-prefix=PARAM

// ONLINE: func.func @window
// ONLINE-DAG: arith.constant 100 : i64
// ONLINE: schedule(#online.cpu_schedule<m = 32, n = 64, lanes = 16, exact = false, index_bits = 32>)

// One module of the LLVM dialect, the two functions of KernelABI.h, and no call
// that is not ours.
// LLVM-NOT: online.
// LLVM-NOT: attn.
// LLVM: llvm.func @window_plan
// LLVM: llvm.func @window_run

// PARAM: error: no compile-time parameter is named 'V'
!t = tensor<?x?x?x64xf32>
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = attn.param "W" = 4096 : i64
    %d = arith.subi %m, %n : i64
    %near = arith.cmpi slt, %d, %w : i64
    attn.yield %near : i1
  } : (!t, !t, !t, f32) -> !t
  return %o : !t
}
