// RUN: fovea-opt %s -convert-attn-to-online='cpu=x86-64-v4 few-queries=true one-row=true' | FileCheck %s
// RUN: fovea-opt %s -convert-attn-to-online='few-queries=true one-row=true' | FileCheck %s --check-prefix=NARROW
// RUN: not fovea-opt %s -convert-attn-to-online='cpu=neoverse-n1 few-queries=true one-row=true' 2>&1 | FileCheck %s --check-prefix=NEON
// RUN: sed 's/x64x/x512x/g' %s | not fovea-opt -convert-attn-to-online='cpu=x86-64-v4 few-queries=true one-row=true' 2>&1 | FileCheck %s --check-prefix=LONG

// CHECK: schedule(#online.cpu_schedule<m = 1, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 16)>)
// NARROW: schedule(#online.cpu_schedule<m = 1, n = 32, lanes = 4, exact = false, index_bits = 32 few(split = 2048, wide = 8)>)
// NEON: error: schedule: one row has no form of its own on neoverse-n1 with head dim 64
// LONG: error: schedule: one row has no form of its own on x86-64-v4 with head dim 512
!t = tensor<?x?x?x64xf32>
func.func @f(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}
