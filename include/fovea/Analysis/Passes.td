//===- Passes.td - Passes that answer questions -------------*- tablegen -*-===//

#ifndef FOVEA_ANALYSIS_PASSES
#define FOVEA_ANALYSIS_PASSES

include "mlir/Pass/PassBase.td"

def AttnPrintMaskClasses : Pass<"attn-print-mask-classes", "::mlir::ModuleOp"> {
  let summary = "Prints what the mask analysis knows of level-1 variants";
  let description = [{
    For every function around an `attn.attention`: which analysis answers, the
    keys that a row sees where these have a closed form, and the classes of all
    tiles for one batch and head, a line a row of tiles: `.` empty, `/` partial
    or undecided, `#` full. Captured values are not known here: what depends on
    them stays undecided. A variant without a mask is asked where its score is
    not -inf. The module stays as it is.

    Example:
    ```mlir
    // fovea-opt --attn-print-mask-classes="queries=8 keys=8 tile=2"
    func.func @causal(…) { … mask { … %keep = arith.cmpi sge, %m, %n : i64 … } }
    // prints:
    // causal: intervals, exact
    //   kv <= q
    //   /...
    //   #/..
    //   ##/.
    //   ###/
    ```
  }];
  let options = [
    Option<"queries", "queries", "int64_t", "1024", "Number of query rows">,
    Option<"keys", "keys", "int64_t", "1024", "Number of keys">,
    Option<"tile", "tile", "int64_t", "128", "Rows and keys of a tile">,
    Option<"heads", "heads", "int64_t", "1", "Number of query heads">,
    Option<"batch", "batch", "int64_t", "0", "Batch that is shown">,
    Option<"head", "head", "int64_t", "0", "Head that is shown">,
    Option<"offset", "offset", "int64_t", "0", "Position of the first query">,
  ];
}

#endif // FOVEA_ANALYSIS_PASSES
