//===- OnlineExamplesTest.cpp - The dialect's examples against plain loops ===//

#include "OnlineTestSupport.h"

using namespace fovea;
using namespace fovea::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// Σ_d q[b,h,m,d] · k[b,hk,n,d]
double product(Array &q, Array &k, int64_t b, int64_t h, int64_t hk, int64_t m,
               int64_t n) {
  double sum = 0;
  for (int64_t d = 0; d < q.sizes[3]; ++d)
    sum += q(b, h, m, d) * k(b, hk, n, d);
  return sum;
}

/// softmax over what is kept; empty where nothing is.
std::vector<double> softmax(std::vector<double> s) {
  double largest = -kInf, sum = 0;
  for (double x : s)
    largest = std::max(largest, x);
  for (double &x : s)
    sum += x = largest == -kInf ? 0 : std::exp(x - largest);
  for (double &x : s)
    x = sum == 0 ? 0 : x / sum;
  return s;
}

OnlineCoverage
coverage(int64_t batch, int64_t heads, int64_t rows, int64_t keys,
         std::function<bool(int64_t, int64_t, int64_t, int64_t)> visible) {
  return {batch, heads, [=](int64_t) { return std::pair(int64_t(0), rows); },
          [=](int64_t) { return std::pair(int64_t(0), keys); },
          std::move(visible)};
}

//===----------------------------------------------------------------------===//
// backward.mlir
//===----------------------------------------------------------------------===//

struct Backward {
  static constexpr int64_t B = 2, H = 2, M = 19, N = 13, D = 8;
  Array q{{B, H, M, D}}, k{{B, H, N, D}}, v{{B, H, N, D}}, bias{{H, M, N}},
      dout{{B, H, M, D}}, out{{B, H, M, D}}, lse{{B, H, M}},
      delta{{B, H, M, 1}};
  double scale = 0.4, cap = 1.5;

  Backward() {
    q.random(1);
    k.random(2);
    v.random(3);
    bias.random(4);
    dout.random(5);
  }

  /// Σ dout · out by the formula, in plain loops.
  double loss() {
    double total = 0;
    for (int64_t b = 0; b < B; ++b)
      for (int64_t h = 0; h < H; ++h)
        for (int64_t m = 0; m < M; ++m) {
          std::vector<double> s;
          for (int64_t n = 0; n < N && n <= m; ++n)
            s.push_back(
                cap * std::tanh(scale * product(q, k, b, h, h, m, n) / cap) +
                bias(h, m, n));
          std::vector<double> p = softmax(s);
          for (size_t n = 0; n < p.size(); ++n)
            for (int64_t e = 0; e < D; ++e)
              total += p[n] * v(b, h, n, e) * dout(b, h, m, e);
        }
    return total;
  }

  double difference(double &x) {
    const double step = 1e-5, old = x;
    x = old + step;
    double above = loss();
    x = old - step;
    double below = loss();
    x = old;
    return (above - below) / (2 * step);
  }
};

