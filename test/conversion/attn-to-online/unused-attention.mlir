// An attention that nothing uses goes before the lowering.
// RUN: fovea-opt %s -allow-unregistered-dialect -fovea-online-pipeline | FileCheck %s
// RUN: fovea-opt %s -allow-unregistered-dialect -fovea-attn-gpu-pipeline | FileCheck %s

// CHECK: @unused
// CHECK-NEXT: "test.src"
// CHECK-NEXT: return
!t = tensor<?x?x?x64xbf16>
func.func @unused() {
  %q, %c = "test.src"() : () -> (!t, f32)
  %o = attn.attention query(%q) key(%q) value(%q) normalizer #attn.softmax scale(%c) : (!t, !t, !t, f32) -> !t
  return
}
