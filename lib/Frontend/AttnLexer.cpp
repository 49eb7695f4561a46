//===- AttnLexer.cpp - Tokens of .attn -----------------------------------===//

#include "AttnLexer.h"

#include "fovea/Frontend/Attn.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

using namespace llvm;

namespace fovea {

static bool isNameStart(char c) { return isAlpha(c) || c == '_'; }
static bool isNameChar(char c) { return isAlnum(c) || c == '_'; }

/// Digits with single underscores between them.
static bool isDigitRun(StringRef text, bool (*isDigitOf)(char)) {
  if (text.empty() || text.front() == '_' || text.back() == '_' ||
      text.contains("__"))
    return false;
  return all_of(text, [&](char c) { return c == '_' || isDigitOf(c); });
}

static bool parseInteger(StringRef text, Token &token, std::string &reason) {
  unsigned radix = 10;
  StringRef digits = text;
  bool (*isDigitOf)(char) = [](char c) { return isDigit(c); };
  if (text.size() > 1 && text[0] == '0' && isAlpha(text[1])) {
    char prefix = toLower(text[1]);
    digits = text.drop_front(2);
    radix = prefix == 'x' ? 16 : prefix == 'o' ? 8 : 2;
    if (prefix == 'x')
      isDigitOf = [](char c) { return isHexDigit(c); };
    else if (prefix == 'o')
      isDigitOf = [](char c) { return c >= '0' && c <= '7'; };
    else if (prefix == 'b')
      isDigitOf = [](char c) { return c == '0' || c == '1'; };
    else
      radix = 0;
  }
  if (radix == 0 || !isDigitRun(digits, isDigitOf)) {
    reason = "not a number";
    return false;
  }
  if (radix == 10 && digits.size() > 1 && digits[0] == '0' &&
      digits.find_first_not_of("0_") != StringRef::npos) {
    reason = "a decimal integer may not begin with 0";
    return false;
  }
  std::string plain;
  copy_if(digits, std::back_inserter(plain), [](char c) { return c != '_'; });
  if (StringRef(plain).getAsInteger(radix, token.integer) ||
      token.integer > uint64_t(1) << 63) {
    reason = "integer does not fit 64 bits";
    return false;
  }
  token.kind = Token::Integer;
  return true;
}

static bool parseFloat(StringRef text, Token &token, std::string &reason) {
  auto digit = [](char c) { return isDigit(c); };
  auto [mantissa, exponent] = text.split(text.contains('e') ? 'e' : 'E');
  bool hasExponent = mantissa.size() != text.size();
  auto [whole, fraction] = mantissa.split('.');
  if (hasExponent && !exponent.consume_front("+"))
    exponent.consume_front("-");
  bool valid = (!whole.empty() || !fraction.empty()) &&
               (whole.empty() || isDigitRun(whole, digit)) &&
               (fraction.empty() || isDigitRun(fraction, digit)) &&
               (!hasExponent || isDigitRun(exponent, digit));
  if (!valid) {
    reason = "not a number";
    return false;
  }
  std::string plain;
  copy_if(text, std::back_inserter(plain), [](char c) { return c != '_'; });
  // APFloat does not ask the locale.
  APFloat value(APFloat::IEEEdouble());
  Expected<APFloat::opStatus> status =
      value.convertFromString(plain, APFloat::rmNearestTiesToEven);
  if (!status) {
    reason = toString(status.takeError());
    return false;
  }
  if (value.isInfinity()) {
    reason = "number does not fit a 64-bit float; write 'inf' for infinity";
    return false;
  }
  token.kind = Token::Float;
  token.real = value.convertToDouble();
  return true;
}

bool parseNumber(StringRef text, Token &token, std::string &reason) {
  bool isBased = text.size() > 1 && text[0] == '0' && isAlpha(text[1]) &&
                 toLower(text[1]) != 'e';
  if (isBased || text.find_first_of(".eE") == StringRef::npos)
    return parseInteger(text, token, reason);
  return parseFloat(text, token, reason);
}

namespace {
class Lexer {
public:
  Lexer(StringRef text, AttnDiagnostics &diagnostics,
        std::vector<Token> &tokens)
      : text(text), diagnostics(diagnostics), tokens(tokens) {}

