//===- RegionInstructions.cpp - Instructions of regions, on lanes ---------===//
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Support/TotalArithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace fovea;

template <typename F>
void RegionFrame::binaryInt(const Instruction &inst, unsigned count, F f) {
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]), *b = at(inst.operands[1]);
  if (!varies(inst.operands[0])) {
    int64_t x = a->i;
    for (unsigned i = 0; i < count; ++i)
      dst[i].i = f(x, b[i].i);
  } else if (!varies(inst.operands[1])) {
    int64_t y = b->i;
    for (unsigned i = 0; i < count; ++i)
      dst[i].i = f(a[i].i, y);
  } else {
    for (unsigned i = 0; i < count; ++i)
      dst[i].i = f(a[i].i, b[i].i);
  }
}

template <typename F>
void RegionFrame::binaryFloat(const Instruction &inst, unsigned count, F f) {
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]), *b = at(inst.operands[1]);
  unsigned sa = varies(inst.operands[0]), sb = varies(inst.operands[1]);
  for (unsigned i = 0; i < count; ++i)
    dst[i].f = f(a[i * sa].f, b[i * sb].f);
}

template <typename F>
void RegionFrame::compareFloat(const Instruction &inst, unsigned count, F f) {
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]), *b = at(inst.operands[1]);
  unsigned sa = varies(inst.operands[0]), sb = varies(inst.operands[1]);
  for (unsigned i = 0; i < count; ++i)
    dst[i].i = f(a[i * sa].f, b[i * sb].f);
}

template <typename F>
void RegionFrame::unaryInt(const Instruction &inst, unsigned count, F f) {
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]);
  for (unsigned i = 0; i < count; ++i)
    dst[i].i = f(a[i].i);
}

template <typename F>
void RegionFrame::unaryFloat(const Instruction &inst, unsigned count, F f) {
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]);
  for (unsigned i = 0; i < count; ++i)
    dst[i].f = f(a[i].f);
}

void RegionFrame::execute(const Instruction &inst, unsigned count) {
  switch (inst.kind) {
  case NodeKind::Read:
    return executeRead(inst, count);
  case NodeKind::Select:
    return executeSelect(inst, count);
  case NodeKind::IAdd:
  case NodeKind::ISub:
  case NodeKind::IMul:
  case NodeKind::INeg:
  case NodeKind::IAbs:
  case NodeKind::IMin:
  case NodeKind::IMax:
  case NodeKind::FloorDiv:
  case NodeKind::Mod:
  case NodeKind::IAnd:
  case NodeKind::IOr:
  case NodeKind::IXor:
  case NodeKind::INot:
  case NodeKind::Shl:
  case NodeKind::Shr:
    return executeInteger(inst, count);
  case NodeKind::FAdd:
  case NodeKind::FSub:
  case NodeKind::FMul:
  case NodeKind::FDiv:
  case NodeKind::FNeg:
  case NodeKind::FAbs:
  case NodeKind::FMin:
  case NodeKind::FMax:
  case NodeKind::FMod:
  case NodeKind::Pow:
    return executeFloat(inst, count);
  case NodeKind::BAnd:
  case NodeKind::BOr:
  case NodeKind::BXor:
  case NodeKind::BNot:
  case NodeKind::IEq:
  case NodeKind::INe:
  case NodeKind::ILt:
  case NodeKind::ILe:
  case NodeKind::IGt:
  case NodeKind::IGe:
  case NodeKind::FEq:
  case NodeKind::FNe:
  case NodeKind::FLt:
  case NodeKind::FLe:
  case NodeKind::FGt:
  case NodeKind::FGe:
    return executeCompare(inst, count);
  default:
    return executeMath(inst, count);
  }
}

