// Multi-head latent attention with its rotary part as a second (query, key) pair:
// s = scale (q . k + qr . kr), kr shared by all heads (one key head).
// DeepSeek-AI 2024, "DeepSeek-V2", arXiv:2405.04434.
func.func @mla_rope(%q: tensor<?x?x?x32xf32>, %qr: tensor<?x?x?x16xf32>, %k: tensor<?x?x?x32xf32>, %kr: tensor<?x?x?x16xf32>, %v: tensor<?x?x?x32xf32>, %c: f32, %cr: f32) -> (tensor<?x?x?x32xf32>, tensor<?x?x?xf32>) {
  %o, %lse = attn.attention query(%q, %qr) key(%k, %kr) value(%v) normalizer #attn.softmax scale(%c, %cr)
    mask {
    ^bb0(%b: i64, %h: i64, %m: i64, %n: i64):
      %keep = arith.cmpi sge, %m, %n : i64
      attn.yield %keep : i1
    }
    : (tensor<?x?x?x32xf32>, tensor<?x?x?x16xf32>, tensor<?x?x?x32xf32>, tensor<?x?x?x16xf32>, tensor<?x?x?x32xf32>, f32, f32) -> (tensor<?x?x?x32xf32>, tensor<?x?x?xf32>)
  return %o, %lse : tensor<?x?x?x32xf32>, tensor<?x?x?xf32>
}
