//===- Passes.td - Level 2 to level 3 on GPUs ---------------*- tablegen -*-===//

#ifndef FOVEA_CONVERSION_ONLINETOATTNGPU_PASSES
#define FOVEA_CONVERSION_ONLINETOATTNGPU_PASSES

include "mlir/Pass/PassBase.td"

def ConvertOnlineToAttnGpu : Pass<"convert-online-to-attn-gpu", "::mlir::ModuleOp"> {
  let summary = "Turn online grids into kernels of one synchronous role";
  let description = [{
    Grids with an `#attn_gpu.schedule` become `attn_gpu.for_tiles` around
    `attn_gpu.for_blocks`: loads give shared tiles, dots and accumulates `mma`s, a
    step its row maximum, exponentials, sums and rescaling on fragments.

    NON-NUMERIC-PRESERVING: exp(x) is taken as exp2 of x·log2(e) with the scale
    and the row maximum folded into one fused multiply-add. The running maximum
    starts at −2^100 instead of −∞, so that rows without a visible key need no
    special case: scores below that count as invisible.

    ```mlir
    %st = online.sweep (%n0, %cls) in %w iter(%s = %init) -> (!online.state<128x64xf32, t, l>) {…}
    ```
    becomes
    ```mlir
    %r:3 = attn_gpu.for_blocks (%n0, %count, %full) in [%c0, %end) full step 128
        iter(%m = %floor, %l = %zero, %o = %zeros) -> (…) {
      %kt = attn_gpu.load %K[%n0] : …
      %s = attn_gpu.mma %qt, %kt transposed : …
      …
    }
    ```
  }];
  let dependentDialects = ["::mlir::attn_gpu::AttnGpuDialect"];
}

#endif // FOVEA_CONVERSION_ONLINETOATTNGPU_PASSES
