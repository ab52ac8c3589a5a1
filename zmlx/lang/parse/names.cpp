#include "zmlx/lang/parse/names.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <utility>

#include "zmlx/lang/functions.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang {
namespace parse_detail {
namespace {

using Build = Expr (*)(const Args&);

/// make() of each operation.
template <size_t... I>
constexpr auto make_each(std::index_sequence<I...> /*all*/) {
  return std::array<Build, sizeof...(I)>{
      [](const Args& a) { return make(static_cast<Op>(I), a); }...};
}

constexpr auto kMake = make_each(std::make_index_sequence<kOperations>());

/// The operations that are functions of values.
const std::vector<Function>& operations() {
  static const std::vector<Function> all = [] {
    std::vector<Function> found;
    for (size_t i = 0; i < kMake.size(); ++i) {
      const Operation& facts = operation(static_cast<Op>(i));
      if (facts.written == Written::Call) {
        found.push_back({facts.name, facts.arity, facts.arity, kMake[i]});
      }
    }
    return found;
  }();
  return all;
}

const std::vector<std::string_view>& special_names() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> found;
    for (size_t i = 0; i < kMake.size(); ++i) {
      const Operation& facts = operation(static_cast<Op>(i));
      if (facts.written == Written::SpecialCall) {
        found.push_back(facts.name);
      }
    }
    return found;
  }();
  return all;
}

constexpr Function one(std::string_view name, Build build) {
  return {name, 1, 1, build};
}

// clang-format off
constexpr Function kFunctions[] = {
    // Other names of operations.
    one("fabs", [](const Args& a) { return abs(a[0]); }),
    one("rint", [](const Args& a) { return round(a[0]); }),
    {"powr", 2, 2, [](const Args& a) { return pow(a[0], a[1]); }},
    {"divide", 2, 2, [](const Args& a) { return a[0] / a[1]; }},
    {"fmax", 2, 2, [](const Args& a) { return max(a[0], a[1]); }},
    {"maximum", 2, 2, [](const Args& a) { return max(a[0], a[1]); }},
    {"fmin", 2, 2, [](const Args& a) { return min(a[0], a[1]); }},
    {"minimum", 2, 2, [](const Args& a) { return min(a[0], a[1]); }},
    {"where", 3, 3, [](const Args& a) { return select(a[0], a[1], a[2]); }},
    // Composites.
    one("mean", [](const Args& a) { return mean(a[0]); }),
    one("var", [](const Args& a) { return var(a[0]); }),
    one("softmax", [](const Args& a) { return softmax(a[0]); }),
    one("log_softmax", [](const Args& a) { return log_softmax(a[0]); }),
    one("logsumexp", [](const Args& a) { return logsumexp(a[0]); }),
    {"rms_norm", 2, 3, [](const Args& a) {
       return a.size() == 2 ? rms_norm(a[0], a[1]) : rms_norm(a[0], a[1], a[2]);
     }},
    {"layer_norm", 4, 4, [](const Args& a) {
       return layer_norm(a[0], a[1], a[2], a[3]);
     }},
    one("square", [](const Args& a) { return square(a[0]); }),
    one("reciprocal", [](const Args& a) { return reciprocal(a[0]); }),
    one("trunc", [](const Args& a) { return trunc(a[0]); }),
    one("sign", [](const Args& a) { return sign(a[0]); }),
    one("isnan", [](const Args& a) { return is_nan(a[0]); }),
    one("isinf", [](const Args& a) { return is_inf(a[0]); }),
    one("isfinite", [](const Args& a) { return is_finite(a[0]); }),
    one("uniform", [](const Args& a) { return uniform(a[0]); }),
    one("fract", [](const Args& a) { return a[0] - floor(a[0]); }),
    one("saturate", [](const Args& a) { return clip(a[0], 0.0, 1.0); }),
    one("sinh", [](const Args& a) { return sinh(a[0]); }),
    one("cosh", [](const Args& a) { return cosh(a[0]); }),
    {"fmod", 2, 2, [](const Args& a) { return fmod(a[0], a[1]); }},
    {"mix", 3, 3, [](const Args& a) {
       const Expr low = real(beside(a[0], a[2]));
       return low + (a[1] - low) * a[2];
     }},
    {"step", 2, 2, [](const Args& a) { return select(a[1] < a[0], 0.0, 1.0); }},
    one("tan", [](const Args& a) { return tan(a[0]); }),
    one("exp10", [](const Args& a) { return pow(10.0, a[0]); }),
    one("exp2", [](const Args& a) { return exp2(a[0]); }),
    one("log2", [](const Args& a) { return log2(a[0]); }),
    one("log10", [](const Args& a) { return log10(a[0]); }),
    {"logaddexp", 2, 2, [](const Args& a) { return logaddexp(a[0], a[1]); }},
    {"clip", 3, 3, [](const Args& a) { return clip(a[0], a[1], a[2]); }},
    {"clamp", 3, 3, [](const Args& a) { return clip(a[0], a[1], a[2]); }},
    {"fma", 3, 3, [](const Args& a) { return a[0] * a[1] + a[2]; }},
    one("relu", [](const Args& a) { return relu(a[0]); }),
    one("relu2", [](const Args& a) { return relu2(a[0]); }),
    one("silu", [](const Args& a) { return silu(a[0]); }),
    one("gelu", [](const Args& a) { return gelu(a[0]); }),
    one("gelu_tanh", [](const Args& a) { return gelu_tanh(a[0]); }),
    one("softplus", [](const Args& a) { return softplus(a[0]); }),
    one("mish", [](const Args& a) { return mish(a[0]); }),
    {"elu", 1, 2, [](const Args& a) {
       return elu(a[0], a.size() == 2 ? a[1] : Expr(1.0));
     }},
};

