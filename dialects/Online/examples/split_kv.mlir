// Split-KV: the keys of one output tile in three parts, joined by the one merge.
// The learned sink seeds the first part alone; a part may be empty. The state
// carries everything that the parts have to know of each other.

!qkv = memref<?x?x?x8xf64, strided<[?, ?, ?, ?], offset: ?>>
!row = memref<?x?x?xf64>
!state = !online.state<8x8xf64, t, l>

attn.normalizer @sink score_type f64 captures [tensor<?xf64>] stat {
^bb0(%s: f64, %sigma: tensor<?xf64>):
  attn.yield %s : f64
} weight {
^bb0(%s: f64, %t: f64, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf64>):
  %d = arith.subf %s, %t : f64
  %p = math.exp %d : f64
  attn.yield %p : f64
} denom {
^bb0(%s: f64, %t: f64, %b: i64, %h: i64, %m: i64, %n: i64, %sigma: tensor<?xf64>):
  %d = arith.subf %s, %t : f64
  %p = math.exp %d : f64
  attn.yield %p : f64
} seed {
^bb0(%b: i64, %h: i64, %m: i64, %sigma: tensor<?xf64>):
  %t0 = attn.read %sigma[%h] : tensor<?xf64> -> f64
  %l0 = arith.constant 1.0 : f64
  attn.yield %t0, %l0 : f64, f64
}

func.func @split_kv(%q: !qkv, %k: !qkv, %v: !qkv, %sigma: memref<?xf64> {attn.name = "sigma"},
                    %kv_lengths: memref<?xi64>, %scale: f64, %out: !qkv, %lse: !row) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c8 = arith.constant 8 : index
  %B = memref.dim %q, %c0 : !qkv
  %H = memref.dim %q, %c1 : !qkv
  %Hk = memref.dim %k, %c1 : !qkv
  %M = memref.dim %q, %c2 : !qkv
  %group = arith.divui %H, %Hk : index
  %MT = arith.ceildivsi %M, %c8 : index
  online.grid (%b, %h, %mt) in (%B, %H, %MT) {
    %bi = arith.index_cast %b : index to i64
    %hi = arith.index_cast %h : index to i64
    %hk = arith.divui %h, %group : index
    %m0 = arith.muli %mt, %c8 : index
    %len0 = memref.load %kv_lengths[%b] : memref<?xi64>
    %len = arith.index_cast %len0 : i64 to index
    %Q = online.view %q[%b, %h] : !qkv -> !online.view<?x8xf64>
    %K = online.view %k[%b, %hk] len(%len) : !qkv -> !online.view<?x8xf64, ragged>
    %V = online.view %v[%b, %hk] len(%len) : !qkv -> !online.view<?x8xf64, ragged>
    %O = online.view %out[%b, %h] : !qkv -> !online.view<?x8xf64>
    %L = online.view %lse[%b, %h] : !row -> !online.view<?xf64>
    %qt = online.load %Q[%m0] : !online.view<?x8xf64> -> tensor<8x8xf64>
    %all = online.walk.segments step 8 [%c0, %len) full : !online.walk
    %seeded = online.init normalizer @sink(%sigma : memref<?xf64>) at(%bi, %hi, %m0) : !state
    %fresh = online.init unseeded normalizer @sink(%sigma : memref<?xf64>) at(%bi, %hi, %m0) : !state
    %total = scf.for %part = %c0 to %c3 step %c1 iter_args(%sum = %seeded) -> (!state) {
      %w = online.walk.slice %all part(%part of %c3)
      %st = online.sweep (%n0, %cls) in %w iter(%s = %fresh) -> !state {
        %kt = online.load %K[%n0] : !online.view<?x8xf64, ragged> -> tensor<8x8xf64>
        %vt = online.load %V[%n0] : !online.view<?x8xf64, ragged> -> tensor<8x8xf64>
        %x = online.dot %qt, %kt contract [1, 1] : tensor<8x8xf64>, tensor<8x8xf64> -> tensor<8x8xf64>
        %p = online.mask at(%m0, %n0) class(%cls) : tensor<8x8xi1>
        %s1 = online.step %s, %x, %vt visible(%p : tensor<8x8xi1>) scale(%scale : f64)
            normalizer @sink(%sigma : memref<?xf64>) at(%bi, %hi, %m0, %n0)
          : !state, tensor<8x8xf64>, tensor<8x8xf64>
        online.yield %s1 : !state
      }
      %next = online.merge %sum, %st : !state
      scf.yield %next : !state
    }
    %o, %l = online.finish %total normalizer @sink(%sigma : memref<?xf64>) at(%bi, %hi, %m0)
      : !state -> tensor<8x8xf64>, tensor<8xf64>
    online.store %o, %O[%m0] : tensor<8x8xf64>, !online.view<?x8xf64>
    online.store %l, %L[%m0] : tensor<8xf64>, !online.view<?xf64>
  }
  return
}
