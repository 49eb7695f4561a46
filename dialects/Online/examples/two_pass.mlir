// A normaliser that needs two passes: probabilities below `floor` are dropped
// and the others divided by their sum (min-p on attention).
//
// The first sweep carries a state of no columns, the statistics alone. The
// second has the probabilities from `online.weights` and sums both v and 1.

!qkv = memref<?x?x?x8xf64, strided<[?, ?, ?, ?], offset: ?>>
!stats = !online.state<8x0xf64, t, l>

func.func @two_pass(%q: !qkv, %k: !qkv, %v: !qkv, %floor: f64, %scale: f64, %out: !qkv) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %none = arith.constant dense<> : tensor<8x0xf64>
  %zero = arith.constant dense<0.0> : tensor<8x8xf64>
  %zero1 = arith.constant dense<0.0> : tensor<8x1xf64>
  %ones = arith.constant dense<1.0> : tensor<8x1xf64>
  %B = memref.dim %q, %c0 : !qkv
  %H = memref.dim %q, %c1 : !qkv
  %M = memref.dim %q, %c2 : !qkv
  %N = memref.dim %k, %c2 : !qkv
  %MT = arith.ceildivsi %M, %c8 : index
  online.grid (%b, %h, %mt) in (%B, %H, %MT) {
    %bi = arith.index_cast %b : index to i64
    %hi = arith.index_cast %h : index to i64
    %m0 = arith.muli %mt, %c8 : index
    %Q = online.view %q[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K = online.view %k[%b, %h] : !qkv -> !online.view<?x8xf64>
    %V = online.view %v[%b, %h] : !qkv -> !online.view<?x8xf64>
    %O = online.view %out[%b, %h] : !qkv -> !online.view<?x8xf64>
    %qt = online.load %Q[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %w = online.walk.segments step 8 [%c0, %N) full : !online.walk
    %init = online.init normalizer #attn.softmax at(%bi, %hi, %m0) : !stats
    %st = online.sweep (%n0, %cls) in %w iter(%s = %init) -> !stats {
      %kt = online.load %K[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %p = online.mask at(%m0, %n0) class(%cls) : tensor<8x8xi1>
      %s1 = online.step %s, %x, %none visible(%p : tensor<8x8xi1>) scale(%scale : f64)
          normalizer #attn.softmax at(%bi, %hi, %m0, %n0)
        : !stats, tensor<8x8xf64>, tensor<8x0xf64>
      online.yield %s1 : !stats
    }
    %e, %lse = online.finish %st normalizer #attn.softmax at(%bi, %hi, %m0)
      : !stats -> tensor<8x0xf64>, tensor<8xf64>
    %sum:2 = online.sweep (%n0, %cls) in %w iter(%o0 = %zero, %l0 = %zero1)
        -> (tensor<8x8xf64>, tensor<8x1xf64>) {
      %kt = online.load %K[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %vt = online.load %V[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %y = online.map tile(%m0, %n0) ins(%x : tensor<8x8xf64>) {
      ^bb0(%m: i64, %n: i64, %xi: f64):
        %s = arith.mulf %xi, %scale : f64
        online.yield %s : f64
      } -> tensor<8x8xf64>
      %vis = online.mask at(%m0, %n0) class(%cls) : tensor<8x8xi1>
      %p = online.weights %y stat(%lse : tensor<8xf64>) visible(%vis : tensor<8x8xi1>)
        normalizer #attn.softmax at(%bi, %hi, %m0, %n0) : tensor<8x8xf64>
      %kept = online.map tile(%m0, %n0) ins(%p : tensor<8x8xf64>) {
      ^bb0(%m: i64, %n: i64, %pi: f64):
        %z = arith.constant 0.0 : f64
        %big = arith.cmpf oge, %pi, %floor : f64
        %r = arith.select %big, %pi, %z : f64
        online.yield %r : f64
      } -> tensor<8x8xf64>
      %o1 = online.accumulate %o0, %kept, %vt contract [1, 0] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %l1 = online.accumulate %l0, %kept, %ones contract [1, 0] : tensor<8x8xf64>, tensor<8x1xf64> -> tensor<8x1xf64>
      online.yield %o1, %l1 : tensor<8x8xf64>, tensor<8x1xf64>
    }
    // A row without a kept key gives 0 (S3).
    %o = online.map tile(%m0, %c0) ins(%sum#0, %sum#1 : tensor<8x8xf64>, tensor<8x1xf64>) {
    ^bb0(%m: i64, %f: i64, %oi: f64, %li: f64):
      %z = arith.constant 0.0 : f64
      %dead = arith.cmpf oeq, %li, %z : f64
      %d = arith.divf %oi, %li : f64
      %r = arith.select %dead, %z, %d : f64
      online.yield %r : f64
    } -> tensor<8x8xf64>
    online.store %o, %O[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
  }
  return
}
