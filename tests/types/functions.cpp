#include "tests/types/functions.h"

#include <cmath>

namespace zmlx::types {

namespace {

__extension__ typedef unsigned __int128 Bits;
using Integer = std::function<Whole(Whole, Whole, Whole)>;

template <typename F>
Function
make(std::string name, std::string formula, int arity, F f, Integer whole) {
  const auto of = [f, arity](auto a, auto b, auto c) {
    using T = decltype(a);
    if constexpr (std::is_invocable_v<F, T>) {
      return static_cast<T>(f(a));
    } else if constexpr (std::is_invocable_v<F, T, T>) {
      return static_cast<T>(f(a, b));
    } else {
      return static_cast<T>(f(a, b, c));
    }
  };
  return {
      std::move(name), std::move(formula), arity, of, of, of, std::move(whole)};
}

template <typename F>
Function one(const std::string& name, F f) {
  return make(name, name + "(a)", 1, f, nullptr);
}
template <typename F, typename W>
Function one(const std::string& name, F f, W whole) {
  return make(name, name + "(a)", 1, f, [whole](Whole a, Whole, Whole) {
    return Whole(whole(a));
  });
}
template <typename F>
Function two(const std::string& name, F f) {
  return make(name, name + "(a, b)", 2, f, nullptr);
}
template <typename F, typename W>
Function two(const std::string& name, F f, W whole) {
  return make(name, name + "(a, b)", 2, f, [whole](Whole a, Whole b, Whole) {
    return Whole(whole(a, b));
  });
}
template <typename F, typename W>
Function three(const std::string& name, F f, W whole) {
  return make(
      name, name + "(a, b, c)", 3, f, [whole](Whole a, Whole b, Whole c) {
        return Whole(whole(a, b, c));
      });
}
Function written(Function function, const std::string& formula) {
  function.formula = formula;
  return function;
}
template <typename F>
Function infix(const std::string& mark, F f) {
  return written(two(mark, f, f), "a " + mark + " b");
}
template <typename F>
Function truth(Function function, F /*same*/) {
  function.truth = true;
  return function;
}
template <typename F>
Function compares(const std::string& mark, F f) {
  return truth(infix(mark, f), f);
}
/// Of integers alone.
template <typename W>
Function bits(const std::string& mark, W whole) {
  Function function = infix(mark, [](auto a, auto) { return a; });
  function.whole = [whole](Whole a, Whole b, Whole) {
    return Whole(whole(a, b));
  };
  function.exact = nullptr;
  return function;
}

const auto same = [](auto a) { return a; };
const auto larger = [](auto a, auto b) { return a != a || a > b ? a : b; };
const auto smaller = [](auto a, auto b) { return a != a || a < b ? a : b; };
const auto clip = [](auto a, auto low, auto high) {
  return smaller(larger(a, low), high);
};
const auto choose = [](auto a, auto b, auto c) { return a != 0 ? b : c; };

template <typename T>
T softplus(T x) {
  return std::isnan(x) ? x
                       : larger(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}
template <typename T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}
template <typename T>
T logaddexp(T a, T b) {
  return a == b ? a + std::log(T(2))
                : larger(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}
template <typename T>
T modulo(T a, T b) {
  const T r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
Whole quotient(Whole a, Whole b) {
  return b == 0 ? 0 : a / b;
}
Whole modulo_of_wholes(Whole a, Whole b) {
  const Whole r = b == 0 ? 0 : a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
Whole power_of_wholes(Whole a, Whole b) {
  if (b < 0) {
    return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
  }
  uint64_t result = 1, base = static_cast<uint64_t>(a);
  for (auto e = static_cast<uint64_t>(b); e; e >>= 1, base *= base) {
    result = e & 1 ? result * base : result;
  }
  return static_cast<Whole>(result);
}
Whole shifted_left(Whole a, Whole b) {
  return b < 0 || b >= 64
      ? 0
      : static_cast<Whole>(static_cast<Bits>(a) << static_cast<int>(b));
}
Whole shifted_right(Whole a, Whole b) {
  return b < 0 || b >= 64 ? (a < 0 ? -1 : 0) : a >> static_cast<int>(b);
}
Whole magnitude(Whole a) {
  return a < 0 ? -a : a;
}
Whole sign_of(Whole a) {
  return (a > 0) - (a < 0);
}

std::vector<Function> maps_of_one() {
  return {
      written(
          one(
              "negative",
              [](auto a) { return -a; },
              [](Whole a) { return -a; }),
          "-a"),
      written(one("positive", same, same), "+a"),
      written(
          truth(
              one(
                  "not",
                  [](auto a) { return a == 0; },
                  [](Whole a) { return a == 0; }),
              0),
          "!a"),
      one(
          "abs", [](auto a) { return std::abs(a); }, magnitude),
      one(
          "fabs", [](auto a) { return std::abs(a); }, magnitude),
      one("real", same),
      one("stop_gradient", same, same),
      one("exp", [](auto a) { return std::exp(a); }),
      one("expm1", [](auto a) { return std::expm1(a); }),
      one("log", [](auto a) { return std::log(a); }),
      one("log1p", [](auto a) { return std::log1p(a); }),
      one("sqrt", [](auto a) { return std::sqrt(a); }),
      one("rsqrt", [](auto a) { return 1 / std::sqrt(a); }),
      one("sin", [](auto a) { return std::sin(a); }),
      one("cos", [](auto a) { return std::cos(a); }),
      one("tan", [](auto a) { return std::tan(a); }),
      one("tanh", [](auto a) { return std::tanh(a); }),
      one("sinh", [](auto a) { return std::sinh(a); }),
      one("cosh", [](auto a) { return std::cosh(a); }),
      one("sigmoid", [](auto a) { return sigmoid(a); }),
      one("erf", [](auto a) { return std::erf(a); }),
      one("exp2", [](auto a) { return std::exp2(a); }),
      one("exp10", [](auto a) { return std::pow(decltype(a)(10), a); }),
      one("log2", [](auto a) { return std::log2(a); }),
      one("log10", [](auto a) { return std::log10(a); }),
      one(
          "floor", [](auto a) { return std::floor(a); }, same),
      one(
          "ceil", [](auto a) { return std::ceil(a); }, same),
      one(
          "round", [](auto a) { return std::nearbyint(a); }, same),
      one(
          "rint", [](auto a) { return std::nearbyint(a); }, same),
      one(
          "trunc", [](auto a) { return std::trunc(a); }, same),
      written(
          one(
              "metal::round", [](auto a) { return std::round(a); }, same),
          "metal::round(a)"),
      one(
          "fract",
          [](auto a) { return a - std::floor(a); },
          [](Whole) { return 0; }),
      one(
          "sign",
          [](auto a) {
            return a > 0 ? decltype(a)(1) : a < 0 ? decltype(a)(-1) : a;
          },
          sign_of),
      one(
          "square",
          [](auto a) { return a * a; },
          [](Whole a) { return power_of_wholes(a, 2); }),
      one("reciprocal", [](auto a) { return 1 / a; }),
      one("saturate",
          [](auto a) { return clip(a, decltype(a)(0), decltype(a)(1)); }),
      truth(
          one(
              "isnan", [](auto a) { return a != a; }, [](Whole) { return 0; }),
          0),
      truth(
          one(
              "isinf",
              [](auto a) { return std::isinf(a); },
              [](Whole) { return 0; }),
          0),
      truth(
          one(
              "isfinite",
              [](auto a) { return std::isfinite(a); },
              [](Whole) { return 1; }),
          0),
      one(
          "relu",
          [](auto a) { return larger(a, decltype(a)(0)); },
          [](Whole a) { return a > 0 ? a : 0; }),
      one(
          "relu2",
          [](auto a) {
            return larger(a, decltype(a)(0)) * larger(a, decltype(a)(0));
          },
          [](Whole a) { return a > 0 ? power_of_wholes(a, 2) : 0; }),
      one("silu", [](auto a) { return a * sigmoid(a); }),
      one("gelu",
          [](auto a) {
            return decltype(a)(0.5) * a *
                (1 + std::erf(a * std::sqrt(decltype(a)(0.5))));
          }),
      one("gelu_tanh",
          [](auto a) {
            using T = decltype(a);
            return T(0.5) * a *
                (1 +
                 std::tanh(T(0.7978845608L) * (a + T(0.044715L) * a * a * a)));
          }),
      one("softplus", [](auto a) { return softplus(a); }),
      one("mish", [](auto a) { return a * std::tanh(softplus(a)); }),
      one("elu", [](auto a) { return a > 0 ? a : std::expm1(a); }),
  };
}

std::vector<Function> maps_of_more() {
  return {
      infix("+", [](auto a, auto b) { return a + b; }),
      infix("-", [](auto a, auto b) { return a - b; }),
      written(
          two(
              "*",
              [](auto a, auto b) { return a * b; },
              [](Whole a, Whole b) {
                return static_cast<Whole>(
                    static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
              }),
          "a * b"),
      written(
          two(
              "/", [](auto a, auto b) { return a / b; }, quotient),
          "a / b"),
      two(
          "divide", [](auto a, auto b) { return a / b; }, quotient),
      written(
          two(
              "%",
              [](auto a, auto b) { return modulo(a, b); },
              modulo_of_wholes),
          "a % b"),
      two(
          "fmod",
          [](auto a, auto b) { return std::fmod(a, b); },
          [](Whole a, Whole b) { return b == 0 ? 0 : a % b; }),
      two(
          "pow",
          [](auto a, auto b) { return std::pow(a, b); },
          power_of_wholes),
      two(
          "powr",
          [](auto a, auto b) { return std::pow(a, b); },
          power_of_wholes),
      two("max", larger, larger),
      two("fmax", larger, larger),
      two("maximum", larger, larger),
      two("min", smaller, smaller),
      two("fmin", smaller, smaller),
      two("minimum", smaller, smaller),
      two("step", [](auto a, auto b) { return b < a ? 0 : 1; }),
      two("logaddexp", [](auto a, auto b) { return logaddexp(a, b); }),
      two("elu",
          [](auto a, auto alpha) { return a > 0 ? a : alpha * std::expm1(a); }),
      compares("<", [](auto a, auto b) { return a < b; }),
      compares("<=", [](auto a, auto b) { return a <= b; }),
      compares(">", [](auto a, auto b) { return a > b; }),
      compares(">=", [](auto a, auto b) { return a >= b; }),
      compares("==", [](auto a, auto b) { return a == b; }),
      compares("!=", [](auto a, auto b) { return a != b; }),
      compares("&&", [](auto a, auto b) { return a != 0 && b != 0; }),
      compares("||", [](auto a, auto b) { return a != 0 || b != 0; }),
      bits("&", [](Whole a, Whole b) { return a & b; }),
      bits("|", [](Whole a, Whole b) { return a | b; }),
      bits("^", [](Whole a, Whole b) { return a ^ b; }),
      bits("<<", shifted_left),
      bits(">>", shifted_right),
      three("select", choose, choose),
      three("where", choose, choose),
      written(three("?:", choose, choose), "a ? b : c"),
      three("clip", clip, clip),
      three("clamp", clip, clip),
      make(
          "mix",
          "mix(a, b, c)",
          3,
          [](auto a, auto b, auto t) { return a + (b - a) * t; },
          nullptr),
  };
}

} // namespace

const std::vector<Function>& functions() {
  static const std::vector<Function> all = [] {
    auto list = maps_of_one();
    for (auto& function : maps_of_more()) {
      list.push_back(std::move(function));
    }
    return list;
  }();
  return all;
}

} // namespace zmlx::types
