// RUN: not fovea-opt %s -convert-attn-to-online=few-queries=true -convert-online-to-cpu 2>&1 | FileCheck %s

// The tiles of a block mask tell heads apart.
// CHECK: error: 'online.walk.list' op cannot be cut by a schedule with split, which takes several heads at once
!t = tensor<?x?x?x64xf32>
func.func @f(%q: !t, %k: !t, %v: !t, %c: f32, %bm: !attn.block_mask<?x?>) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) block_mask(%bm) : (!t, !t, !t, f32, !attn.block_mask<?x?>) -> !t
  return %o : !t
}