  LogicalResult run() {
    if (failed(checkBytes()))
      return failure();
    while (position < text.size())
      if (failed(next()))
        return failure();
    push(Token::End, position, position);
    return success();
  }

private:
  LogicalResult checkBytes() {
    if (text.starts_with("\xEF\xBB\xBF"))
      return diagnostics.error(0, "byte order mark; save the file as UTF-8 "
                                  "without one");
    const UTF8 *begin = text.bytes_begin(), *next = begin;
    while (next != text.bytes_end()) {
      if (*next < 0x80) {
        if (*next == 0)
          return diagnostics.error(next - begin, "NUL byte in the text");
        ++next;
        continue;
      }
      UTF32 point = 0;
      const UTF8 *start = next;
      if (convertUTF8Sequence(&next, text.bytes_end(), &point,
                              strictConversion) != conversionOK)
        return diagnostics.error(start - begin, "invalid UTF-8");
    }
    return success();
  }

  Token &push(Token::Kind kind, size_t begin, size_t end) {
    Token token;
    token.kind = kind;
    token.startsLine = atLineStart;
    token.text = text.slice(begin, end);
    token.offset = begin;
    tokens.push_back(token);
    atLineStart = false;
    position = end;
    return tokens.back();
  }

  LogicalResult next() {
    char c = text[position];
    if (c == '\n') {
      atLineStart = true;
      ++position;
      return success();
    }
    if (c == ' ' || c == '\t' || text.substr(position, 2) == "\r\n") {
      ++position;
      return success();
    }
    if (c == '#') {
      lexComment();
      return success();
    }
    if (isNameStart(c))
      return lexName();
    if (isDigit(c) ||
        (c == '.' && position + 1 < text.size() && isDigit(text[position + 1])))
      return lexNumber();
    return lexSymbol();
  }

  void lexComment() {
    size_t end = std::min(text.find('\n', position), text.size());
    bool isDoc = text.substr(position, 2) == "##";
    bool startedLine = atLineStart;
    if (isDoc)
      push(Token::Doc, position, end);
    atLineStart = startedLine;
    position = end;
  }

  LogicalResult lexName() {
    size_t end = position;
    while (end < text.size() && isNameChar(text[end]))
      ++end;
    if (end - position > AttnLimits::nameBytes)
      return diagnostics.error(
          position, "name must have at most " + Twine(AttnLimits::nameBytes) +
                        " characters, got " + Twine(end - position));
    push(Token::Name, position, end);
    return success();
  }

  LogicalResult lexNumber() {
    size_t end = position;
    auto at = [&](size_t i) { return i < text.size() ? text[i] : '\0'; };
    bool isBased =
        at(end) == '0' && isAlpha(at(end + 1)) && toLower(at(end + 1)) != 'e';
    while (end < text.size()) {
      char c = text[end];
      // "0..S" is a range, not the number "0.".
      bool isRange = c == '.' && at(end + 1) == '.';
      bool isSign = (c == '+' || c == '-') && !isBased && end > position &&
                    toLower(text[end - 1]) == 'e';
      if (isRange || !(isNameChar(c) || c == '.' || isSign))
        break;
      ++end;
    }
    StringRef spelling = text.slice(position, end);
    Token number;
    std::string reason;
    if (!parseNumber(spelling, number, reason))
      return diagnostics.error(position, reason);
    Token &token = push(number.kind, position, end);
    token.integer = number.integer;
    token.real = number.real;
    return success();
  }

  LogicalResult lexSymbol() {
    static constexpr StringLiteral symbols[] = {
        "..", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "(",
        ")",  "[",  "]",  "{",  "}",  ",",  ":",  "=",  "<",  ">",
        "+",  "-",  "*",  "/",  "%",  "|",  "^",  "&",  "~"};
    for (StringLiteral symbol : symbols)
      if (text.substr(position).starts_with(symbol)) {
        push(Token::Symbol, position, position + symbol.size());
        return success();
      }
    char c = text[position];
    if (c == '!')
      return diagnostics.error(position, "unexpected '!'; write 'not'");
    if (c == '\r')
      return diagnostics.error(position, "carriage return without a line feed");
    if (c == '.')
      return diagnostics.error(position, "unexpected '.'");
    if (isPrint(c))
      return diagnostics.error(position, "unexpected character '" +
                                             Twine(std::string(1, c)) + "'");
    if (static_cast<unsigned char>(c) >= 0x80)
      return diagnostics.error(position, "characters beyond ASCII may only "
                                         "stand in comments");
    return diagnostics.error(position, "control character in the text");
  }

  StringRef text;
  AttnDiagnostics &diagnostics;
  std::vector<Token> &tokens;
  size_t position = 0;
  bool atLineStart = true;
};
} // namespace

LogicalResult lexAttn(StringRef text, AttnDiagnostics &diagnostics,
                      std::vector<Token> &tokens) {
  return Lexer(text, diagnostics, tokens).run();
}

} // namespace fovea
