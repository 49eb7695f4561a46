//===- Masks.cpp - Masks of scores ----------------------------------------===//
//
// A comparison that is monotone in the key gives each of the thread's two rows
// a prefix of its columns: one word of bits, of which `and`, `or` and `select`
// make the mask's. The assembler moves a word's bits to predicates seven at a
// time. What is not made of such comparisons is evaluated for each score.
//
//===----------------------------------------------------------------------===//

#include "Regions.h"

#include "Kernel.h"
#include "mlir/IR/Matchers.h"

using namespace fovea::gpu;

namespace {
/// One bit for each of the thread's columns of one row.
using Words = std::optional<Values>;

class WordEvaluator {
public:
  WordEvaluator(Emitter &e, ScalarEmitter &scalars, RegionEvaluator &region,
                Block &block, size_t columns)
      : e(e), scalars(scalars), region(region), block(block),
        count((columns + 31) / 32) {}

  /// The words of an i1 for a row, or none where it has no such form.
  Words get(Value value, int row);
  /// The columns up to `last`, relative to the lane's first.
  Values prefix(Value last);

private:
  Words compare(arith::CmpIOp op, int row);
  Words combine(Operation *op, int row);
  Words select(arith::SelectOp op, int row);
  Value difference(Value lhs, Value rhs, int row);
  std::optional<int> slopeOf(Value value);
  Values invert(Values words);

  Emitter &e;
  ScalarEmitter &scalars;
  RegionEvaluator &region;
  Block &block;
  size_t count;
};
} // namespace

Values WordEvaluator::prefix(Value last) {
  // Columns come in pairs, eight apart.
  last = e.smax(last, e.c(-1));
  Value pairs = e.shl(e.ashr(last, e.c(3)), 1);
  Value rest = e.umin(e.add(e.land(last, 7), 1), e.c(2));
  Value columns = e.add(pairs, rest);
  Values words;
  for (size_t i = 0; i < count; ++i) {
    Value own = columns;
    if (i > 0)
      own = e.smax(e.add(columns, -int64_t(32 * i)), e.c(0));
    words.push_back(e.assembly1("bmsk.clamp.b32 $0, 0, $1;", "=r,r", own, e.i32,
                                /*sideEffects=*/false));
  }
  return words;
}

Values WordEvaluator::invert(Values words) {
  for (Value &word : words)
    word = e.lxor(word, e.c(-1));
  return words;
}

Words WordEvaluator::get(Value value, int row) {
  if (region.dependenceOf(value) <= Dependence::Row) {
    FailureOr<Scalar> scalar = region.get(value, 2 * row);
    if (failed(scalar))
      return std::nullopt;
    return Values(count, e.select(scalar->value, e.c(-1), e.c(0)));
  }
  Operation *op = value.getDefiningOp();
  if (!op || value.getParentBlock() != &block)
    return std::nullopt;
  if (auto cmp = dyn_cast<arith::CmpIOp>(op))
    return compare(cmp, row);
  if (auto choice = dyn_cast<arith::SelectOp>(op))
    return select(choice, row);
  if (isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op))
    return combine(op, row);
  return std::nullopt;
}

Words WordEvaluator::combine(Operation *op, int row) {
  Words x = get(op->getOperand(0), row), y = get(op->getOperand(1), row);
  if (!x || !y)
    return std::nullopt;
  for (auto [a, b] : llvm::zip_equal(*x, *y))
    a = isa<arith::AndIOp>(op)  ? e.land(a, b)
        : isa<arith::OrIOp>(op) ? e.lor(a, b)
                                : e.lxor(a, b);
  return x;
}

Words WordEvaluator::select(arith::SelectOp op, int row) {
  Words condition = get(op.getCondition(), row);
  Words yes = get(op.getTrueValue(), row), no = get(op.getFalseValue(), row);
  if (!condition || !yes || !no)
    return std::nullopt;
  for (auto [c, a, b] : llvm::zip_equal(*condition, *yes, *no))
    a = e.lxor(b, e.land(c, e.lxor(a, b)));
  return yes;
}

/// By how much a value grows from one column to the next.
std::optional<int> WordEvaluator::slopeOf(Value value) {
  switch (region.shapeOf(value)) {
  case Shape::N:
  case Shape::MinusM:
    return 1;
  case Shape::MinusN:
    return -1;
  case Shape::M:
    return 0;
  case Shape::None:
    if (region.dependenceOf(value) <= Dependence::Row)
      return 0;
    return std::nullopt;
  }
  llvm_unreachable("unknown shape");
}

