//===- RegionEvaluator.cpp - Runs a Program's regions ---------------------===//
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Support/TotalArithmetic.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>
#include <limits>

using namespace fovea;

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

namespace {
/// Hands out varying registers again once their last reader has run: a mask of
/// a thousand operations still works within the first-level cache.
class RegisterFile {
public:
  uint32_t take() {
    if (free.empty())
      return size++;
    uint32_t result = free.back();
    free.pop_back();
    return result;
  }
  void give(uint32_t position) { free.push_back(position); }
  uint32_t size = 0;

private:
  std::vector<uint32_t> free;
};

bool isFixed(NodeKind kind) {
  return kind == NodeKind::Const || kind == NodeKind::Size ||
         kind == NodeKind::Param || kind == NodeKind::Extent;
}

std::vector<unsigned> countUses(const Region &region) {
  std::vector<unsigned> uses(region.nodes.size(), 0);
  for (unsigned result : region.results)
    ++uses[result];
  // Only what a result needs is run.
  for (size_t i = region.nodes.size(); i-- > 0;)
    if (uses[i] != 0)
      for (unsigned operand : region.nodes[i].operands)
        ++uses[operand];
  return uses;
}
} // namespace

RegionProgram RegionProgram::compile(const Program &program,
                                     const Region &region,
                                     llvm::ArrayRef<llvm::StringRef> varying) {
  RegionProgram out;
  for (const std::string &name : region.args)
    out.args.push_back({name, getArgType(name), -1});
  for (const Capture &capture : program.captures)
    out.captureNames.push_back(capture.name);

  std::vector<unsigned> uses = countUses(region);
  std::vector<unsigned> remaining = uses;
  RegisterFile registers;
  out.slots.resize(region.nodes.size());
  // Arguments are filled before anything runs: their registers are nobody
  // else's, wherever their nodes stand.
  llvm::StringMap<uint32_t> argumentPositions;
  for (size_t i = 0; i < region.nodes.size(); ++i) {
    const Node &node = region.nodes[i];
    if (uses[i] != 0 && node.kind == NodeKind::Arg &&
        !argumentPositions.count(node.symbol))
      argumentPositions[node.symbol] = llvm::is_contained(varying, node.symbol)
                                           ? registers.take()
                                           : out.numUniform++;
  }
  for (size_t i = 0; i < region.nodes.size(); ++i) {
    const Node &node = region.nodes[i];
    if (uses[i] == 0)
      continue;
    Slot &slot = out.slots[i];
    if (node.kind == NodeKind::Arg)
      slot.varying = llvm::is_contained(varying, node.symbol);
    else
      slot.varying = llvm::any_of(node.operands, [&](unsigned operand) {
        return out.slots[operand].varying;
      });
    if (node.kind == NodeKind::Arg) {
      slot.position = argumentPositions.lookup(node.symbol);
      for (Argument &arg : out.args)
        if (arg.name == node.symbol && arg.slot < 0)
          arg.slot = static_cast<int>(i);
      continue;
    }
    slot.position = slot.varying ? registers.take() : out.numUniform++;

    if (isFixed(node.kind)) {
      Fixed fixed{static_cast<uint32_t>(i),
                  node.kind,
                  node.type,
                  node.integer,
                  node.real,
                  node.capture,
                  node.dim,
                  node.symbol};
      if (node.kind == NodeKind::Param)
        for (const Param &param : program.params)
          if (param.name == node.symbol) {
            fixed.integer = param.integer;
            fixed.real = param.real;
          }
      out.fixed.push_back(std::move(fixed));
      continue;
    }
    Instruction inst;
    inst.kind = node.kind;
    inst.type = node.type;
    inst.dst = static_cast<uint32_t>(i);
    inst.operands.assign(node.operands.begin(), node.operands.end());
    inst.capture = node.capture;
    (slot.varying ? out.varyingCode : out.uniformCode)
        .push_back(std::move(inst));
    // Arguments keep their register: the caller fills it once for many runs.
    for (unsigned operand : node.operands)
      if (--remaining[operand] == 0 && out.slots[operand].varying &&
          region.nodes[operand].kind != NodeKind::Arg)
        registers.give(out.slots[operand].position);
  }
  out.numVarying = registers.size;
  for (unsigned result : region.results) {
    out.results.push_back(result);
    out.resultTypes.push_back(region.nodes[result].type);
  }
  return out;
}

