// The shrunken module still shows what the test script looks for, and no more.
// RUN: fovea-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has_shift.sh' | FileCheck %s

// CHECK-NOT: func.func @unrelated
// CHECK: func.func @interesting
// CHECK: attn.shl
func.func @unrelated(%a: i64) -> i64 {
  %0 = attn.floordiv %a, %a
  return %0 : i64
}
func.func @interesting(%a: i64) -> i64 {
  %0 = attn.shl %a, %a
  return %0 : i64
}
