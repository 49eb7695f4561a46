//===- GuardPagesTest.cpp - Kernels stay within their memory --------------===//
//
// All that a kernel reads and writes ends at, or begins after, a page that
// nobody may touch: tensors, captures, lengths, runs, page tables, scratch and
// workspace, of exactly the sizes that were asked for. Scratch and results
// start as NaNs, and results are judged against the f64 interpreter.
//
//===----------------------------------------------------------------------===//
#include "../ShapedLaunch.h"
#include "fovea/Interpreter/Judge.h"
#include "fovea/Interpreter/LaunchMask.h"
#include "fovea/Runtime/CompileService.h"
#include "fovea/Runtime/Error.h"
#include "fovea/Runtime/GatherPages.h"
#include "fovea/Runtime/ThreadPool.h"

#include "llvm/Support/MathExtras.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace fovea;
using namespace fovea::test;

namespace {
enum class Side { End, Begin };

/// Memory of NaNs between two pages without access, at one of them.
class Guarded {
public:
  Guarded(size_t bytes, Side side, size_t alignment)
      : page(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    size_t room = llvm::alignTo(std::max<size_t>(bytes, 1), page);
    whole = room + 2 * page;
    base = static_cast<char *>(
        mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base == MAP_FAILED ||
        mprotect(base + page, room, PROT_READ | PROT_WRITE) != 0)
      std::abort();
    size_t shift = side == Side::Begin ? 0 : room - bytes;
    memory = base + page + llvm::alignDown(shift, alignment);
    std::memset(base + page, 0xff, room);
  }
  ~Guarded() { munmap(base, whole); }
  Guarded(const Guarded &) = delete;
  Guarded &operator=(const Guarded &) = delete;
  template <typename T = void> T *get() const {
    return reinterpret_cast<T *>(memory);
  }

private:
  size_t page, whole;
  char *base, *memory;
};

//===----------------------------------------------------------------------===//
// Kernels in guarded memory
//===----------------------------------------------------------------------===//

/// The call under test, for the functions below that kernels are replaced by.
struct Current {
  Side side;
  std::unique_ptr<Guarded> scratch, workspace;
  std::deque<Guarded> arrays;
  const int64_t *numbers[4]; // offsets and lengths

