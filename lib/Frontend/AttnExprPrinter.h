//===- AttnExprPrinter.h - Nodes to expressions -----------------*- C++ -*-===//
#ifndef FOVEA_LIB_FRONTEND_ATTNEXPRPRINTER_H
#define FOVEA_LIB_FRONTEND_ATTNEXPRPRINTER_H

#include "fovea/Frontend/Program.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

namespace fovea {

/// What identifiers print as: the names of a program made fit for the language
/// and different from each other.
struct PrintNames {
  std::vector<std::string> captures;
  llvm::StringMap<std::string> params;
  /// Names of the dimensions of captures, or numbers; "_" where unknown.
  std::vector<std::vector<std::string>> dims;
  llvm::StringMap<std::string> sizes;
  llvm::StringSet<> used;

  unsigned numGenerated = 0;

  /// x0, x1, …: for lets without a name.
  std::string generate();
  /// An identifier like `wanted` that nothing else has.
  std::string makeUnique(llvm::StringRef wanted);
};

/// "1.5": the shortest decimal that reads back, always with a point or an
/// exponent.
std::string formatFloat(double value);

/// Prints a group of regions that share their lets. Equal values of different
/// regions are one let.
class ExprPrinter {
public:
  explicit ExprPrinter(PrintNames &names) : names(names) {}

  /// Returns handles to the region's results.
  llvm::SmallVector<unsigned> addRegion(const Region &region);
  /// Decides what becomes a let, and writes the lets.
  void printLets(llvm::raw_ostream &os, llvm::StringRef indent);
  /// After printLets.
  llvm::StringRef getText(unsigned handle) const { return items[handle].text; }
  bool hasNaN() const { return foundNaN; }

private:
  struct Item {
    Node node;
    unsigned uses = 0;
    bool isResult = false;
    bool isLet = false;
    bool isChain = false; ///< a < b and b < c, printed as a < b < c
    bool isLink = false;  ///< a comparison of a chain
    /// An int that becomes a float where it stands.
    bool isBare = false;
    std::string text;
    unsigned level = 0;
    unsigned depth = 0;
  };

  void countUses();
  void findChains();
  bool isComparison(unsigned id) const;
  void printItem(Item &item);
  void printLeaf(Item &item);
  void printOp(Item &item);
  void printFloatOp(Item &item);
  void printBool(Item &item);
  void printCall(Item &item, llvm::StringRef name,
                 llvm::ArrayRef<std::string> args);
  void printBinary(Item &item, llvm::StringRef symbol, unsigned level);
  void printComparison(Item &item);
  void printUnary(Item &item, llvm::StringRef symbol);

  /// The operand's text, in brackets if it binds less tightly than `level`.
  std::string at(unsigned id, unsigned level) const;
  /// The same for a place where an int would stay an int.
  std::string asFloat(unsigned id, unsigned level) const;
  /// Two float operands of one operator: one of them must be a float as
  /// written.
  std::pair<std::string, std::string> pair(unsigned a, unsigned b,
                                           unsigned left, unsigned right) const;

  PrintNames &names;
  std::vector<Item> items;
  llvm::StringMap<unsigned> known;
  bool foundNaN = false;
};

} // namespace fovea

#endif // FOVEA_LIB_FRONTEND_ATTNEXPRPRINTER_H