constexpr Function kMetalFunctions[] = {
    {"select", 3, 3, [](const Args& a) { return select(a[2], a[1], a[0]); }},
    one("round", [](const Args& a) { return round_half_away(a[0]); }),
};

constexpr std::pair<std::string_view, Type> kTypes[] = {
    {"bool", Type::Bool}, {"uchar", Type::U8}, {"uint8", Type::U8},
    {"uint8_t", Type::U8}, {"char", Type::I8}, {"int8", Type::I8},
    {"int8_t", Type::I8}, {"ushort", Type::U16}, {"uint16", Type::U16},
    {"uint16_t", Type::U16}, {"short", Type::I16}, {"int16", Type::I16},
    {"int16_t", Type::I16}, {"uint", Type::U32}, {"uint32", Type::U32},
    {"uint32_t", Type::U32}, {"int", Type::I32}, {"int32", Type::I32},
    {"int32_t", Type::I32}, {"ulong", Type::U64}, {"uint64", Type::U64},
    {"uint64_t", Type::U64}, {"long", Type::I64}, {"int64", Type::I64},
    {"int64_t", Type::I64}, {"half", Type::F16}, {"float16", Type::F16},
    {"float16_t", Type::F16}, {"bfloat", Type::BF16},
    {"bfloat16", Type::BF16}, {"bfloat16_t", Type::BF16},
    {"float", Type::F32}, {"float32", Type::F32}, {"double", Type::F64},
    {"float64", Type::F64},
};
// clang-format on

constexpr std::pair<std::string_view, double> kConstants[] = {
    {"inf", std::numeric_limits<double>::infinity()},
    {"INFINITY", std::numeric_limits<double>::infinity()},
    {"nan", std::numeric_limits<double>::quiet_NaN()},
    {"NAN", std::numeric_limits<double>::quiet_NaN()},
    {"HUGE_VALF", std::numeric_limits<double>::infinity()},
    {"FLT_MAX", std::numeric_limits<float>::max()},
    {"MAXFLOAT", std::numeric_limits<float>::max()},
    {"FLT_MIN", std::numeric_limits<float>::min()},
    {"FLT_EPSILON", std::numeric_limits<float>::epsilon()},
    {"pi", std::numbers::pi},
    {"M_PI_F", std::numbers::pi},
    {"M_E_F", std::numbers::e},
    {"M_LN2_F", std::numbers::ln2},
    {"M_SQRT2_F", std::numbers::sqrt2},
    {"M_SQRT1_2_F", std::numbers::sqrt2 / 2},
    {"M_2_SQRTPI_F", 2 * std::numbers::inv_sqrtpi},
};

} // namespace

std::string_view function_name(std::string_view written) {
  return written.starts_with("kk_") ? written.substr(3) : written;
}

const Function* find_function(std::string_view name, bool metal) {
  const auto find = [&](std::span<const Function> functions) {
    auto found =
        std::find_if(functions.begin(), functions.end(), [&](const auto& f) {
          return f.name == name;
        });
    return found == functions.end() ? nullptr : &*found;
  };
  for (const Function* found :
       {metal ? find(kMetalFunctions) : nullptr,
        find(kFunctions),
        find(operations())}) {
    if (found != nullptr) {
      return found;
    }
  }
  return nullptr;
}

bool is_special(std::string_view name) {
  const auto& names = special_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_function(std::string_view written) {
  const std::string_view name = function_name(written);
  return is_special(name) || find_function(name) != nullptr;
}

std::optional<Type> find_type(std::string_view name) {
  for (auto [known, type] : kTypes) {
    if (known == name) {
      return type;
    }
  }
  return {};
}

Expr converted(Type type, const Expr& x) {
  switch (type) {
    case Type::Bool:
      return x != 0;
    case Type::F32:
    case Type::F64:
    case Type::U32:
    case Type::I32:
    case Type::U64:
    case Type::I64:
      return cast(type, x);
    default:
      return as(type, cast(type, x));
  }
}

std::optional<double> find_constant(std::string_view name) {
  for (auto [known, value] : kConstants) {
    if (known == name) {
      return value;
    }
  }
  return {};
}

bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 6> kWords = {
      "T", "let", "auto", "const", "true", "false"};
  bool constant = find_constant(name) && name != "pi";
  return constant || find_type(name) ||
      std::find(kWords.begin(), kWords.end(), name) != kWords.end();
}

} // namespace parse_detail

std::vector<std::string> formula_functions() {
  const auto& special = parse_detail::special_names();
  std::vector<std::string> names(special.begin(), special.end());
  for (const auto& function : parse_detail::kFunctions) {
    names.emplace_back(function.name);
  }
  for (const auto& function : parse_detail::operations()) {
    names.emplace_back(function.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace zmlx::lang
