!t = tensor<?x?x?x32xf16>
!p = tensor<?xi64>
func.func @window(%q: !t, %k: !t, %v: !t, %c: f32, %qo: !p, %ko: !p, %ql: !p, %kl: !p) -> !t {
  %o = attn.attention query(%q) key(%k) value(%v) normalizer #attn.softmax scale(%c)
    q_offset(%qo) kv_offset(%ko) q_lengths(%ql) kv_lengths(%kl)
  mask {
  ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
    %w = attn.param "W" = 4096 : i64
    %d = arith.subi %m, %n : i64
    %near = arith.cmpi slt, %d, %w : i64
    %causal = arith.cmpi sge, %m, %n : i64
    %keep = arith.andi %near, %causal : i1
    attn.yield %keep : i1
  } : (!t, !t, !t, f32, !p, !p, !p, !p) -> !t
  return %o : !t
}
