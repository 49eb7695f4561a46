//===- Passes.td - Level 1 to level 2 -----------------------*- tablegen -*-===//

#ifndef FOVEA_CONVERSION_ATTNTOONLINE_PASSES
#define FOVEA_CONVERSION_ATTNTOONLINE_PASSES

include "mlir/Pass/PassBase.td"

def ConvertAttnToOnline : Pass<"convert-attn-to-online", "::mlir::ModuleOp"> {
  let summary = "Turn each attention variant into a sweep over key tiles";
  let description = [{
    A function around one `attn.attention` becomes a function that writes its
    results: arguments q…, k…, v, captures…, scale…, q_offset, kv_offset,
    q_lengths, kv_lengths [, classes, query tile, key tile], out [, lse], all
    tensors as strided memrefs.

    Its body is one `online.grid` over (batch, head, query tile). Query tiles
    are cut at `q_lengths[b]`; the rows from there on form tiles of their own
    that see no key. Where the mask has bounds in closed form the walk is made of
    segments; where it has not, of a scan inside the bounds that are known; with
    a block mask, of that mask's tiles, whose full ones do not ask the mask.

    ```mlir
    func.func @causal(%q: tensor<?x?x?x64xf32>, …) -> tensor<?x?x?x64xf32> {
      %o = attn.attention query(%q) key(%k) value(%v) scale(%c) … mask {…} : …
      return %o : tensor<?x?x?x64xf32>
    }
    ```
    becomes
    ```mlir
    func.func @causal(%q: memref<?x?x?x64xf32, strided<…>>, …, %out: …) {
      online.grid (%b, %h, %mt) in (%B, %H, %MT) schedule(#online.cpu_schedule<…>) {
        …
        %w = online.walk.segments step 256 [%c0, %full) full, [%full, %end) partial : !online.walk
        %st = online.sweep (%n0, %cls) in %w iter(%s = %init) -> … {…}
        %o = online.finish %st …
        online.store %o, %O[%m0] : …
      }
      return
    }
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"cpu\"",
           "Target family that the schedule is for: cpu or sm_90a">,
    Option<"cpu", "cpu", "std::string", "\"x86-64-v3\"",
           "Processor in LLVM's spelling">,
    Option<"features", "features", "std::string", "\"\"",
           "Processor features, as in \"+avx512bf16\"">,
    Option<"schedule", "schedule", "std::string", "\"\"",
           "Fixed entries of the schedule, as in \"m=192,n=256\"">,
    Option<"exact", "exact", "bool", "false",
           "Select on v, so that a non-finite value reaches only rows that see it">,
    Option<"indexBits", "index-bits", "int64_t", "32",
           "Width that all positions are promised to fit: 32 or 64">,
    Option<"fewQueries", "few-queries", "bool", "false",
           "Take the CPU's form for few queries and many keys">,
    Option<"paged", "paged", "bool", "false",
           "Keys and values are pools of pages, found through a table">,
    Option<"oneRow", "one-row", "bool", "false",
           "Take the CPU's form for one row, with few-queries">,
    Option<"perBatch", "per-batch", "bool", "false",
           "A GPU's kernel reads offsets and lengths of each batch">];
  let dependentDialects = ["::mlir::online::OnlineDialect", "::mlir::attn_gpu::AttnGpuDialect"];
}

#endif // FOVEA_CONVERSION_ATTNTOONLINE_PASSES