TEST_F(OnlineTest, BackwardAgreesWithFiniteDifferences) {
  parseExample("backward.mlir");
  Backward t;
  ASSERT_TRUE(
      run("forward",
          {t.q.argument(), t.k.argument(), t.v.argument(), t.bias.argument(),
           OnlineArgument::ofFloat(t.scale), OnlineArgument::ofFloat(t.cap),
           t.out.argument(), t.lse.argument()},
          {std::nullopt, coverage(t.B, t.H, t.M, t.N,
                                  [](int64_t, int64_t, int64_t m, int64_t n) {
                                    return m >= n;
                                  })}))
      << messages;
  double loss = 0;
  for (size_t i = 0; i < t.out.data.size(); ++i)
    loss += t.out.data[i] * t.dout.data[i];
  EXPECT_NEAR(loss, t.loss(), 1e-12);

  ASSERT_TRUE(
      run("delta", {t.out.argument(), t.dout.argument(), t.delta.argument()}))
      << messages;
  Array dq(t.q.sizes), dk(t.k.sizes), dv(t.v.sizes);
  Array dbias({t.H, (t.N + 7) / 8, t.M, 8});
  ASSERT_TRUE(
      run("backward",
          {t.q.argument(), t.k.argument(), t.v.argument(), t.bias.argument(),
           OnlineArgument::ofFloat(t.scale), OnlineArgument::ofFloat(t.cap),
           t.dout.argument(), t.lse.argument(), t.delta.argument(),
           dq.argument(), dk.argument(), dv.argument(), dbias.argument()}))
      << messages;
  const double tolerance = 1e-8;
  for (auto [x, dx] : {std::pair(&t.q, &dq), {&t.k, &dk}, {&t.v, &dv}})
    for (size_t i = 0; i < x->data.size(); i += 3)
      EXPECT_NEAR(dx->data[i], t.difference(x->data[i]), tolerance) << i;
  for (int64_t h = 0; h < t.H; ++h)
    for (int64_t m = 0; m < t.M; m += 2)
      for (int64_t n = 0; n < t.N; ++n)
        EXPECT_NEAR(dbias(h, n / 8, m, n % 8), t.difference(t.bias(h, m, n)),
                    tolerance)
            << h << ' ' << m << ' ' << n;
}

//===----------------------------------------------------------------------===//
// split_kv.mlir
//===----------------------------------------------------------------------===//

TEST_F(OnlineTest, SplitKVMergesWithOneSeed) {
  parseExample("split_kv.mlir");
  constexpr int64_t B = 3, H = 4, Hk = 2, M = 9, N = 70, D = 8;
  Array q({B, H, M, D}), k({B, Hk, N, D}), v({B, Hk, N, D}), sigma({H});
  Array out({B, H, M, D}), lse({B, H, M}), wantOut(out.sizes),
      wantLse(lse.sizes);
  q.random(1), k.random(2), v.random(3), sigma.random(4);
  // The second batch has one key, the last none: a dead row but for the sink.
  std::vector<int64_t> lengths{N, 1, 0};
  const double scale = 0.5;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t n = lengths[b]; n < N; ++n)
      for (int64_t h = 0; h < Hk; ++h)
        for (int64_t e = 0; e < D; ++e)
          k(b, h, n, e) = v(b, h, n, e) = std::nan("");

  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t m = 0; m < M; ++m) {
        double sum = std::exp(sigma(h));
        for (int64_t n = 0; n < lengths[b]; ++n) {
          double p = std::exp(scale * product(q, k, b, h, h / 2, m, n));
          sum += p;
          for (int64_t e = 0; e < D; ++e)
            wantOut(b, h, m, e) += p * v(b, h / 2, n, e);
        }
        wantLse(b, h, m) = std::log(sum);
        for (int64_t e = 0; e < D; ++e)
          wantOut(b, h, m, e) /= sum;
      }
  OnlineOptions options;
  options.coverage = {
      B, H, [=](int64_t) { return std::pair(int64_t(0), M); },
      [&](int64_t b) { return std::pair(int64_t(0), lengths[b]); },
      [](int64_t, int64_t, int64_t, int64_t) { return true; }};
  ASSERT_TRUE(run("split_kv",
                  {q.argument(), k.argument(), v.argument(), sigma.argument(),
                   argumentOf(lengths), OnlineArgument::ofFloat(scale),
                   out.argument(), lse.argument()},
                  options))
      << messages;
  expectNear(out, wantOut, 1e-13);
  expectNear(lse, wantLse, 1e-13);
}

//===----------------------------------------------------------------------===//
// differential.mlir
//===----------------------------------------------------------------------===//

