//===- Passes.td - Passes that run IR -----------------------*- tablegen -*-===//

#ifndef FOVEA_INTERPRETER_PASSES
#define FOVEA_INTERPRETER_PASSES

include "mlir/Pass/PassBase.td"

def InterpretOnline : Pass<"interpret-online", "::mlir::ModuleOp"> {
  let summary = "Runs level 2 and prints what its functions return";
  let description = [{
    Executes every function with a body and without arguments in f64 and prints
    its results to standard output, a line each: `name#0 = [[1, 2], [3, 4]]`.
    Buffers come from `memref.alloc` (zeros) and `memref.get_global`. Broken
    class promises and capture indices out of range that reach memory are errors
    at the op. The module stays as it is.

    Example:
    ```mlir
    memref.global constant @data : memref<2xf64> = dense<[1.0, 2.5]>
    func.func @first() -> memref<2xf64> {
      %m = memref.get_global @data : memref<2xf64>
      return %m : memref<2xf64>
    }
    // prints: first#0 = [1, 2.5]
    ```
  }];
}

def InterpretAttn : Pass<"interpret-attn", "::mlir::ModuleOp"> {
  let summary = "Runs level 1 and prints what its functions return";
  let description = [{
    Executes every function with a body and without arguments in f64: attention
    ops, merges, block masks, constants, scalars. Results go to standard output,
    a line each; a block mask prints its classes: 0 empty, 1 partial, 2 full. A
    bad capture index of a visible pair is an error at the op (S7). The module
    stays as it is.

    Example:
    ```mlir
    func.func @classes() -> !attn.block_mask<2x2> {
      %one = arith.constant 1 : i64
      %n = arith.constant 4 : i64
      %bm = attn.block_mask.create sizes(%one, %one, %n, %n) {
      ^bb0(%b: i64, %h: i64, %m: i64, %n2: i64):
        %keep = arith.cmpi sge, %m, %n2 : i64
        attn.yield %keep : i1
      } : !attn.block_mask<2x2>
      return %bm : !attn.block_mask<2x2>
    }
    // prints: classes#0 = [[[[1, 0], [2, 1]]]]
    ```
  }];
}

#endif // FOVEA_INTERPRETER_PASSES