int RegionProgram::findArg(llvm::StringRef name) const {
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name == name && args[i].slot >= 0)
      return static_cast<int>(i);
  return -1;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

RegionFrame::RegionFrame(const RegionProgram &program,
                         llvm::ArrayRef<TensorView> captures,
                         const RegionSizes &sizes)
    : program(program), captures(captures), uniform(program.numUniform + 1),
      varying(new Word[size_t(program.numVarying) * lanes + 1]),
      badOfLane(lanes, 0) {
  for (const RegionProgram::Fixed &fixed : program.fixed) {
    Word &word = *at(fixed.slot);
    switch (fixed.kind) {
    case NodeKind::Size:
      word.i = sizes.get(fixed.symbol);
      break;
    case NodeKind::Extent:
      word.i = captures[fixed.capture].sizes[fixed.dim];
      break;
    default:
      if (fixed.type == ValueType::F)
        word.f = fixed.real;
      else
        word.i = fixed.integer;
    }
  }
}

RegionFrame::Word *RegionFrame::at(uint32_t slot) {
  const RegionProgram::Slot &s = program.slots[slot];
  return s.varying ? &varying[size_t(s.position) * lanes]
                   : &uniform[s.position];
}

const RegionFrame::Word *RegionFrame::at(uint32_t slot) const {
  return const_cast<RegionFrame *>(this)->at(slot);
}

void RegionFrame::setInt(int arg, int64_t value) {
  if (arg < 0)
    return;
  at(program.args[arg].slot)->i = value;
  dirty = true;
}

void RegionFrame::setFloat(int arg, double value) {
  if (arg < 0)
    return;
  at(program.args[arg].slot)->f = value;
  dirty = true;
}

int64_t *RegionFrame::laneInts(int arg) {
  return arg < 0 ? nullptr : &at(program.args[arg].slot)->i;
}

double *RegionFrame::laneFloats(int arg) {
  return arg < 0 ? nullptr : &at(program.args[arg].slot)->f;
}

void RegionFrame::fillIota(int arg, int64_t first, unsigned count) {
  if (int64_t *values = laneInts(arg))
    for (unsigned i = 0; i < count; ++i)
      values[i] = wrapAdd(first, i);
}

void RegionFrame::run(unsigned count) {
  if (watching) {
    llvm::fill(badOfLane, 0);
    badReads.clear();
    uniformBad = 0;
    dirty = true;
  }
  if (dirty)
    for (const Instruction &inst : program.uniformCode)
      execute(inst, 1);
  dirty = false;
  for (const Instruction &inst : program.varyingCode)
    execute(inst, count);
}

bool RegionFrame::resultVaries(unsigned result) const {
  return varies(program.results[result]);
}

int64_t RegionFrame::resultInt(unsigned result, unsigned lane) const {
  return at(program.results[result])[resultVaries(result) ? lane : 0].i;
}

double RegionFrame::resultFloat(unsigned result, unsigned lane) const {
  return at(program.results[result])[resultVaries(result) ? lane : 0].f;
}

const int64_t *RegionFrame::resultInts(unsigned result) const {
  return &at(program.results[result])->i;
}

const double *RegionFrame::resultFloats(unsigned result) const {
  return &at(program.results[result])->f;
}

const BadRead *RegionFrame::badRead(unsigned lane) const {
  int32_t id = uniformBad ? uniformBad : badOfLane[lane];
  return id ? &badReads[id - 1] : nullptr;
}

void RegionFrame::noteBad(const Instruction &inst, unsigned lane, unsigned dim,
                          int64_t index, int64_t extent) {
  int32_t &id = varies(inst.dst) ? badOfLane[lane] : uniformBad;
  if (id)
    return;
  badReads.push_back({inst.capture, dim, index, extent});
  id = static_cast<int32_t>(badReads.size());
}

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
  auto nan = [](F x, F y) { return std::isnan(x) || std::isnan(y); };
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
    return binaryFloat(inst, count, [&](F x, F y) {
      return nan(x, y) ? x + y : (y < x ? y : x);
    });
  case NodeKind::FMax:
    return binaryFloat(inst, count, [&](F x, F y) {
      return nan(x, y) ? x + y : (y > x ? y : x);
    });
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
