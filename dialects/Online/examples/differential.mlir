// Differential attention: two score maps over one V in one sweep,
//
//   out = (softmax(scale · q1 k1ᵀ) − λ[h] · softmax(scale · q2 k2ᵀ)) v
//
// Two states are carried side by side; each V tile is loaded once. Both maps
// see a sliding window of `window` keys up to the query itself.

!qkv = memref<?x?x?x8xf64, strided<[?, ?, ?, ?], offset: ?>>
!state = !online.state<8x8xf64, t, l>

func.func @differential(%q1: !qkv, %k1: !qkv, %q2: !qkv, %k2: !qkv, %v: !qkv,
                        %lambda: memref<?xf64> {attn.name = "lambda"}, %window: i64,
                        %scale: f64, %out: !qkv) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %B = memref.dim %q1, %c0 : !qkv
  %H = memref.dim %q1, %c1 : !qkv
  %M = memref.dim %q1, %c2 : !qkv
  %N = memref.dim %k1, %c2 : !qkv
  %MT = arith.ceildivsi %M, %c8 : index
  %win = arith.index_cast %window : i64 to index
  online.grid (%b, %h, %mt) in (%B, %H, %MT) {
    %bi = arith.index_cast %b : index to i64
    %hi = arith.index_cast %h : index to i64
    %m0 = arith.muli %mt, %c8 : index
    %lo0 = arith.subi %m0, %win : index
    %lo1 = arith.addi %lo0, %c1 : index
    %lo = arith.maxsi %lo1, %c0 : index
    %end0 = arith.addi %m0, %c8 : index
    %end = arith.minsi %end0, %N : index
    %Q1 = online.view %q1[%b, %h] : !qkv -> !online.view<?x8xf64>
    %Q2 = online.view %q2[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K1 = online.view %k1[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K2 = online.view %k2[%b, %h] : !qkv -> !online.view<?x8xf64>
    %V = online.view %v[%b, %h] : !qkv -> !online.view<?x8xf64>
    %O = online.view %out[%b, %h] : !qkv -> !online.view<?x8xf64>
    %qt1 = online.load %Q1[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %qt2 = online.load %Q2[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %w = online.walk.segments reverse step 8 [%lo, %end) partial : !online.walk
    %init = online.init normalizer #attn.softmax at(%bi, %hi, %m0) : !state
    %st:2 = online.sweep (%n0, %cls) in %w iter(%a = %init, %b2 = %init) -> (!state, !state) {
      %kt1 = online.load %K1[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %kt2 = online.load %K2[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %vt = online.load %V[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %x1 = online.dot %qt1, %kt1 contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %x2 = online.dot %qt2, %kt2 contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %p = online.mask at(%m0, %n0) class(%cls) {
      ^bb0(%m: i64, %n: i64):
        %zero = arith.constant 0 : i64
        %d = arith.subi %m, %n : i64
        %causal = arith.cmpi sge, %d, %zero : i64
        %near = arith.cmpi slt, %d, %window : i64
        %keep = arith.andi %causal, %near : i1
        online.yield %keep : i1
      } : tensor<8x8xi1>
      %a1 = online.step %a, %x1, %vt visible(%p : tensor<8x8xi1>) scale(%scale : f64)
          normalizer #attn.softmax at(%bi, %hi, %m0, %n0)
        : !state, tensor<8x8xf64>, tensor<8x8xf64>
      %b1 = online.step %b2, %x2, %vt visible(%p : tensor<8x8xi1>) scale(%scale : f64)
          normalizer #attn.softmax at(%bi, %hi, %m0, %n0)
        : !state, tensor<8x8xf64>, tensor<8x8xf64>
      online.yield %a1, %b1 : !state, !state
    }
    %o1 = online.finish %st#0 normalizer #attn.softmax at(%bi, %hi, %m0) : !state -> tensor<8x8xf64>
    %o2 = online.finish %st#1 normalizer #attn.softmax at(%bi, %hi, %m0) : !state -> tensor<8x8xf64>
    %o = online.map tile(%m0, %c0) ins(%o1, %o2 : tensor<8x8xf64>, tensor<8x8xf64>) {
    ^bb0(%m: i64, %e: i64, %x: f64, %y: f64):
      %l = attn.read %lambda[%hi] : memref<?xf64> -> f64
      %z = arith.mulf %l, %y : f64
      %d = arith.subf %x, %z : f64
      online.yield %d : f64
    } -> tensor<8x8xf64>
    online.store %o, %O[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
  }
  return
}
