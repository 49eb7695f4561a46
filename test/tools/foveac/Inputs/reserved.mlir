// Captures whose names hold what no identifier does, nor a comment or string.
func.func @reserved(
    %q: tensor<?x?x?x8xf32> {attn.name = "q"},
    %k: tensor<?x?x?x8xf32> {attn.name = "k"},
    %v: tensor<?x?x?x8xf32> {attn.name = "v"},
    %0: tensor<?xf32> {attn.dims = ["*/"], attn.name = "\C3\A9"},
    %1: tensor<?xf32> {attn.dims = ["*/"], attn.name = "*/"},
    %2: tensor<?xf32> {attn.name = "\22 a\\"},
    %scale: f32 {attn.name = "scale"}) -> tensor<?x?x?x8xf32> {
  %out = attn.attention query(%q) key(%k) value(%v) captures(%0, %1, %2)
      normalizer #attn.softmax scale(%scale)
    score {
  ^bb0(%s: f32, %b: i64, %h: i64, %m: i64, %n: i64,
       %x: tensor<?xf32>, %y: tensor<?xf32>, %z: tensor<?xf32>):
    %3 = attn.read %x[%h] : tensor<?xf32> -> f32
    %4 = attn.read %y[%h] : tensor<?xf32> -> f32
    %5 = attn.read %z[%h] : tensor<?xf32> -> f32
    %6 = arith.mulf %3, %4 : f32
    %7 = arith.addf %6, %5 : f32
    %8 = arith.addf %s, %7 : f32
    attn.yield %8 : f32
  } : (tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?x?x?x8xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, f32) -> tensor<?x?x?x8xf32>
  return %out : tensor<?x?x?x8xf32>
}