/// lhs − rhs at the lane's first column, in 32 bits: far from zero it may be
/// nearer to it, which no column of a tile notices. Null where one side says
/// nothing of its range.
Value WordEvaluator::difference(Value lhs, Value rhs, int row) {
  FailureOr<Scalar> x = region.get(lhs, 2 * row), y = region.get(rhs, 2 * row);
  if (failed(x) || failed(y))
    return {};
  constexpr int64_t close = 1 << 30, far = int64_t(1) << 40;
  bool isNear[] = {x->interval.fits32(), y->interval.fits32()};
  if (!isNear[0] && !isNear[1])
    return {};
  bool narrow = x->value.getType() == e.i32 && y->value.getType() == e.i32;
  if (narrow && isNear[0] && isNear[1] &&
      x->interval.lo - y->interval.hi >= -close &&
      x->interval.hi - y->interval.lo <= close)
    return e.sub(x->value, y->value);
  auto clamp = [&](Value value, int64_t limit) {
    return e.smin(e.smax(value, e.c(-limit, e.i64)), e.c(limit, e.i64));
  };
  Value wide =
      e.sub(clamp(scalars.wide(*x), far), clamp(scalars.wide(*y), far));
  return e.trunc(clamp(wide, close));
}

Words WordEvaluator::compare(arith::CmpIOp op, int row) {
  std::optional<int> a = slopeOf(op.getLhs()), b = slopeOf(op.getRhs());
  if (!a || !b || std::abs(*a - *b) != 1)
    return std::nullopt;
  using Predicate = arith::CmpIPredicate;
  Predicate predicate = op.getPredicate();
  Value lhs = op.getLhs(), rhs = op.getRhs();
  if (*a < *b) { // the side that grows comes first
    std::swap(lhs, rhs);
    switch (predicate) {
    case Predicate::slt:
      predicate = Predicate::sgt;
      break;
    case Predicate::sle:
      predicate = Predicate::sge;
      break;
    case Predicate::sgt:
      predicate = Predicate::slt;
      break;
    case Predicate::sge:
      predicate = Predicate::sle;
      break;
    default:
      break;
    }
  }
  // lhs − rhs is d in column 0, d + c in column c.
  Value d = difference(lhs, rhs, row);
  if (!d)
    return std::nullopt;
  Value equal = e.sub(e.c(0), d), below = e.add(equal, -1);
  switch (predicate) {
  case Predicate::slt:
    return prefix(below);
  case Predicate::sle:
    return prefix(equal);
  case Predicate::sgt:
    return invert(prefix(equal));
  case Predicate::sge:
    return invert(prefix(below));
  case Predicate::eq:
  case Predicate::ne: {
    Values words = prefix(equal);
    for (auto [word, other] : llvm::zip_equal(words, prefix(below)))
      word = e.lxor(word, other);
    return predicate == Predicate::eq ? words : invert(words);
  }
  default:
    return std::nullopt;
  }
}

/// A test of a bit and a choice in one: as LLVM's own ops they would become
/// shifts.
static Value choose(Emitter &e, Value score, Value word, int bit) {
  std::string text = "{\n.reg .pred p;\n.reg .b32 t;\nand.b32 t, $2, " +
                     std::to_string(1u << bit) +
                     ";\nsetp.ne.s32 p, t, 0;\n"
                     "selp.f32 $0, $1, 0fFF800000, p;\n}";
  return e.assembly1(text, "=f,f,r", {score, word}, e.f32,
                     /*sideEffects=*/false);
}

/// Scores of the columns that the words name, by row; others are -inf.
static Values applyWords(Emitter &e, const Values &scores,
                         ArrayRef<Values> words) {
  Values results;
  for (auto [i, score] : llvm::enumerate(scores)) {
    Position position = Position::of(i);
    int bit = 2 * position.box + position.pair;
    results.push_back(
        choose(e, score, words[position.row][bit / 32], bit % 32));
  }
  return results;
}

/// Only the end of a sequence cuts: most tiles go round the mask, all lanes at
/// once.
Values KernelEmitter::maskEnd(const Values &scores, const Values &belongs,
                              Value count) {
  int64_t columns = scores.size() * 2;
  SmallVector<Type> types(scores.size(), e.f32);
  Block *cut = e.block(), *join = e.block(types);
  e.condBr(e.icmp(LLVM::ICmpPredicate::slt, count, e.c(columns)), cut, {}, join,
           scores);
  e.enter(cut);
  e.br(join, applyWords(e, scores, {belongs, belongs}));
  e.enter(join);
  return Values(join->getArguments());
}

