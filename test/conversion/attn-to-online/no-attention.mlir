// A function without an attention stays as it is, whatever it holds.
// RUN: fovea-opt %s -allow-unregistered-dialect -convert-attn-to-online | FileCheck %s
// RUN: fovea-opt %s -allow-unregistered-dialect -convert-attn-to-online=target=sm_90a | FileCheck %s
// RUN: fovea-opt %s -allow-unregistered-dialect -fovea-online-pipeline | FileCheck %s
// RUN: fovea-opt %s -allow-unregistered-dialect -fovea-attn-gpu-pipeline | FileCheck %s
// RUN: fovea-opt %s -allow-unregistered-dialect -fovea-cpu-pipeline -o /dev/null

// CHECK: func.func @foreign
// CHECK-NEXT: "test.src"
func.func @foreign() {
  %q = "test.src"() : () -> i64
  return
}
