//===- Passes.td - Level 2 to CPU kernels -------------------*- tablegen -*-===//

#ifndef FOVEA_CONVERSION_ONLINETOCPU_PASSES
#define FOVEA_CONVERSION_ONLINETOCPU_PASSES

include "mlir/Pass/PassBase.td"

def ConvertOnlineToCPU : Pass<"convert-online-to-cpu", "::mlir::ModuleOp"> {
  let summary = "Lower online grids to CPU kernels";
  let description = [{
    A function around one `online.grid` becomes the two functions of
    Target/CPU/KernelABI.h, in arith, scf, vector and the memory ops of llvm.

    Lanes are queries. An item is one tile of the grid, cut into panels of one
    or two vectors of rows. Per block of keys: K and V are read in place, or
    widened to contiguous scratch where their type or strides ask for it. Per
    block and panel: the scores of a group of keys at a time (as many as
    accumulators fit the registers), one pass over them (mods, mask, maximum,
    weights), then O += P·V, a group of rows at a time: lanes are features there,
    weights are broadcast and O lies in rows (a group of features at a time, lanes
    being rows, in exact kernels and where a region of the normaliser makes or
    finishes elements of O). The mask of an element that is not full is evaluated
    first, into one bit per lane and key: groups of keys that no lane sees are
    skipped, groups that all lanes see run without mask code, scores that only one
    register of a panel sees are multiplied for it alone, and each group of rows
    meets the values of the groups of keys that one of its rows sees. A partial
    element shares blocks with the full one before it. In the last blocks of an
    item the steps of both products also fetch a line each that the item or the
    one after it is the first to touch.

    A schedule with `split` (few queries, many keys) makes rows of the queries of
    all heads of a key head and items of parts of the keys; the part that is ready
    last merges them. Lanes are features then, and keys and values may lie in
    pages.

    Values of scalar regions are computed at the outermost loop that knows their
    operands: per item, block, panel or key. What does not vary with the row is
    a scalar; integer lanes take 32 bits where intervals prove that they fit.

    NON-NUMERIC-PRESERVING: scores of plain softmax attention are kept in log2
    units (scale · log2 e folded into the queries), 1/l is multiplied, a float
    divided by a constant is multiplied by its reciprocal unless the quotient
    reaches a comparison, `math.floor` or `attn.to_int`, and functions of `math`
    in f32 become polynomials within 4 ulp.

    ```mlir
    func.func @f(%q: memref<?x?x?x64xf32, …>, …) { online.grid … }
    ```
    becomes
    ```mlir
    llvm.func @f_plan(!llvm.ptr, !llvm.ptr) -> i64 {…}
    llvm.func @f_run(!llvm.ptr, i64, i64, i64, !llvm.ptr) -> i64 {…}
    ```
    with private functions that pack, transpose and store rows, and of `pairs` one that
    interleaves them.
  }];
  let statistics = [
    Statistic<"numKernels", "kernels", "Kernels emitted">,
    Statistic<"numOps", "operations", "Operations in them, before LLVM">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // FOVEA_CONVERSION_ONLINETOCPU_PASSES