/// One comparison a score costs what the test of a bit does. At D 128 with two
/// groups, no score mod and no list the assembler then leaves the loop without
/// masks in the better order (1 %), but where the comparison is of columns
/// alone in the worse one (12 %); with several comparisons, too, words are
/// faster.
bool KernelEmitter::takesWords(MaskOp op) {
  Block &body = op.getBody().front();
  bool hasOne = llvm::hasSingleElement(body.getOps<arith::CmpIOp>());
  bool isOfColumns = body.getArgument(0).use_empty();
  return !hasOne || isOfColumns || isScored || findList() || groups != 2 ||
         op.getType().getColumns() != 128;
}

FailureOr<Values> KernelEmitter::maskScores(MaskOp op, const Values &scores) {
  // The lane's columns below the end of the element.
  Value count = known[op.getCount()].value;
  Value end = e.sub(count, column);
  Value firstRow = e.add(known[op.getM0()].value, row);
  Value firstColumn = e.add(known[op.getN0()].value, column);
  Interval promised = promisedPositions();
  Block none;
  bool hasRegion = !op.getBody().empty();
  Block &block = hasRegion ? op.getBody().front() : none;
  RegionEvaluator evaluator(
      e, scalars, block, [&](Value value) { return scalarOf(value); },
      [&](Value argument, Position position) -> Scalar {
        bool isRow = cast<BlockArgument>(argument).getArgNumber() == 0;
        return {isRow ? e.add(firstRow, 8 * position.row)
                      : e.add(firstColumn, position.column()),
                promised};
      });
  WordEvaluator words(e, scalars, evaluator, block, scores.size() / 2);
  Values belongs = words.prefix(e.add(end, -1));
  if (!hasRegion)
    return maskEnd(scores, belongs, count);
  evaluator.setArgument(0, Dependence::Row, Shape::M);
  evaluator.setArgument(1, Dependence::Column, Shape::N);
  evaluator.classify();
  Value yielded = block.getTerminator()->getOperand(0);
  if (takesWords(op)) {
    Words first = words.get(yielded, 0), second = words.get(yielded, 1);
    if (first && second) {
      for (Words *row : {&first, &second})
        for (auto [word, own] : llvm::zip_equal(**row, belongs))
          word = e.land(word, own);
      return applyWords(e, scores, {*first, *second});
    }
  }
  Value infinity = e.cf(-INFINITY);
  Values results;
  for (auto [i, score] : llvm::enumerate(scores)) {
    Value own =
        e.icmp(LLVM::ICmpPredicate::slt, e.c(Position::of(i).column()), end);
    FailureOr<Scalar> visible = evaluator.get(yielded, i);
    if (failed(visible))
      return failure();
    results.push_back(e.select(e.land(own, visible->value), score, infinity));
  }
  return results;
}

/// Whether a mask need not cut its block, one for all lanes; null where that
/// is not asked. A block of any class in a loop may be full.
Value KernelEmitter::findUncut(MaskOp op) {
  if (!op->getParentOfType<scf::ForOp>())
    return {};
  Value visible = op.getBody().empty() ? Value() : findAllVisible(op);
  if (matchPattern(op.getFull(), m_Constant()))
    return visible;
  Value full = known[op.getFull()].value;
  return visible ? e.lor(visible, full) : full;
}

/// Blocks behind the first one that a mask need not cut go round it, all lanes
/// at once.
LogicalResult KernelEmitter::emitMask(MaskOp op) {
  Values scores = registers[op.getScores()];
  Value visible = findUncut(op);
  Block *join = nullptr;
  if (visible) {
    Block *cut = e.block();
    join = e.block(SmallVector<Type>(scores.size(), e.f32));
    e.condBr(visible, join, scores, cut, {});
    e.enter(cut);
  }
  scalars.setExact(true);
  FailureOr<Values> masked = maskScores(op, scores);
  scalars.setExact(false);
  if (failed(masked))
    return failure();
  registers[op] = *masked;
  if (visible) {
    e.br(join, *masked);
    e.enter(join);
    registers[op] = Values(join->getArguments());
  }
  return success();
}