TEST_F(OnlineTest, DifferentialTakesTwoMapsOverOneValue) {
  parseExample("differential.mlir");
  constexpr int64_t B = 1, H = 2, N = 37, D = 8, window = 11;
  Array q1({B, H, N, D}), k1(q1.sizes), q2(q1.sizes), k2(q1.sizes), v(q1.sizes),
      lambda({H}), out(q1.sizes), want(q1.sizes);
  q1.random(1), k1.random(2), q2.random(3), k2.random(4), v.random(5),
      lambda.random(6);
  const double scale = 0.35;
  for (int64_t h = 0; h < H; ++h)
    for (int64_t m = 0; m < N; ++m) {
      int64_t first = std::max<int64_t>(0, m - window + 1);
      std::vector<double> s1, s2;
      for (int64_t n = first; n <= m; ++n) {
        s1.push_back(scale * product(q1, k1, 0, h, h, m, n));
        s2.push_back(scale * product(q2, k2, 0, h, h, m, n));
      }
      std::vector<double> p1 = softmax(s1), p2 = softmax(s2);
      for (int64_t n = first; n <= m; ++n)
        for (int64_t e = 0; e < D; ++e)
          want(0, h, m, e) +=
              (p1[n - first] - lambda(h) * p2[n - first]) * v(0, h, n, e);
    }
  ASSERT_TRUE(
      run("differential",
          {q1.argument(), k1.argument(), q2.argument(), k2.argument(),
           v.argument(), lambda.argument(), OnlineArgument::ofInt(window),
           OnlineArgument::ofFloat(scale), out.argument()}))
      << messages;
  expectNear(out, want, 1e-13);
}

//===----------------------------------------------------------------------===//
// two_pass.mlir
//===----------------------------------------------------------------------===//

TEST_F(OnlineTest, TwoPassNormalizer) {
  parseExample("two_pass.mlir");
  constexpr int64_t B = 2, H = 1, M = 10, N = 21, D = 8;
  Array q({B, H, M, D}), k({B, H, N, D}), v(k.sizes), out(q.sizes),
      want(q.sizes);
  q.random(1), k.random(2), v.random(3);
  const double scale = 0.6, floor = 0.08;
  int64_t dropped = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t m = 0; m < M; ++m) {
      std::vector<double> s;
      for (int64_t n = 0; n < N; ++n)
        s.push_back(scale * product(q, k, b, 0, 0, m, n));
      std::vector<double> p = softmax(s);
      double kept = 0;
      for (double &x : p) {
        dropped += x < floor;
        kept += x = x < floor ? 0 : x;
      }
      for (int64_t n = 0; n < N; ++n)
        for (int64_t e = 0; e < D; ++e)
          want(b, 0, m, e) += kept == 0 ? 0 : p[n] / kept * v(b, 0, n, e);
    }
  ASSERT_GT(dropped, 0);
  ASSERT_TRUE(run("two_pass", {q.argument(), k.argument(), v.argument(),
                               OnlineArgument::ofFloat(floor),
                               OnlineArgument::ofFloat(scale), out.argument()}))
      << messages;
  expectNear(out, want, 1e-13);
}

//===----------------------------------------------------------------------===//
// linear_attention.mlir
//===----------------------------------------------------------------------===//

TEST_F(OnlineTest, ChunkedLinearAttentionIsTheRecurrence) {
  parseExample("linear_attention.mlir");
  constexpr int64_t B = 2, H = 2, N = 29, D = 8, E = 4;
  Array q({B, H, N, D}), k(q.sizes), v({B, H, N, E}), gamma({H}), out(v.sizes),
      want(v.sizes);
  q.random(1), k.random(2), v.random(3);
  gamma(0) = 0.9, gamma(1) = 0.97;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h) {
      Array state({D, E});
      for (int64_t n = 0; n < N; ++n)
        for (int64_t d = 0; d < D; ++d)
          for (int64_t e = 0; e < E; ++e) {
            state(d, e) =
                gamma(h) * state(d, e) + k(b, h, n, d) * v(b, h, n, e);
            want(b, h, n, e) += q(b, h, n, d) * state(d, e);
          }
    }
  ASSERT_TRUE(run("linear_attention", {q.argument(), k.argument(), v.argument(),
                                       gamma.argument(), out.argument()}))
      << messages;
  expectNear(out, want, 1e-12);
}

} // namespace
