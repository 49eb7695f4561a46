//===- ParseAttn.cpp - .attn text to programs ----------------------------===//

#include "AttnLowering.h"
#include "AttnNormalizers.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace fovea {

namespace {
class VariantLowering {
public:
  VariantLowering(VariantScope &scope)
      : scope(scope), diagnostics(scope.file.diagnostics) {}

  LogicalResult run() {
    const VariantDecl &decl = scope.decl;
    bool ok = lowerClause(RegionKind::Scale, decl.scale, scope.program.scale);
    ok &= lowerClause(RegionKind::Score, decl.score, scope.program.score);
    ok &= lowerClause(RegionKind::Mask, decl.mask, scope.program.mask);
    if (decl.normalizer)
      ok &= succeeded(lowerNormalizer(scope, *decl.normalizer));
    if (!ok)
      return failure();
    return checkUnused();
  }

private:
  bool lowerClause(RegionKind kind, const Clause &clause,
                   std::optional<Region> &region) {
    if (!clause)
      return true;
    region = RegionLowering(scope, kind).run({clause.value});
    return region.has_value();
  }

  /// Unused lets are checked all the same, as part of a score.
  LogicalResult checkUnused() {
    SmallVector<const Expr *> unused;
    for (const LetDecl &let : scope.decl.lets) {
      if (scope.used.contains(let.name.text))
        continue;
      diagnostics.warning(let.name.offset,
                          "unused let '" + let.name.text + "'");
      unused.push_back(let.value);
    }
    bool ok = succeeded(RegionLowering(scope, RegionKind::Score).check(unused));
    for (const ParamDecl &param : scope.decl.params)
      if (!scope.used.contains(param.name.text))
        diagnostics.warning(param.name.offset,
                            "unused parameter '" + param.name.text + "'");
    return success(ok);
  }

  VariantScope &scope;
  AttnDiagnostics &diagnostics;
};

class FileLowering {
public:
  FileLowering(FileScope &scope, StringRef fileName, Defines defines,
               StringRef chosen)
      : scope(scope), fileName(fileName), defines(defines) {
    bool exists = any_of(scope.file.variants, [&](const VariantDecl &decl) {
      return decl.name.text == chosen;
    });
    for (const VariantDecl &decl : scope.file.variants)
      if (!exists || decl.name.text == chosen)
        defined.push_back(&decl);
  }

  FailureOr<std::vector<Program>> run() {
    if (failed(checkFile(scope)) || failed(checkConsts()))
      return failure();
    std::vector<Program> programs;
    bool ok = true;
    for (const VariantDecl &decl : scope.file.variants) {
      if (scope.diagnostics.hasTooManyErrors())
        break;
      Program &program = programs.emplace_back();
      ok &= succeeded(lowerVariant(decl, program));
    }
    ok &= succeeded(checkDefines());
    if (!ok)
      return failure();
    return std::move(programs);
  }

private:
  LogicalResult checkConsts() {
    Program program;
    VariantDecl decl;
    VariantScope variant{scope, decl, program, {}, {}, {}, {}, {}};
    bool ok = true;
    for (unsigned i = 0; i < scope.file.consts.size(); ++i)
      ok = ok &&
           succeeded(RegionLowering(variant, RegionKind::Scale).checkConst(i));
    return success(ok);
  }

  LogicalResult lowerVariant(const VariantDecl &decl, Program &program) {
    program.name = decl.name.text.str();
    program.doc = decl.doc;
    program.file = fileName.str();
    VariantScope variant{scope, decl, program, {}, {}, {}, {}, {}};
    bool takesDefines = is_contained(defined, &decl);
    if (failed(declareVariant(variant, takesDefines ? defines : Defines())))
      return failure();
    if (failed(VariantLowering(variant).run()))
      return failure();
    canonicalize(program);
    if (Error error = verifyProgram(program))
      return scope.diagnostics.error(decl.name.offset,
                                     toString(std::move(error)));
    return success();
  }

  LogicalResult checkDefines() {
    bool ok = true;
    SmallVector<StringRef> known;
    for (const VariantDecl *variant : defined)
      for (const ParamDecl &param : variant->params)
        if (param.value)
          known.push_back(param.name.text);
    for (const auto &[name, value] : defines) {
      if (is_contained(known, StringRef(name)))
        continue;
      ok = false;
      (void)scope.diagnostics.error(
          defined.front()->name.offset,
          "-D " + StringRef(name).take_front(60) +
              ": no compile-time parameter of this name" +
              suggest(name, known));
    }
    return success(ok);
  }

  FileScope &scope;
  StringRef fileName;
  Defines defines;
  /// The variants that `defines` are for.
  SmallVector<const VariantDecl *> defined;
};
} // namespace

FailureOr<std::vector<Program>>
parseAttn(StringRef text, StringRef fileName,
          ArrayRef<std::pair<std::string, std::string>> defines,
          raw_ostream &os, StringRef variant) {
  if (text.size() > AttnLimits::textBytes) {
    os << fileName << ":1:1: error: the file has " << text.size()
       << " bytes; at most " << AttnLimits::textBytes << " are read\n";
    return failure();
  }
  AttnDiagnostics diagnostics(text, fileName, os);
  std::vector<Token> tokens;
  FileDecl file;
  if (failed(lexAttn(text, diagnostics, tokens)) ||
      failed(parseAttnFile(tokens, diagnostics, file)))
    return failure();
  if (file.variants.empty())
    return diagnostics.error(tokens.back().offset,
                             "the file defines no attention variant");
  FileScope scope{file, diagnostics, {}, {}, {}};
  FailureOr<std::vector<Program>> programs =
      FileLowering(scope, fileName, defines, variant).run();
  if (failed(programs) && diagnostics.hasTooManyErrors())
    os << fileName << ": error: too many errors\n";
  return programs;
}

void printAttnError(StringRef text, StringRef fileName, unsigned line,
                    unsigned column, const Twine &message, raw_ostream &os) {
  size_t offset = 0;
  while (--line > 0 && offset != StringRef::npos)
    if (offset = text.find('\n', offset); offset != StringRef::npos)
      ++offset;
  offset = std::min(offset, text.size()) + column - 1;
  (void)AttnDiagnostics(text, fileName, os).error(offset, message);
}

} // namespace fovea
