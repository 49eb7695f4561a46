//===- RegionEvaluator.cpp - Runs a Program's regions ---------------------===//
#include "fovea/Interpreter/RegionEvaluator.h"
#include "fovea/Support/TotalArithmetic.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>

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

namespace fovea {
class RegionCompiler {
public:
  RegionCompiler(const Program &program, const Region &region,
                 llvm::ArrayRef<llvm::StringRef> varying)
      : program(program), region(region), varying(varying),
        remaining(countUses(region)) {}
  RegionProgram compile();

private:
  bool isUsed(size_t i) const { return uses[i] != 0; }
  void placeArguments();
  void addNode(uint32_t i);
  void addArgument(uint32_t i);
  void addFixed(uint32_t i);
  void addInstruction(uint32_t i);

  const Program &program;
  const Region &region;
  llvm::ArrayRef<llvm::StringRef> varying;
  std::vector<unsigned> remaining; // readers that have not run
  const std::vector<unsigned> uses = remaining;
  RegisterFile registers;
  llvm::StringMap<uint32_t> argumentPositions;
  RegionProgram out;
};
} // namespace fovea

/// Arguments are filled before anything runs: their registers are nobody
/// else's, wherever their nodes stand.
void RegionCompiler::placeArguments() {
  for (size_t i = 0; i < region.nodes.size(); ++i) {
    const Node &node = region.nodes[i];
    if (isUsed(i) && node.kind == NodeKind::Arg &&
        !argumentPositions.count(node.symbol))
      argumentPositions[node.symbol] = llvm::is_contained(varying, node.symbol)
                                           ? registers.take()
                                           : out.numUniform++;
  }
}

void RegionCompiler::addArgument(uint32_t i) {
  const std::string &name = region.nodes[i].symbol;
  out.slots[i] = {llvm::is_contained(varying, name),
                  argumentPositions.lookup(name)};
  for (RegionProgram::Argument &arg : out.args)
    if (arg.name == name && arg.slot < 0)
      arg.slot = static_cast<int>(i);
}

void RegionCompiler::addFixed(uint32_t i) {
  const Node &node = region.nodes[i];
  RegionProgram::Fixed fixed{i,         node.kind,    node.type, node.integer,
                             node.real, node.capture, node.dim,  node.symbol};
  if (node.kind == NodeKind::Param)
    for (const Param &param : program.params)
      if (param.name == node.symbol) {
        fixed.integer = param.integer;
        fixed.real = param.real;
      }
  out.fixed.push_back(std::move(fixed));
}

void RegionCompiler::addInstruction(uint32_t i) {
  const Node &node = region.nodes[i];
  RegionProgram::Instruction inst;
  inst.kind = node.kind;
  inst.type = node.type;
  inst.dst = i;
  inst.operands.assign(node.operands.begin(), node.operands.end());
  inst.capture = node.capture;
  (out.slots[i].varying ? out.varyingCode : out.uniformCode)
      .push_back(std::move(inst));
  // Arguments keep their register: the caller fills it once for many runs.
  for (unsigned operand : node.operands)
    if (--remaining[operand] == 0 && out.slots[operand].varying &&
        region.nodes[operand].kind != NodeKind::Arg)
      registers.give(out.slots[operand].position);
}

void RegionCompiler::addNode(uint32_t i) {
  const Node &node = region.nodes[i];
  if (node.kind == NodeKind::Arg)
    return addArgument(i);
  bool varies = llvm::any_of(node.operands, [&](unsigned operand) {
    return out.slots[operand].varying;
  });
  out.slots[i] = {varies, varies ? registers.take() : out.numUniform++};
  if (isFixed(node.kind))
    addFixed(i);
  else
    addInstruction(i);
}

RegionProgram RegionCompiler::compile() {
  for (const std::string &name : region.args)
    out.args.push_back({name, getArgType(name), -1});
  for (const Capture &capture : program.captures)
    out.captureNames.push_back(capture.name);
  out.slots.resize(region.nodes.size());
  placeArguments();
  for (size_t i = 0; i < region.nodes.size(); ++i)
    if (isUsed(i))
      addNode(static_cast<uint32_t>(i));
  out.numVarying = registers.size;
  for (unsigned result : region.results) {
    out.results.push_back(result);
    out.resultTypes.push_back(region.nodes[result].type);
  }
  return std::move(out);
}

RegionProgram RegionProgram::compile(const Program &program,
                                     const Region &region,
                                     llvm::ArrayRef<llvm::StringRef> varying) {
  return RegionCompiler(program, region, varying).compile();
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