void RegionFrame::executeInteger(const Instruction &inst, unsigned count) {
  using I = int64_t;
  switch (inst.kind) {
  case NodeKind::IAdd:
    return binaryInt(inst, count, [](I x, I y) { return wrapAdd(x, y); });
  case NodeKind::ISub:
    return binaryInt(inst, count, [](I x, I y) { return wrapSub(x, y); });
  case NodeKind::IMul:
    return binaryInt(inst, count, [](I x, I y) { return wrapMul(x, y); });
  case NodeKind::IMin:
    return binaryInt(inst, count, [](I x, I y) { return x < y ? x : y; });
  case NodeKind::IMax:
    return binaryInt(inst, count, [](I x, I y) { return x > y ? x : y; });
  case NodeKind::FloorDiv:
    return binaryInt(inst, count, [](I x, I y) { return floorDiv(x, y); });
  case NodeKind::Mod:
    return binaryInt(inst, count, [](I x, I y) { return floorMod(x, y); });
  case NodeKind::IAnd:
    return binaryInt(inst, count, [](I x, I y) { return x & y; });
  case NodeKind::IOr:
    return binaryInt(inst, count, [](I x, I y) { return x | y; });
  case NodeKind::IXor:
    return binaryInt(inst, count, [](I x, I y) { return x ^ y; });
  case NodeKind::Shl:
    return binaryInt(inst, count, [](I x, I y) { return shiftLeft(x, y); });
  case NodeKind::Shr:
    return binaryInt(inst, count, [](I x, I y) { return shiftRight(x, y); });
  case NodeKind::INeg:
    return unaryInt(inst, count, [](I x) { return wrapSub(0, x); });
  case NodeKind::IAbs:
    return unaryInt(inst, count, [](I x) { return x < 0 ? wrapSub(0, x) : x; });
  default:
    return unaryInt(inst, count, [](I x) { return ~x; });
  }
}

void RegionFrame::executeFloat(const Instruction &inst, unsigned count) {
  using F = double;
  switch (inst.kind) {
  case NodeKind::FAdd:
    return binaryFloat(inst, count, [](F x, F y) { return x + y; });
  case NodeKind::FSub:
    return binaryFloat(inst, count, [](F x, F y) { return x - y; });
  case NodeKind::FMul:
    return binaryFloat(inst, count, [](F x, F y) { return x * y; });
  case NodeKind::FDiv:
    return binaryFloat(inst, count, [](F x, F y) { return x / y; });
  case NodeKind::FMin:
    return binaryFloat(inst, count, minimum);
  case NodeKind::FMax:
    return binaryFloat(inst, count, maximum);
  case NodeKind::FMod:
    return binaryFloat(inst, count,
                       [](F x, F y) { return x - std::floor(x / y) * y; });
  case NodeKind::Pow:
    return binaryFloat(inst, count, [](F x, F y) { return std::pow(x, y); });
  case NodeKind::FNeg:
    return unaryFloat(inst, count, [](F x) { return -x; });
  default:
    return unaryFloat(inst, count, [](F x) { return std::fabs(x); });
  }
}

void RegionFrame::executeCompare(const Instruction &inst, unsigned count) {
  using I = int64_t;
  using F = double;
  switch (inst.kind) {
  case NodeKind::BAnd:
    return binaryInt(inst, count, [](I x, I y) { return x & y; });
  case NodeKind::BOr:
    return binaryInt(inst, count, [](I x, I y) { return x | y; });
  case NodeKind::BXor:
    return binaryInt(inst, count, [](I x, I y) { return x ^ y; });
  case NodeKind::BNot:
    return unaryInt(inst, count, [](I x) { return x ^ 1; });
  case NodeKind::IEq:
    return binaryInt(inst, count, [](I x, I y) -> I { return x == y; });
  case NodeKind::INe:
    return binaryInt(inst, count, [](I x, I y) -> I { return x != y; });
  case NodeKind::ILt:
    return binaryInt(inst, count, [](I x, I y) -> I { return x < y; });
  case NodeKind::ILe:
    return binaryInt(inst, count, [](I x, I y) -> I { return x <= y; });
  case NodeKind::IGt:
    return binaryInt(inst, count, [](I x, I y) -> I { return x > y; });
  case NodeKind::IGe:
    return binaryInt(inst, count, [](I x, I y) -> I { return x >= y; });
  case NodeKind::FEq:
    return compareFloat(inst, count, [](F x, F y) -> I { return x == y; });
  case NodeKind::FNe:
    return compareFloat(inst, count, [](F x, F y) -> I { return x != y; });
  case NodeKind::FLt:
    return compareFloat(inst, count, [](F x, F y) -> I { return x < y; });
  case NodeKind::FLe:
    return compareFloat(inst, count, [](F x, F y) -> I { return x <= y; });
  case NodeKind::FGt:
    return compareFloat(inst, count, [](F x, F y) -> I { return x > y; });
  default:
    return compareFloat(inst, count, [](F x, F y) -> I { return x >= y; });
  }
}

