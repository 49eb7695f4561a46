// RUN: fovea-opt %s -split-input-file -verify-diagnostics -attn-gpu-budget -convert-attn-gpu-to-nvvm

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @few_arguments(%k: !memref, %n: index {attn.name = "n"}) { // expected-error {{a kernel takes q, k, v and out, got 2 arguments}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @no_name(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index) { // expected-error {{argument #4 needs a name: attn.name}}
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @no_queries(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !channel
  // expected-error@+1 {{has no channel of queries whose products are started: run -attn-gpu-flatten-stream}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @view_argument(%q: !memref, %K: !view, %v: !memref, %out: !memref) {
  %c0 = arith.constant 0 : index
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{needs a view that 'online.view' gives}}
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @dimension(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{needs a constant dimension}}
      %d = memref.dim %k, %n : !memref
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @other_memory(%q: !memref, %k: !memref, %v: !memref, %x: memref<?xi64> {attn.name = "x"}, %out: !memref) {
  %c0 = arith.constant 0 : index
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{reads another memory than offsets and lengths}}
      %d = memref.load %x[%c0] : memref<?xi64>
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @no_memref(%q: !memref, %k: !memref, %v: !memref, %out: !memref) {
  %c0 = arith.constant 0 : index
  %made = memref.alloc() : memref<4xf32>
  // expected-error@+1 {{needs a memref that is an argument}}
  %d = memref.dim %made, %c0 : memref<4xf32>
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>
!tile = !attn_gpu.tile<128x64xbf16>
!frag = !attn_gpu.frag<64x128xf32, quad>

func.func @records_before_the_wait(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %length = memref.dim %k, %c2 : !memref
  %K = online.view %k[%c0, %c0] len(%length) : !memref -> !view
  %qc = attn_gpu.channel "q" : !channel
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      attn_gpu.fill %kc[%c0], %K[%c0] records(%n) : !channel, !view
    }
    attn_gpu.role mma groups(2) {
      // expected-error@+1 {{reads the records of a use that it has not waited for in this block}}
      %x = attn_gpu.record %kc[%c0] : !channel -> index
      %qt = attn_gpu.wait %qc[%c0] : !channel -> !tile
      %kt = attn_gpu.wait %kc[%c0] : !channel -> !tile
      %p = attn_gpu.mma.start %qt, %kt transposed : !tile, !tile -> !attn_gpu.pending<!frag>
      %s = attn_gpu.await %p keep 0 : !attn_gpu.pending<!frag> -> !frag
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>
!tile = !attn_gpu.tile<128x64xbf16>
!frag = !attn_gpu.frag<64x128xf32, quad>

func.func @synchronous_product(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %qc = attn_gpu.channel "q" : !channel
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
      %qt = attn_gpu.wait %qc[%c0] : !channel -> !tile
      %kt = attn_gpu.wait %kc[%c0] : !channel -> !tile
      %p = attn_gpu.mma.start %qt, %kt transposed : !tile, !tile -> !attn_gpu.pending<!frag>
      %s = attn_gpu.await %p keep 0 : !attn_gpu.pending<!frag> -> !frag
      // expected-error@+1 {{is not of the form that -convert-attn-gpu-to-nvvm takes}}
      %t = attn_gpu.mma %qt, %kt transposed : !tile, !tile -> !frag
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 1>
!tile = !attn_gpu.tile<128x64xbf16>
!frag = !attn_gpu.frag<64x128xf32, quad>

func.func @part_of_a_sequence(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %qc = attn_gpu.channel "q" : !channel
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      // expected-error@+1 {{sm_90a kernels take whole sequences of (batch, head) alone}}
      attn_gpu.fill %kc[%c0], %K[%c0] records(%n) : !channel, !view
    }
    attn_gpu.role mma groups(2) {
      %qt = attn_gpu.wait %qc[%c0] : !channel -> !tile
      %kt = attn_gpu.wait %kc[%c0] : !channel -> !tile
      %p = attn_gpu.mma.start %qt, %kt transposed : !tile, !tile -> !attn_gpu.pending<!frag>
      %s = attn_gpu.await %p keep 0 : !attn_gpu.pending<!frag> -> !frag
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16, ragged>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>

func.func @no_number(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !view
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
      // expected-error@+1 {{needs a number, as several warps load}}
      %t = attn_gpu.tile.fetch of %n
      attn_gpu.fill %kc[%c0], %K[%c0] warp 1 : !channel, !view
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @not_in_clusters(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
      // expected-error@+1 {{takes tiles for clusters of 2, channels are of 1}}
      %t = attn_gpu.tile.fetch of %n cluster 2
      %u = attn_gpu.tile.share %t number %n
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>
!tile = !attn_gpu.tile<128x64xbf16>
!frag = !attn_gpu.frag<64x128xf32, quad>

func.func @no_batches(%q: !memref, %k: !memref, %v: !memref, %out: !memref) {
  %c0 = arith.constant 0 : index
  %qc = attn_gpu.channel "q" : !channel
  %kc = attn_gpu.channel "k" : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
      // expected-error@+1 {{in a kernel that reads no offsets and lengths}}
      %b = attn_gpu.batch %c0
      %Q = online.view %q[%b, %c0] : !memref -> !view
      %K = online.view %k[%b, %c0] : !memref -> !view
      attn_gpu.fill %qc[%c0], %Q[%c0] : !channel, !view
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !view
    }
    attn_gpu.role mma groups(2) registers(240) {
      %qt = attn_gpu.wait %qc[%c0] : !channel -> !tile
      %kt = attn_gpu.wait %kc[%c0] : !channel -> !tile
      %p = attn_gpu.mma.start %qt, %kt transposed : !tile, !tile -> !attn_gpu.pending<!frag>
      %s = attn_gpu.await %p keep 0 : !attn_gpu.pending<!frag> -> !frag
    }
  }
  return
}
