// Chunked linear attention with a decay per head:
//
//   S_n = γ · S_{n-1} + k_nᵀ v_n,   o_n = q_n S_n
//
// The grid is over (b, h); the sweep takes the chunks in order and carries the
// D x E matrix S as a plain tile. In a chunk from n0 of 8 keys, with S before it:
//
//   o_m = γ^(m-n0+1) · q_m S + Σ_{n ≤ m} γ^(m-n) (q_m·k_n) v_n
//   S'  = γ^8 · S + Σ_n γ^(7-(n-n0)) k_nᵀ v_n

!qk = memref<?x?x?x8xf64, strided<[?, ?, ?, ?], offset: ?>>
!ve = memref<?x?x?x4xf64, strided<[?, ?, ?, ?], offset: ?>>

func.func @linear_attention(%q: !qk, %k: !qk, %v: !ve, %gamma: memref<?xf64> {attn.name = "gamma"},
                            %out: !ve) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %empty = arith.constant dense<0.0> : tensor<8x4xf64>
  %B = memref.dim %q, %c0 : !qk
  %H = memref.dim %q, %c1 : !qk
  %N = memref.dim %q, %c2 : !qk
  online.grid (%b, %h) in (%B, %H) {
    %hi = arith.index_cast %h : index to i64
    %Q = online.view %q[%b, %h] : !qk -> !online.view<?x8xf64>
    %K = online.view %k[%b, %h] : !qk -> !online.view<?x8xf64>
    %V = online.view %v[%b, %h] : !ve -> !online.view<?x4xf64>
    %O = online.view %out[%b, %h] : !ve -> !online.view<?x4xf64>
    %w = online.walk.segments step 8 [%c0, %N) partial : !online.walk
    %end = online.sweep (%n0, %cls) in %w iter(%S = %empty) -> tensor<8x4xf64> {
      %qt = online.load %Q[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %kt = online.load %K[%n0] : !online.view<?x8xf64> -> tensor<8x8xf64>
      %vt = online.load %V[%n0] : !online.view<?x4xf64> -> tensor<8x4xf64>
      // A
      %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
      %y = online.dot %qt, %S contract [1, 0] : tensor<8x8xf64>, tensor<8x4xf64> -> tensor<8x4xf64>
      // B: the decays depend on the row, the column, their distance or nothing
      %decay = online.map diag(%n0, %n0) columns 8 {
      ^bb0(%d: i64):
        %zero = arith.constant 0 : i64
        %none = arith.constant 0.0 : f64
        %g = attn.read %gamma[%hi] : memref<?xf64> -> f64
        %df = arith.sitofp %d : i64 to f64
        %p = math.powf %g, %df : f64
        %past = arith.cmpi sge, %d, %zero : i64
        %r = arith.select %past, %p, %none : f64
        online.yield %r : f64
      } -> tensor<15xf64>
      %x1 = online.map tile(%n0, %n0) ins(%x, %decay : tensor<8x8xf64>, tensor<15xf64>) {
      ^bb0(%m: i64, %n: i64, %xi: f64, %di: f64):
        %r = arith.mulf %xi, %di : f64
        online.yield %r : f64
      } -> tensor<8x8xf64>
      %y1 = online.map tile(%c1, %c0) ins(%y : tensor<8x4xf64>) {
      ^bb0(%age: i64, %e: i64, %yi: f64):
        %g = attn.read %gamma[%hi] : memref<?xf64> -> f64
        %af = arith.sitofp %age : i64 to f64
        %p = math.powf %g, %af : f64
        %r = arith.mulf %yi, %p : f64
        online.yield %r : f64
      } -> tensor<8x4xf64>
      %k1 = online.map tile(%c0, %c0) ins(%kt : tensor<8x8xf64>) {
      ^bb0(%i: i64, %d: i64, %ki: f64):
        %last = arith.constant 7 : i64
        %g = attn.read %gamma[%hi] : memref<?xf64> -> f64
        %age = arith.subi %last, %i : i64
        %af = arith.sitofp %age : i64 to f64
        %p = math.powf %g, %af : f64
        %r = arith.mulf %ki, %p : f64
        online.yield %r : f64
      } -> tensor<8x8xf64>
      %S1 = online.map tile(%c0, %c0) ins(%S : tensor<8x4xf64>) {
      ^bb0(%d: i64, %e: i64, %si: f64):
        %chunk = arith.constant 8.0 : f64
        %g = attn.read %gamma[%hi] : memref<?xf64> -> f64
        %p = math.powf %g, %chunk : f64
        %r = arith.mulf %si, %p : f64
        online.yield %r : f64
      } -> tensor<8x4xf64>
      // C
      %o = online.accumulate %y1, %x1, %vt contract [1, 0] : tensor<8x8xf64>, tensor<8x4xf64> -> tensor<8x4xf64>
      online.store %o, %O[%n0] : tensor<8x4xf64>, !online.view<?x4xf64>
      %S2 = online.accumulate %S1, %k1, %vt contract [0, 0] : tensor<8x8xf64>, tensor<8x4xf64> -> tensor<8x4xf64>
      online.yield %S2 : tensor<8x4xf64>
    }
  }
  return
}
