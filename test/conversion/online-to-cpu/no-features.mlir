// Queries without features, which level 1 refuses for a CPU, have no kernel.
// RUN: fovea-opt %s -fovea-online-pipeline | sed s/x3xf32/x0xf32/g | not fovea-opt -convert-online-to-cpu 2>&1 | FileCheck %s
// RUN: fovea-opt %s -fovea-online-pipeline=few-queries=true | sed s/x3xf32/x0xf32/g | not fovea-opt -convert-online-to-cpu 2>&1 | FileCheck %s
// CHECK: error: 'online.dot' op must contract a feature at least on the CPU target
!t = tensor<?x?x?x3xf32>
!v = tensor<?x?x?x5xf32>
func.func @none(%q: !t, %k: !t, %v: !v, %c: f32) -> !v {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) : (!t, !t, !v, f32) -> !v
  return %o : !v
}
