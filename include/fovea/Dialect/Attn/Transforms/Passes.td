//===- Passes.td - Passes on attn ---------------------------*- tablegen -*-===//

#ifndef FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES
#define FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def AttnBindParams : Pass<"attn-bind-params", "::mlir::ModuleOp"> {
  let summary = "Replace compile-time parameters by constants";
  let description = [{
    Every `attn.param` becomes a constant: what `params` gives for its name, else
    its default. A value for a name that no op has, or that does not fit the
    parameter's type, is an error.

    With `params=W=64`
    ```mlir
    %w = attn.param "W" = 4096 : i64
    %near = arith.cmpi slt, %d, %w : i64
    ```
    becomes
    ```mlir
    %w = arith.constant 64 : i64
    %near = arith.cmpi slt, %d, %w : i64
    ```
  }];
  let options = [
    ListOption<"params", "params", "std::string",
               "Values by name, as in W=64; i1 takes true and false">];
  let statistics = [
    Statistic<"numBound", "num-bound", "Parameters replaced by constants">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def AttnVerifyLowered : Pass<"attn-verify-lowered", "::mlir::ModuleOp"> {
  let summary = "Check that nothing of level 1 but scalars is left";
  let description = [{
    The normal form between levels 1 and 2: no op of attn that works on whole
    tensors or on block masks, no unbound parameter, no `attn.size`, and no
    value of type `!attn.block_mask`. What breaks it is reported by name; the
    module is not changed.
  }];
}

#endif // FOVEA_DIALECT_ATTN_TRANSFORMS_PASSES
