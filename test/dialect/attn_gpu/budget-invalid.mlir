// RUN: fovea-opt %s -split-input-file -verify-diagnostics -attn-gpu-budget

func.func @memory() {
  %k = attn_gpu.channel "k" : !attn_gpu.channel<128x256xbf16, stages = 4, records = 3>
  // expected-error @+1 {{asks for 262272 bytes of shared memory, the limit is 232448}}
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    attn_gpu.role mma groups(2) {
    }
  }
  return
}

// -----

!o = !attn_gpu.frag<64x256xf32, quad>
!p = !attn_gpu.frag<64x192xbf16, quad_a>
!tile = !attn_gpu.tile<64x256xbf16>
!s = !attn_gpu.frag<64x64xf32, quad>

// Outputs, weights, scores.
func.func @registers(%n: index, %q: !tile, %o: !o, %p: !p) {
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
    }
    // expected-error @+1 {{holds 208 registers of fragments, the limit of 3 groups is 144}}
    attn_gpu.role mma groups(3) {
      %r:2 = scf.for %i = %n to %n step %n iter_args(%x = %o, %y = %p) -> (!o, !p) {
        %t = attn_gpu.mma.start %q, %q transposed : !tile, !tile -> !attn_gpu.pending<!s>
        %u = attn_gpu.await %t keep 0 : !attn_gpu.pending<!s> -> !s
        scf.yield %x, %y : !o, !p
      }
    }
  }
  return
}
