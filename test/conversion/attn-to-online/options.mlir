// Options that say nothing to the target family are refused.
// RUN: not fovea-opt %s -convert-attn-to-online='target=sm_90a paged=true' 2>&1 | FileCheck %s --check-prefix=PAGED
// RUN: not fovea-opt %s -convert-attn-to-online='target=sm_90a few-queries=true' 2>&1 | FileCheck %s --check-prefix=FEW
// RUN: not fovea-opt %s -convert-attn-to-online='target=sm_90a exact=true' 2>&1 | FileCheck %s --check-prefix=EXACT
// RUN: not fovea-opt %s -convert-attn-to-online='target=sm_90a one-row=true' 2>&1 | FileCheck %s --check-prefix=ROW
// RUN: not fovea-opt %s -convert-attn-to-online='per-batch=true' 2>&1 | FileCheck %s --check-prefix=BATCH
// RUN: not fovea-opt %s -convert-attn-to-online='one-row=true' 2>&1 | FileCheck %s --check-prefix=ALONE
// RUN: not fovea-opt %s -fovea-cpu-pipeline='one-row=true' 2>&1 | FileCheck %s --check-prefix=ALONE

// PAGED: error: paged is for the target family cpu, not sm_90a
// FEW: error: few-queries is for the target family cpu, not sm_90a
// EXACT: error: exact is for the target family cpu, not sm_90a
// ROW: error: one-row is for the target family cpu, not sm_90a
// BATCH: error: per-batch is for the target family sm_90a, not cpu
// ALONE: error: one-row comes with few-queries alone
!t = tensor<?x?x?x64xbf16>
func.func @plain(%q: !t, %k: !t, %v: !t, %c: f32) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return %o : !t
}
