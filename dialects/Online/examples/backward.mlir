// The backward pass of soft-cap with a bias table, for a causal mask:
//
//   s' = cap · tanh(scale · q·k / cap) + bias[h, m, n],  p = softmax(s')
//   dv = pᵀ·do,  ds' = p ∘ (do·vᵀ − delta),  dbias = Σ_b ds'
//   dx = ds' ∘ scale · (1 − tanh²),  dk = dxᵀ·q,  dq = dx·k
//
// One grid point owns a key tile and sweeps over query tiles: dk and dv stay in
// tiles, dq and dbias are added to memory.

!qkv = memref<?x?x?x8xf64, strided<[?, ?, ?, ?], offset: ?>>
!row = memref<?x?x?xf64>
!sum = memref<?x?x?x1xf64>

// out and lse. Tiles wholly below the diagonal are full, the last is partial.
func.func @forward(%q: !qkv, %k: !qkv, %v: !qkv, %bias: memref<?x?x?xf64> {attn.name = "bias"},
                   %scale: f64, %cap: f64, %out: !qkv, %lse: !row) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %B = memref.dim %q, %c0 : !qkv
  %H = memref.dim %q, %c1 : !qkv
  %M = memref.dim %q, %c2 : !qkv
  %N = memref.dim %k, %c2 : !qkv
  %MT = arith.ceildivsi %M, %c8 : index
  online.grid (%b, %h, %mt) in (%B, %H, %MT) {
    %bi = arith.index_cast %b : index to i64
    %hi = arith.index_cast %h : index to i64
    %m0 = arith.muli %mt, %c8 : index
    %end0 = arith.addi %m0, %c8 : index
    %end = arith.minsi %end0, %N : index
    %diag = arith.minsi %m0, %N : index
    %Q = online.view %q[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K = online.view %k[%b, %h] : !qkv -> !online.view<?x8xf64>
    %V = online.view %v[%b, %h] : !qkv -> !online.view<?x8xf64>
    %O = online.view %out[%b, %h] : !qkv -> !online.view<?x8xf64>
    %L = online.view %lse[%b, %h] : !row -> !online.view<?xf64>
    %qt = online.load %Q[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %w = online.walk.segments step 8 [%c0, %diag) full, [%diag, %end) partial : !online.walk
    %init = online.init normalizer #attn.softmax at(%bi, %hi, %m0) : !online.state<8x8xf64, t, l>
    %st = online.sweep (%n0, %cls) in %w iter(%s = %init) -> !online.state<8x8xf64, t, l> {
      %kt = online.load %K[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %vt = online.load %V[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %y = online.map tile(%m0, %n0) ins(%x : tensor<8x8xf64>) {
      ^bb0(%m: i64, %n: i64, %xi: f64):
        %s0 = arith.mulf %xi, %scale : f64
        %s1 = arith.divf %s0, %cap : f64
        %s2 = math.tanh %s1 : f64
        %s3 = arith.mulf %s2, %cap : f64
        %bv = attn.read %bias[%hi, %m, %n] : memref<?x?x?xf64> -> f64
        %s4 = arith.addf %s3, %bv : f64
        online.yield %s4 : f64
      } -> tensor<8x8xf64>
      %p = online.mask at(%m0, %n0) class(%cls) {
      ^bb0(%m: i64, %n: i64):
        %keep = arith.cmpi sge, %m, %n : i64
        online.yield %keep : i1
      } : tensor<8x8xi1>
      %s1 = online.step %s, %y, %vt visible(%p : tensor<8x8xi1>) normalizer #attn.softmax
          at(%bi, %hi, %m0, %n0)
        : !online.state<8x8xf64, t, l>, tensor<8x8xf64>, tensor<8x8xf64>
      online.yield %s1 : !online.state<8x8xf64, t, l>
    }
    %o, %l = online.finish %st normalizer #attn.softmax at(%bi, %hi, %m0)
      : !online.state<8x8xf64, t, l> -> tensor<8x8xf64>, tensor<8xf64>
    online.store %o, %O[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
    online.store %l, %L[%m0] : tensor<8xf64>, !online.view<?xf64>
  }
  return
}

// delta[m] = Σ_e o · do, a row sum by a contraction with ones.
func.func @delta(%out: !qkv, %dout: !qkv, %delta: !sum) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<8x1xf64>
  %ones = arith.constant dense<1.0> : tensor<8x1xf64>
  %B = memref.dim %out, %c0 : !qkv
  %H = memref.dim %out, %c1 : !qkv
  %M = memref.dim %out, %c2 : !qkv
  %MT = arith.ceildivsi %M, %c8 : index
  online.grid (%b, %h, %mt) in (%B, %H, %MT) {
    %m0 = arith.muli %mt, %c8 : index
    %O = online.view %out[%b, %h] : !qkv -> !online.view<?x8xf64>
    %dO = online.view %dout[%b, %h] : !qkv -> !online.view<?x8xf64>
    %D = online.view %delta[%b, %h] : !sum -> !online.view<?x1xf64>
    %ot = online.load %O[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %dot = online.load %dO[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %prod = online.map tile(%m0, %c0) ins(%ot, %dot : tensor<8x8xf64>, tensor<8x8xf64>) {
    ^bb0(%m: i64, %e: i64, %x: f64, %y: f64):
      %z = arith.mulf %x, %y : f64
      online.yield %z : f64
    } -> tensor<8x8xf64>
    %sum = online.accumulate %zero, %prod, %ones contract [1, 0]
      : tensor<8x8xf64>, tensor<8x1xf64> -> tensor<8x1xf64>
    online.store %sum, %D[%m0] : tensor<8x1xf64>, !online.view<?x1xf64>
  }
  return
}

// dbias is cut by key tile: (head, key tile, m, n in the tile). dq and dbias
// start as zeros.
func.func @backward(%q: !qkv, %k: !qkv, %v: !qkv, %bias: memref<?x?x?xf64> {attn.name = "bias"},
                    %scale: f64, %cap: f64, %dout: !qkv, %lse: !row, %delta: !sum,
                    %dq: !qkv, %dk: !qkv, %dv: !qkv, %dbias: !qkv) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<8x8xf64>
  %B = memref.dim %q, %c0 : !qkv
  %H = memref.dim %q, %c1 : !qkv
  %M = memref.dim %q, %c2 : !qkv
  %N = memref.dim %k, %c2 : !qkv
  %Ni = arith.index_cast %N : index to i64
  %NT = arith.ceildivsi %N, %c8 : index
  online.grid (%b, %h, %nt) in (%B, %H, %NT) {
    %bi = arith.index_cast %b : index to i64
    %hi = arith.index_cast %h : index to i64
    %n0 = arith.muli %nt, %c8 : index
    %Q = online.view %q[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K = online.view %k[%b, %h] : !qkv -> !online.view<?x8xf64>
    %V = online.view %v[%b, %h] : !qkv -> !online.view<?x8xf64>
    %dO = online.view %dout[%b, %h] : !qkv -> !online.view<?x8xf64>
    %L = online.view %lse[%b, %h] : !row -> !online.view<?xf64>
    %D = online.view %delta[%b, %h] : !sum -> !online.view<?x1xf64>
    %dQ = online.view %dq[%b, %h] : !qkv -> !online.view<?x8xf64>
    %dK = online.view %dk[%b, %h] : !qkv -> !online.view<?x8xf64>
    %dV = online.view %dv[%b, %h] : !qkv -> !online.view<?x8xf64>
    %dB = online.view %dbias[%h, %nt] : !qkv -> !online.view<?x8xf64>
    %kt = online.load %K[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %vt = online.load %V[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    // Causal: the first query that sees this tile is n0.
    %w = online.walk.segments step 8 [%n0, %M) partial : !online.walk
    %g:2 = online.sweep (%m0, %cls) in %w iter(%dk0 = %zero, %dv0 = %zero)
        -> (tensor<8x8xf64>, tensor<8x8xf64>) {
      %qt = online.load %Q[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %dot = online.load %dO[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %lt = online.load %L[%m0] : !online.view<?xf64> -> tensor<8xf64>
      %dt = online.load %D[%m0] : !online.view<?x1xf64> -> tensor<8x1xf64>
      // A
      %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %dp = online.dot %dot, %vt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      // B
      %s, %slope = online.map tile(%m0, %n0) ins(%x : tensor<8x8xf64>) {
      ^bb0(%m: i64, %n: i64, %xi: f64):
        %one = arith.constant 1.0 : f64
        %s0 = arith.mulf %xi, %scale : f64
        %s1 = arith.divf %s0, %cap : f64
        %s2 = math.tanh %s1 : f64
        %s3 = arith.mulf %s2, %cap : f64
        %bv = attn.read %bias[%hi, %m, %n] : memref<?x?x?xf64> -> f64
        %s4 = arith.addf %s3, %bv : f64
        %t2 = arith.mulf %s2, %s2 : f64
        %d0 = arith.subf %one, %t2 : f64
        %d1 = arith.mulf %d0, %scale : f64
        online.yield %s4, %d1 : f64, f64
      } -> tensor<8x8xf64>, tensor<8x8xf64>
      %vis = online.mask rows at(%m0, %n0) class(%cls) {
      ^bb0(%m: i64, %n: i64):
        %causal = arith.cmpi sge, %m, %n : i64
        %inside = arith.cmpi slt, %n, %Ni : i64
        %keep = arith.andi %causal, %inside : i1
        online.yield %keep : i1
      } : tensor<8x8xi1>
      %p = online.weights %s stat(%lt : tensor<8xf64>) visible(%vis : tensor<8x8xi1>)
        normalizer #attn.softmax at(%bi, %hi, %m0, %n0) : tensor<8x8xf64>
      // Selected by the mask: where it is false, the score may be anything.
      %ds, %dx = online.map tile(%m0, %n0) ins(%vis, %p, %dp, %dt, %slope
          : tensor<8x8xi1>, tensor<8x8xf64>, tensor<8x8xf64>, tensor<8x1xf64>, tensor<8x8xf64>) {
      ^bb0(%m: i64, %n: i64, %keep: i1, %pi: f64, %dpi: f64, %di: f64, %si: f64):
        %z = arith.constant 0.0 : f64
        %e = arith.subf %dpi, %di : f64
        %f = arith.mulf %pi, %e : f64
        %g0 = arith.mulf %f, %si : f64
        %r0 = arith.select %keep, %f, %z : f64
        %r1 = arith.select %keep, %g0, %z : f64
        online.yield %r0, %r1 : f64, f64
      } -> tensor<8x8xf64>, tensor<8x8xf64>
      // C
      %dv1 = online.accumulate %dv0, %p, %dot contract [0, 0] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %dk1 = online.accumulate %dk0, %dx, %qt contract [0, 0] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %dqt = online.accumulate %zero, %dx, %kt contract [1, 0] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      online.reduce_into %dqt, %dQ[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
      online.reduce_into %ds, %dB[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
      online.yield %dk1, %dv1 : tensor<8x8xf64>, tensor<8x8xf64>
    }
    online.store %g#0, %dK[%n0] : tensor<8x8xf64>, !online.view<?x8xf64>
    online.store %g#1, %dV[%n0] : tensor<8x8xf64>, !online.view<?x8xf64>
  }
  return
}
