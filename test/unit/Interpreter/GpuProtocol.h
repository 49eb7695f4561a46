//===- GpuProtocol.h - A kernel in the role form ----------------*- C++ -*-===//
//
// Written by hand, right as it stands; tests change it in one place after
// another.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_TEST_UNIT_INTERPRETER_GPUPROTOCOL_H
#define FOVEA_TEST_UNIT_INTERPRETER_GPUPROTOCOL_H

#include "OnlineTestSupport.h"
#include "fovea/Interpreter/GpuInterpreter.h"
#include "fovea/Interpreter/Interpreter.h"

#include <deque>

namespace fovea::test {

/// out = bf16(q kᵀ) v per tile of one head, without a softmax; `counts` says
/// how many blocks of 16 keys a tile sees.
inline constexpr const char *kProtocolKernel = R"mlir(
!memref = memref<?x?x?x64xbf16, strided<[?, ?, ?, ?], offset: ?>>
!view = !online.view<?x64xbf16>
!qc = !attn_gpu.channel<128x64xbf16, stages = 2, records = 2>
!kc = !attn_gpu.channel<16x64xbf16, stages = 2, records = 0>
!qt = !attn_gpu.tile<128x64xbf16>
!kt = !attn_gpu.tile<16x64xbf16>
!s = !attn_gpu.frag<64x16xf32, quad>
!a = !attn_gpu.frag<64x16xbf16, quad_a>
!o = !attn_gpu.frag<64x64xf32, quad>

func.func @kernel(%q: !memref, %k: !memref, %v: !memref, %out: !memref,
                  %counts: memref<?xindex>, %tiles: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %never = arith.constant false
  %qc = attn_gpu.channel "q" : !qc
  %kc = attn_gpu.channel "k" : !kc
  %vc = attn_gpu.channel "v" : !kc
  attn_gpu.specialize {
    attn_gpu.role load groups(1) {
      %first = attn_gpu.tile.first
      %end:3 = scf.while (%t = %first, %qi = %c0, %it = %c0) : (index, index, index) -> (index, index, index) {
        %more = arith.cmpi slt, %t, %tiles : index
        scf.condition(%more) %t, %qi, %it : index, index, index
      } do {
      ^bb0(%t: index, %qi: index, %it: index):
        %next = attn_gpu.tile.fetch of %tiles
        %n = memref.load %counts[%t] : memref<?xindex>
        %Q = online.view %q[%c0, %t] : !memref -> !view
        %K = online.view %k[%c0, %t] : !memref -> !view
        %V = online.view %v[%c0, %t] : !memref -> !view
        %sent = arith.addi %n, %c0 : index
        attn_gpu.fill %qc[%qi], %Q[%c0] records(%t, %sent) : !qc, !view
        %it1 = scf.for %j = %c0 to %n step %c1 iter_args(%i = %it) -> index {
          %row = arith.muli %j, %c16 : index
          attn_gpu.fill %kc[%i], %K[%row] : !kc, !view
          attn_gpu.fill %vc[%i], %V[%row] : !kc, !view
          %i1 = arith.addi %i, %c1 : index
          scf.yield %i1 : index
        }
        // Behind the blocks.
        %qi1 = arith.addi %qi, %c1 : index
        scf.yield %next, %qi1, %it1 : index, index, index
      }
      attn_gpu.publish %qc[%end#1] records(%tiles, %c0) : !qc
    }
    attn_gpu.role mma groups(2) {
      %end:4 = scf.while (%qi = %c0, %it = %c0) : (index, index) -> (index, index, index, index) {
        %t, %n = attn_gpu.record %qc[%qi] : !qc -> index, index
        %more = arith.cmpi slt, %t, %tiles : index
        scf.condition(%more) %qi, %it, %t, %n : index, index, index, index
      } do {
      ^bb0(%qi: index, %it: index, %t: index, %n: index):
        %O = online.view %out[%c0, %t] : !memref -> !view
        %qt = attn_gpu.wait %qc[%qi] : !qc -> !qt
        %zero = attn_gpu.zero : !o
        %r:2 = scf.for %j = %c0 to %n step %c1 iter_args(%i = %it, %o = %zero) -> (index, !o) {
          %ku = arith.addi %i, %c0 : index
          %kt = attn_gpu.wait %kc[%ku] : !kc -> !kt
          attn_gpu.turn "take"
          %ps = attn_gpu.mma.start %qt, %kt transposed : !qt, !kt -> !attn_gpu.pending<!s>
          attn_gpu.turn "pass"
          %s = attn_gpu.await %ps keep 0 : !attn_gpu.pending<!s> -> !s
          attn_gpu.release %kc[%i] : !kc
          %a = attn_gpu.convert %s : !s -> !a
          %vt = attn_gpu.wait %vc[%i] : !kc -> !kt
          %po = attn_gpu.mma.start %a, %vt acc(%o : !o) : !a, !kt -> !attn_gpu.pending<!o>
          %o1 = attn_gpu.await %po keep 0 holds(%a : !a) : !attn_gpu.pending<!o> -> !o
          attn_gpu.release %vc[%i] : !kc
          %i1 = arith.addi %i, %c1 : index
          scf.yield %i1, %o1 : index, !o
        }
        attn_gpu.release %qc[%qi] : !qc
        attn_gpu.store_tile %r#1, %O[%c0] : !o, !view
        %qi1 = arith.addi %qi, %c1 : index
        scf.yield %qi1, %r#0 : index, index
      }
      attn_gpu.release %qc[%end#0] : !qc
    }
  }
  return
}
)mlir";

class GpuProtocol : public OnlineTest {
protected:
  GpuProtocol() { context.printOpOnDiagnostic(false); }

  using Changes = std::vector<std::pair<std::string, std::string>>;

  /// The kernel with texts in place of others.
  void load(const Changes &changes = {}) {
    std::string text = kProtocolKernel;
    for (const auto &[from, to] : changes) {
      size_t at = text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      ASSERT_EQ(text.find(from, at + 1), std::string::npos) << from;
      text.replace(at, from.size(), to);
    }
    parse(text);
  }

  TensorView tensor(int64_t heads, int64_t rows) {
    TensorView view;
    view.dtype = DType::BF16;
    view.sizes = {1, heads, rows, 64};
    view.strides = {heads * rows * 64, rows * 64, 64, 1};
    memory.emplace_back(heads * rows * 64);
    view.data = memory.back().data();
    for (int64_t i = 0; i < heads * rows * 64; ++i)
      view.storeFloat(i, normal(engine) / 8);
    return view;
  }

  void allocate(int64_t tiles) {
    if (heads == tiles)
      return;
    constexpr int64_t kKeys = 16 * 12;
    heads = tiles;
    q = tensor(tiles, 128);
    k = tensor(tiles, kKeys);
    v = tensor(tiles, kKeys);
    out = tensor(tiles, 128);
  }

  bool interpret(std::vector<int64_t> counts, GpuOptions options) {
    int64_t tiles = counts.size();
    allocate(tiles);
    std::vector<OnlineArgument> arguments;
    for (const TensorView &view : {q, k, v, out})
      arguments.push_back(OnlineArgument::ofTensor(view));
    arguments.push_back(argumentOf(counts));
    arguments.push_back(OnlineArgument::ofInt(tiles));
    auto function = module->lookupSymbol<mlir::func::FuncOp>("kernel");
    return succeeded(interpretGpu(function, arguments, options, &summary));
  }

  bool explore(std::vector<int64_t> counts, int64_t blocks = 1) {
    GpuOptions options;
    options.order = GpuOrder::Exhaustive;
    options.data = false;
    options.blocks = blocks;
    return interpret(std::move(counts), options);
  }

  /// The changed kernel fails with the message in turn and by chance; it fails
  /// in exhaustive order, where another breach may come first.
  void expectError(const Changes &changes, llvm::StringRef message,
                   std::vector<int64_t> counts = {5, 3}) {
    load(changes);
    if (HasFatalFailure())
      return;
    GpuOptions options;
    options.data = false;
    for (GpuOrder order : {GpuOrder::RoundRobin, GpuOrder::Random}) {
      options.order = order;
      messages.clear();
      EXPECT_FALSE(interpret(counts, options));
      EXPECT_NE(messages.find(message.str()), std::string::npos)
          << "order " << static_cast<int>(order) << ": " << messages;
    }
    EXPECT_FALSE(explore(counts));
  }

  /// What some order only breaks.
  void expectErrorSomewhere(const Changes &changes, llvm::StringRef message,
                            std::vector<int64_t> counts) {
    load(changes);
    if (HasFatalFailure())
      return;
    EXPECT_FALSE(explore(std::move(counts)));
    EXPECT_NE(messages.find(message.str()), std::string::npos) << messages;
  }

  std::deque<std::vector<uint16_t>> memory;
  std::mt19937_64 engine{5};
  std::normal_distribution<double> normal;
  int64_t heads = 0;
  TensorView q, k, v, out;
  GpuSummary summary;
};

} // namespace fovea::test

#endif // FOVEA_TEST_UNIT_INTERPRETER_GPUPROTOCOL_H
