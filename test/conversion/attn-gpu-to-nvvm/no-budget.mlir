// RUN: fovea-opt %s -split-input-file -verify-diagnostics -convert-attn-gpu-to-nvvm

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>

func.func @no_budget(%q: !memref, %k: !memref, %v: !memref, %out: !memref) { // expected-error {{has no budget: run -attn-gpu-budget}}
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

func.func @no_place(%q: !memref, %k: !memref, %v: !memref, %out: !memref) attributes {attn_gpu.shared_memory = 0 : i64, attn_gpu.barriers = 0 : i64, attn_gpu.threads = 384 : i64, attn_gpu.blocks = 1 : i64} {
  // expected-error@+1 {{has no place: run -attn-gpu-budget}}
  %kc = attn_gpu.channel "k" : !attn_gpu.channel<128x64xbf16, stages = 2, records = 0>
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}

// -----

!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!channel = !attn_gpu.channel<128x64xbf16, stages = 2, records = 0 cluster = 2>

// Nobody shares a tile: there is no room for it.
func.func @no_room(%q: !memref, %k: !memref, %v: !memref, %out: !memref, %n: index {attn.name = "n"}) attributes {attn_gpu.shared_memory = 0 : i64, attn_gpu.barriers = 0 : i64, attn_gpu.threads = 384 : i64, attn_gpu.blocks = 1 : i64} { // expected-error {{has no budget: run -attn-gpu-budget}}
  %c0 = arith.constant 0 : index
  %K = online.view %k[%c0, %c0] len(%n) : !memref -> !online.view<?x64xbf16, ragged>
  %kc = attn_gpu.channel "k" {offset = 0 : i64} : !channel
  attn_gpu.specialize {
    attn_gpu.role load groups(1) registers(24) {
      attn_gpu.fill %kc[%c0], %K[%c0] : !channel, !online.view<?x64xbf16, ragged>
    }
    attn_gpu.role mma groups(2) registers(240) {
    }
  }
  return
}
