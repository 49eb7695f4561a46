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
