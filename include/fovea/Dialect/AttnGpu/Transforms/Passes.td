//===- Passes.td - Passes on attn_gpu -----------------------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES
#define FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def AttnGpuSplitRoles : Pass<"attn-gpu-split-roles", "::mlir::func::FuncOp"> {
  let summary = "Give loading and computing to roles of their own";
  let description = [{
    Every load becomes a channel: the loading role fills it, the computing role
    waits for its tile and releases it behind the last product that reads it.
    Both roles walk the same tiles and blocks.

    ```mlir
    attn_gpu.for_tiles … { %qt = attn_gpu.load %Q[%m0] … attn_gpu.for_blocks … { %kt = attn_gpu.load %K[%n0] … } }
    ```
    becomes
    ```mlir
    %qc = attn_gpu.channel "q" : …
    %kc = attn_gpu.channel "k" : …
    attn_gpu.specialize {
      attn_gpu.role load groups(1) {
        attn_gpu.for_tiles … { attn_gpu.fill %qc, %Q[%m0] … attn_gpu.for_blocks … { attn_gpu.fill %kc, %K[%n0] … } }
      }
      attn_gpu.role mma groups(2) {
        attn_gpu.for_tiles … { %qt = attn_gpu.wait %qc … attn_gpu.for_blocks … { %kt = attn_gpu.wait %kc … attn_gpu.release %kc … } }
      }
    }
    ```
  }];
}

def AttnGpuFlattenStream : Pass<"attn-gpu-flatten-stream", "::mlir::func::FuncOp"> {
  let summary = "Make tiles and blocks one stream that never drains";
  let description = [{
    In the computing role the scores of a block are started before the outputs
    of the one before it, so that the exponentials of one hide behind the
    products of the other. The first block of a tile is straight-line code; at
    the end of a tile the first scores of the next one are started before the
    last outputs of this one, and this tile is finished while the next one's
    products run. The loading role fills in the order K0 Q | K1 V0 | K2 V1 | …
    and takes tiles from a counter; a tile's scalars travel as records beside Q.

    Uses of channels get numbers; one running number serves K and, less one, V.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def AttnGpuPlaceAwaits : Pass<"attn-gpu-place-awaits", "::mlir::func::FuncOp"> {
  let summary = "Say how many products may stay in flight at each await";
  let description = [{
    Products end in the order of their starts, so an await keeps those started
    later and not yet awaited. Pins of the schedule go round the last await of a
    block.

    Example: `%s = attn_gpu.await %ps` becomes `%s = attn_gpu.await %ps keep 1`.
  }];
}

def AttnGpuClassifyUniform : Pass<"attn-gpu-classify-uniform", "::mlir::func::FuncOp"> {
  let summary = "Split loops where the class of a block changes";
  let description = [{
    A loop whose masks are full below a bound of its induction variable, which
    -attn-gpu-flatten-stream puts within the loop's own bounds, becomes two: the first without mask code, the second with it.

    ```mlir
    scf.for %t = %c1 to %n … { %full = arith.cmpi slt, %t, %e … attn_gpu.mask … full(%full) … }
    ```
    becomes
    ```mlir
    scf.for %t = %c1 to %e … { … }
    scf.for %t = %e to %n … { … attn_gpu.mask … full(%false) … }
    ```
    With the schedule's `branch` the loop stays one, whose masks are gone round
    where their block is full.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def AttnGpuNarrowEdges : Pass<"attn-gpu-narrow-edges", "::mlir::func::FuncOp"> {
  let summary = "Leave out what no row of a warpgroup sees at a mask's edge";
  let description = [{
    For schedules with `edges`. Where a mask is a conjunction of half-planes,
    some of which bound the key from above, the products of the blocks that it
    cuts are told from which key on a warpgroup's rows see nothing: in the loop
    over such blocks the scores, and behind it the outputs of the last one, which
    has no mask and weights where nothing is seen of it at all. Where there is no
    such loop, the scores of a tile's first block. The loop over whole blocks
    stays as it is.

    ```mlir
    %p = attn_gpu.mma.start %q, %k transposed … attn_gpu.mask … at(%m0, %n0) … { %n <= %m }
    ```
    becomes
    ```mlir
    %keys = … // m0 + 64 · group + 64 − n0
    %p = attn_gpu.mma.start %q, %k transposed keys(%keys) … scf.if … { attn_gpu.mask … }
    ```
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def AttnGpuBudget : Pass<"attn-gpu-budget", "::mlir::func::FuncOp"> {
  let summary = "Lay out shared memory and registers, and check both";
  let description = [{
    Channels get their offsets in shared memory, aligned to 1024 bytes, roles
    their registers a thread, the function `attn_gpu.shared_memory` and
    `attn_gpu.threads`. What does not fit is an error that names the resource, the
    amount and the limit.
  }];
}

#endif // FOVEA_DIALECT_ATTNGPU_TRANSFORMS_PASSES