void RegionFrame::executeMath(const Instruction &inst, unsigned count) {
  using F = double;
  auto map = [&](auto f) { unaryFloat(inst, count, f); };
  Word *dst = at(inst.dst);
  const Word *a = at(inst.operands[0]);
  auto sigmoid = [](F x) { return 1 / (1 + std::exp(-x)); };
  switch (inst.kind) {
  case NodeKind::Exp:
    return map([](F x) { return std::exp(x); });
  case NodeKind::Exp2:
    return map([](F x) { return std::exp2(x); });
  case NodeKind::Log:
    return map([](F x) { return std::log(x); });
  case NodeKind::Log2:
    return map([](F x) { return std::log2(x); });
  case NodeKind::Log1p:
    return map([](F x) { return std::log1p(x); });
  case NodeKind::Tanh:
    return map([](F x) { return std::tanh(x); });
  case NodeKind::Sin:
    return map([](F x) { return std::sin(x); });
  case NodeKind::Cos:
    return map([](F x) { return std::cos(x); });
  case NodeKind::Sqrt:
    return map([](F x) { return std::sqrt(x); });
  case NodeKind::Rsqrt:
    return map([](F x) { return 1 / std::sqrt(x); });
  case NodeKind::Erf:
    return map([](F x) { return std::erf(x); });
  case NodeKind::Floor:
    return map([](F x) { return std::floor(x); });
  case NodeKind::Sigmoid:
    return map(sigmoid);
  case NodeKind::Softplus:
    return map([](F x) {
      return std::isnan(x)
                 ? x
                 : (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
    });
  case NodeKind::Gelu:
    return map([](F x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); });
  case NodeKind::Silu:
    return map([&](F x) { return x * sigmoid(x); });
  case NodeKind::I1ToI64:
    return unaryInt(inst, count, [](int64_t x) { return x; });
  case NodeKind::I1ToF:
  case NodeKind::I64ToF:
    for (unsigned i = 0; i < count; ++i)
      dst[i].f = static_cast<double>(a[i].i);
    return;
  default: // ToInt
    for (unsigned i = 0; i < count; ++i)
      dst[i].i = toInt(a[i].f);
  }
}

void RegionFrame::executeSelect(const Instruction &inst, unsigned count) {
  Word *dst = at(inst.dst);
  const Word *c = at(inst.operands[0]);
  const Word *x = at(inst.operands[1]), *y = at(inst.operands[2]);
  unsigned sc = varies(inst.operands[0]), sx = varies(inst.operands[1]),
           sy = varies(inst.operands[2]);
  for (unsigned i = 0; i < count; ++i)
    dst[i] = c[i * sc].i ? x[i * sx] : y[i * sy];
}

namespace {
template <typename T>
void gatherInt(const void *data, const int64_t *offsets, unsigned count,
               int64_t *dst) {
  for (unsigned i = 0; i < count; ++i)
    dst[i] = static_cast<int64_t>(static_cast<const T *>(data)[offsets[i]]);
}
} // namespace

void RegionFrame::executeRead(const Instruction &inst, unsigned count) {
  const TensorView &capture = captures[inst.capture];
  Word *dst = at(inst.dst);
  int64_t offsets[lanes];
  std::fill_n(offsets, count, int64_t(0));
  bool empty = false;
  for (unsigned dim = 0; dim < inst.operands.size(); ++dim) {
    const Word *index = at(inst.operands[dim]);
    unsigned step = varies(inst.operands[dim]);
    int64_t extent = capture.sizes[dim], stride = capture.strides[dim];
    empty |= extent == 0;
    for (unsigned i = 0; i < count; ++i) {
      int64_t at = index[i * step].i;
      int64_t in = at < 0 ? 0 : (at >= extent ? extent - 1 : at);
      if (watching && in != at)
        noteBad(inst, i, dim, at, extent);
      offsets[i] += in * stride;
    }
  }
  if (empty) { // There is no element: zero, the one value that is always there.
    for (unsigned i = 0; i < count; ++i)
      dst[i].i = 0;
    return;
  }
  int64_t *ints = &dst->i;
  switch (capture.dtype) {
  case DType::I32:
    return gatherInt<int32_t>(capture.data, offsets, count, ints);
  case DType::I64:
    return gatherInt<int64_t>(capture.data, offsets, count, ints);
  default:
    break;
  }
  bool real = isFloat(capture.dtype);
  for (unsigned i = 0; i < count; ++i) {
    if (real)
      dst[i].f = capture.loadFloat(offsets[i]);
    else
      dst[i].i = capture.loadInt(offsets[i]);
  }
}
