#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <mutex>
#include <source_location>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/op/primitive.h"

namespace zmlx::op {

namespace mx = mlx::core;

/// An operand of a kernel: an array, or a number, which becomes a 0-d array of
/// float32 or int32. A number is an argument at run time: another value makes
/// no other kernel.
class ZMLX_API Operand {
 public:
  Operand(mx::array a) : a_(std::move(a)) {} // NOLINT: numbers are operands
  template <std::floating_point T>
  Operand(T value) // NOLINT
      : a_(static_cast<float>(value)) {}
  template <std::integral T>
  Operand(T value) // NOLINT
      : a_(to_int32(static_cast<int64_t>(value))) {}

  const mx::array& array() const {
    return a_;
  }

 private:
  static int32_t to_int32(int64_t value); // UserError where it does not fit
  mx::array a_;
};

/// A body that is called like a function: an Op with its compile-time numbers
/// chosen, `rope.with({{"dims", 64}})`, or a formula (op/elementwise.h).
class ZMLX_API BoundOp {
 public:
  explicit BoundOp(std::shared_ptr<const Call> call) : call_(std::move(call)) {}

  /// The output of a kernel that has one. UserError as op::apply says.
  template <typename... Operands>
  mx::array operator()(Operands&&... operands) const {
    return one({Operand(std::forward<Operands>(operands))...});
  }
  /// All outputs.
  std::vector<mx::array> all(const std::vector<Operand>& operands) const;
  mx::array one(const std::vector<Operand>& operands) const;

  const std::shared_ptr<const Call>& call() const {
    return call_;
  }

 private:
  std::shared_ptr<const Call> call_;
};

/// A kernel of the catalogue that is called like a function:
///
///   ZMLX_API inline const Op swiglu2{"swiglu2", "silu(gate) * up", [](Define&
///   k) {
///     auto gate = k.input("gate"), up = k.input("up");
///     k.output(silu(gate) * up);
///     k.cases({{"rows 33x11008", {{33, 11008}, {33, 11008}}}});
///   }};
///   mx::array y = swiglu2(a, b);
///
/// Its construction enters it into the catalogue; InternalError where another
/// definition has the name. Marked ZMLX_API, so that the copies of one
/// definition that programs and libraries make of the header are one object.
/// Where a linker keeps a copy apart, the first stands in the catalogue.
class ZMLX_API Op : public lang::Kernel {
 public:
  /// What someone who knows MLX would write for the same result in MLX's own
  /// operations, all inputs given: what benchmarks compare with.
  using Composition = std::function<std::vector<mx::array>(
      const std::vector<mx::array>& inputs,
      const lang::Attributes& attributes)>;

  Op(std::string name,
     std::string summary,
     Definition define,
     Composition mlx = {},
     std::source_location where = std::source_location::current());
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  /// UserError for an attribute that the kernel does not have.
  BoundOp with(const lang::Attributes& attributes) const;

  template <typename... Operands>
  mx::array operator()(Operands&&... operands) const {
    return with({})(std::forward<Operands>(operands)...);
  }
  std::vector<mx::array> all(const std::vector<Operand>& operands) const {
    return with({}).all(operands);
  }

  /// The file that defines it, without folder and ending: "activations".
  const std::string& family() const {
    return family_;
  }
  /// Empty where nobody would write other than the formula itself.
  const Composition& mlx() const {
    return mlx_;
  }
  /// Whether both were made by the same lines of one header.
  bool same_definition(const Op& other) const;

 private:
  Composition mlx_;
  std::string family_;
  uint32_t line_; // of the definition
  mutable std::mutex mutex_;
  mutable std::map<lang::Attributes, std::shared_ptr<const Call>> calls_;
};

/// The kernels of this program, by name; each once.
ZMLX_API std::vector<const Op*> catalogue();
/// By its name or another name of it. UserError, with the nearest name, where
/// there is none.
ZMLX_API const Op& find_op(const std::string& name);

/// Enters another name of a kernel:
///
///   ZMLX_API inline const Op& rmsnorm_residual =
///       alias("rmsnorm_residual", add_rms_norm);
///
/// InternalError where another kernel has the name.
ZMLX_API const Op& alias(std::string name, const Op& kernel);
/// The other names of a kernel, sorted.
ZMLX_API std::vector<std::string> aliases_of(const Op& kernel);

} // namespace zmlx::op
