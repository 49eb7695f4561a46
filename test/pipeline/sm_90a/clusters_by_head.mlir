// RUN: not fovea-opt %s -fovea-sm90a-pipeline=schedule=cluster=2 2>&1 | FileCheck %s
// RUN: fovea-opt %s -fovea-sm90a-pipeline | FileCheck %s --check-prefix=USUAL
// CHECK: walks blocks that depend on the head: the heads of a cluster read the same ones
// USUAL-NOT: in_clusters

// How many keys are visible is each head's own.

!t = tensor<?x?x?x128xbf16>
!p = tensor<?xi64>
func.func @staggered(%q: !t {attn.name = "q"}, %k: !t {attn.name = "k"}, %v: !t {attn.name = "v"}, %c: f32, %qo: !p {attn.name = "q_offset"}, %ko: !p {attn.name = "kv_offset"}, %ql: !p {attn.name = "q_lengths"}, %kl: !p {attn.name = "kv_lengths"}) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c) q_offset(%qo) kv_offset(%ko) q_lengths(%ql) kv_lengths(%kl)
    mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %0 = arith.addi %m, %h : i64
    %1 = arith.cmpi sle, %n, %0 : i64
    attn.yield %1 : i1
  } : (!t, !t, !t, f32, !p, !p, !p, !p) -> !t
  return %o : !t
}
