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

#endif // FOVEA_INTERPRETER_PASSES