  const int64_t *copy(llvm::ArrayRef<int64_t> values) {
    Guarded &made = arrays.emplace_back(values.size() * 8, side, 8);
    std::copy(values.begin(), values.end(), made.get<int64_t>());
    return made.get<int64_t>();
  }
};
Current *current = nullptr;
KernelCode real[2]; // the fast and the exact kernel

template <int Which>
int64_t planGuarded(const fovea_cpu_args *args, fovea_cpu_plan *plan) {
  int64_t items = real[Which].plan(args, plan);
  auto make = [](int64_t bytes) {
    return std::make_unique<Guarded>(static_cast<size_t>(bytes), current->side,
                                     64);
  };
  current->scratch = make(plan->scratch_bytes);
  current->workspace = make(plan->workspace_bytes);
  std::memset(current->workspace->get(), 0,
              static_cast<size_t>(plan->cleared_bytes));
  return items;
}

template <int Which>
int64_t runGuarded(const fovea_cpu_args *args, int64_t first, int64_t last,
                   int64_t next, void *) {
  fovea_cpu_args mine = *args;
  mine.workspace = current->workspace->get();
  mine.q_offset = current->numbers[0];
  mine.kv_offset = current->numbers[1];
  mine.q_lengths = current->numbers[2];
  mine.kv_lengths = current->numbers[3];
  return real[Which].run(&mine, first, last, next, current->scratch->get());
}

template <int Which> KernelCode guard(KernelCode code) {
  real[Which] = code;
  code.plan = planGuarded<Which>;
  code.run = runGuarded<Which>;
  return code;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

class Call : public ShapedLaunch {
public:
  Call(llvm::StringRef text, DType dtype, Shape shape, Side side,
       unsigned seed = 1)
      : ShapedLaunch(text, shape, dtype), engine(seed) {
    call.side = side;
    program.returnLse = true;
    for (const Capture &capture : program.captures)
      addCapture(capture);
    view.queries = {tensor({shape.B, shape.H, shape.M, shape.D}, dtype)};
    view.keys = {tensor({shape.B, shape.Hk, shape.N, shape.D}, dtype)};
    view.value = tensor({shape.B, shape.Hk, shape.N, shape.E}, dtype);
    view.out = tensor({shape.B, shape.H, shape.M, shape.E}, dtype);
    view.lse = tensor({shape.B, shape.H, shape.M},
                      dtype == DType::F64 ? DType::F64 : DType::F32);
    for (TensorView *given : {&view.queries[0], &view.keys[0], &view.value})
      fill(*given);
  }

  /// Tokens before heads, as projections give them.
  void transpose() {
    for (TensorView *given :
         {&view.queries[0], &view.keys[0], &view.value, &view.out}) {
      given->strides[1] = given->sizes[3];
      given->strides[2] = given->sizes[3] * given->sizes[1];
    }
  }

  /// The keys are in pages of a pool.
  void usePages(int64_t length) {
    int64_t each = llvm::divideCeil(shape.N, length);
    view.pageLength = length;
    view.kvLength = each * length;
    view.pageStride =
        llvm::divideCeil(*llvm::max_element(view.kvLengths), length);
    std::vector<int64_t> table(static_cast<size_t>(shape.B * view.pageStride));
    auto pool = static_cast<int64_t>(table.size()) + 1;
    for (int64_t &page : table)
      page = static_cast<int64_t>(engine()) % pool;
    view.pageTable = {call.copy(table), table.size()};
    view.keys = {tensor({pool, shape.Hk, length, shape.D}, *program.dtype)};
    view.value = tensor({pool, shape.Hk, length, shape.E}, *program.dtype);
    fill(view.keys[0]);
    fill(view.value);
  }

  /// A block mask of random classes.
  void useBlocks(int64_t blockQ, int64_t blockKV) {
    program.blockMask = true;
    view.blockQ = blockQ;
    view.blockKV = blockKV;
    std::vector<int64_t> starts{0};
    std::vector<int32_t> entries;
    int64_t rows = llvm::divideCeil(shape.M, blockQ);
    int64_t tiles = llvm::divideCeil(shape.N, blockKV);
    for (int64_t row = 0; row < shape.B * shape.H * rows; ++row) {
      for (int64_t end = 1, kind = -1; end <= tiles; ++end) {
        auto fresh = static_cast<int64_t>(engine() % 3);
        if (fresh == kind)
          entries.pop_back();
        kind = fresh;
        entries.push_back(static_cast<int32_t>(4 * end + kind));
      }
      starts.push_back(static_cast<int64_t>(entries.size()));
    }
    setRuns(starts, entries, shape.H * rows, rows);
  }

  /// The value of a key becomes infinite: its items are computed exactly.
  void addInfinity() {
    view.value.storeFloat(view.value.offset({0, 0, 0, 0}), HUGE_VAL);
  }

  void check() {
    auto compiled = CompileService::get().compile(program, "cpu", "");
    ASSERT_TRUE(bool(compiled)) << takeStatus(compiled.takeError()).second;
    Kernel &kernel = *compiled->first;
    auto form = kernel.chooseForm(view);
    ASSERT_TRUE(bool(form));
    if (view.pageLength && !form->paged)
      return; // gathered before a kernel sees them
    auto fast = kernel.getCode(*form);
    ASSERT_TRUE(bool(fast)) << takeStatus(fast.takeError()).second;
    if (fast->scansKeys && !form->fewQueries)
      analyze(fast->itemRows);
    call.numbers[0] = call.copy(view.qOffset);
    call.numbers[1] = call.copy(view.kvOffset);
    call.numbers[2] = call.copy(view.qLengths);
    call.numbers[3] = call.copy(view.kvLengths);
    current = &call;
    llvm::Error error =
        runKernel(view, guard<0>(*fast), [&]() -> llvm::Expected<KernelCode> {
          auto exact = kernel.getCode({form->indexBits, /*exact=*/true});
          return exact ? guard<1>(*exact) : std::move(exact);
        });
    current = nullptr;
    EXPECT_EQ(takeStatus(std::move(error)).second, "");
    judge();
  }

  /// Items of the form that the call takes.
  int64_t items() {
    auto compiled = CompileService::get().compile(program, "cpu", "");
    if (!compiled)
      return takeStatus(compiled.takeError()).first;
    auto code = compiled->first->getCode(
        llvm::cantFail(compiled->first->chooseForm(view)));
    if (!code)
      return takeStatus(code.takeError()).first;
    KernelArguments arguments(view);
    fovea_cpu_plan plan = {};
    return code->plan(&arguments.get(), &plan);
  }

private:
  TensorView tensor(llvm::ArrayRef<int64_t> sizes, DType dtype) {
    TensorView made = contiguous(sizes, dtype);
    auto bytes = static_cast<size_t>(getBytes(dtype));
    made.data =
        call.arrays
            .emplace_back(static_cast<size_t>(made.numElements()) * bytes,
                          call.side, bytes)
            .get();
    return made;
  }
  void fill(TensorView &given) {
    std::normal_distribution<double> normal;
    for (int64_t i = 0, end = given.numElements(); i < end; ++i)
      given.storeFloat(i, normal(engine));
  }
  /// Documents of some thirty positions.
  void addCapture(const Capture &capture) {
    TensorView made = tensor({shape.M + shape.N}, capture.dtype);
    for (int64_t i = 0; i < made.sizes[0]; ++i)
      made.storeInt(i, i / 29);
    view.captures.push_back(made);
  }
  void setRuns(llvm::ArrayRef<int64_t> starts, llvm::ArrayRef<int32_t> entries,
               int64_t batchStride, int64_t headStride) {
    TileRuns runs;
    runs.offsets = {call.copy(starts), starts.size()};
    Guarded &made = call.arrays.emplace_back(entries.size() * 4, call.side, 4);
    std::copy(entries.begin(), entries.end(), made.get<int32_t>());
    runs.runs = {made.get<int32_t>(), entries.size()};
    runs.batchStride = batchStride;
    runs.headStride = headStride;
    view.tileRuns = runs;
  }
  void analyze(int64_t itemRows) {
    LastRuns none;
    std::shared_ptr<const KnownRuns> found;
    llvm::Error error = analyzeLaunchMask(program, itemRows, view, none, found);
    EXPECT_EQ(takeStatus(std::move(error)).second, "");
    if (view.tileRuns)
      setRuns(found->offsets, found->runs, found->batchStride,
              found->headStride);
  }
  void judge() {
    if (!program.blockMask)
      view.tileRuns.reset();
    std::optional<GatheredPages> whole;
    if (view.pageLength) {
      auto made = GatheredPages::make(view);
      ASSERT_TRUE(bool(made));
      whole = std::move(*made);
    }
    auto found = judgeLaunch(program, whole ? whole->view : view);
    ASSERT_TRUE(bool(found)) << takeStatus(found.takeError()).second;
    EXPECT_TRUE(found->out.passed) << found->out.reason;
    EXPECT_TRUE(found->lse.passed) << found->lse.reason;
  }

  std::mt19937 engine;
  Current call;
};

const char *const causal = "attention t() { mask = q >= kv }";
const char *const window =
    "attention t() { mask = q >= kv and q - kv < 37 or kv < 3 }";
const char *const documents =
    "attention t(doc: i32[S]) { mask = q >= kv and doc[q] == doc[kv] }";
const char *const plain = "attention t() { score = s + 0.01 * kv }";
TEST(Guarded, NobodyLeavesIt) {
  Guarded before(100, Side::Begin, 1), after(100, Side::End, 1);
  before.get<volatile char>()[99] = after.get<volatile char>()[0] = 1;
  EXPECT_DEATH(before.get<volatile char>()[-1] = 1, "");
  EXPECT_DEATH(after.get<volatile char>()[100] = 1, "");
}

class GuardPages : public testing::TestWithParam<DType> {
protected:
  void SetUp() override { ThreadPool::setNumThreads(1); }
  void TearDown() override { ThreadPool::setNumThreads(0); }
  /// Every text at both sides.
  void each(Shape shape, llvm::function_ref<void(Call &)> change,
            llvm::ArrayRef<const char *> texts = {causal, window, plain,
                                                  documents}) {
    for (const char *text : texts)
      for (Side side : {Side::End, Side::Begin}) {
        SCOPED_TRACE(text);
        Call call(text, GetParam(), shape, side);
        change(call);
        call.check();
      }
  }
};

TEST_P(GuardPages, ManyQueries) {
  each({2, 4, 2, 259, 333, 16, 24}, [](Call &) {});
  each({1, 2, 2, 70, 61, 7, 1}, [](Call &call) { call.transpose(); });
  each({2, 2, 1, 131, 200, 16, 24}, [](Call &call) {
    call.transpose();
    call.view.qOffset = {70, 3};
    call.view.kvOffset = {0, 50};
  });
}

TEST_P(GuardPages, Lengths) {
  each({2, 4, 2, 515, 650, 16, 24}, [](Call &call) {
    call.view.qLengths = {1, 229};
    call.view.kvLengths = {400, 0};
  });
}

TEST_P(GuardPages, BlockMasks) {
  each({2, 2, 1, 150, 330, 16, 24}, [](Call &call) { call.useBlocks(33, 30); });
  each({1, 2, 2, 260, 200, 16, 24}, [](Call &call) {
    call.useBlocks(128, 64);
    call.transpose();
    call.view.qLengths = {130};
    call.view.kvLengths = {77};
  });
}

TEST_P(GuardPages, FewQueries) {
  for (int64_t rows : {1, 3})
    for (bool tokens : {false, true})
      each({2, 8, 2, rows, 1500, 16, 24}, [&](Call &call) {
        if (tokens)
          call.transpose();
        call.view.qOffset = {1200, 90};
        call.view.kvLengths = {1301, 17};
      });
}

/// The rows past a length are a tile of their own only beside other rows.
TEST_P(GuardPages, ALoneQueryHasOneTile) {
  for (int64_t heads : {1, 4}) {
    each({2, 2 * heads, 2, 1, 333, 16, 24},
         [](Call &call) { call.view.qLengths = {0, 1}; });
    Call one(plain, GetParam(), {2, 2 * heads, 2, 1, 333, 16, 24}, Side::End);
    EXPECT_EQ(one.items(), 4);
    Call two(plain, GetParam(), {2, 2 * heads, 2, 2, 333, 16, 24}, Side::End);
    EXPECT_EQ(two.items(), 8);
  }
}

TEST_P(GuardPages, Pages) {
  for (int64_t length : {1, 7, 16, 100})
    each({2, 4, 2, 2, 700, 16, 24}, [&](Call &call) {
      call.view.qOffset = {600, 90};
      call.view.kvLengths = {601, 50};
      call.usePages(length);
    });
}

TEST_P(GuardPages, FarPositions) {
  each({2, 2, 1, 70, 90, 16, 24},
       [](Call &call) {
         call.view.qOffset = {int64_t(1) << 40, 5};
         call.view.kvOffset = {int64_t(1) << 40, 0};
       },
       {causal, window, plain});
}

TEST_P(GuardPages, ExactKernels) {
  each({2, 2, 1, 140, 170, 16, 24}, [](Call &call) { call.addInfinity(); });
}

INSTANTIATE_TEST_SUITE_P(, GuardPages,
                         testing::Values(DType::F32, DType::F64, DType::F16,
                                         DType::BF16),
                         [](const testing::TestParamInfo<DType> &type) {
                           return stringify(type.param).str();
                         });
} // namespace
