#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::backend {
class Executable;
}

namespace zmlx::op {

namespace mx = mlx::core;

struct Split;

/// What a node of ours computes, and what is known of it after the first use.
/// Safe from any thread.
class ZMLX_API Call {
 public:
  Call(std::string kernel, lang::Body body, lang::Attributes attributes);

  const lang::Body body;
  const std::string kernel; // name in the catalogue, or of the formula
  const lang::Attributes attributes;
  const std::string key; // lang::content_key(body)
  const std::shared_ptr<const Split> split; // op/split.h; null: there is none

  struct Results {
    std::vector<mx::Shape> shapes;
    std::vector<mx::Dtype> dtypes;
  };
  /// Shapes and types of the outputs. UserError, naming the kernel, where the
  /// inputs do not fit.
  std::shared_ptr<const Results> results(
      const std::vector<mx::array>& inputs) const;

  /// How this runs on a device for inputs of these types.
  struct Ready {
    std::shared_ptr<const backend::Executable> executable;
    std::string reason; // where there is none
  };
  std::shared_ptr<const Ready> ready(
      const std::vector<mx::array>& inputs,
      mx::Device device) const;

  /// The gradient of these inputs as a call, made when first asked for; null,
  /// with the reason in *why, where lang::derive has none.
  std::shared_ptr<const Call> gradient(
      const std::vector<int>& inputs,
      std::string* why) const;

 private:
  struct Derived {
    std::shared_ptr<const Call> call;
    std::string why;
  };
  /// Results for inputs of these shapes and types.
  struct Seen {
    std::vector<mx::Shape> shapes;
    std::vector<mx::Dtype> dtypes;
    std::shared_ptr<const Results> results;

    bool fits(const std::vector<mx::array>& inputs) const;
  };

  struct Known {
    mx::Device device;
    std::vector<mx::Dtype> dtypes; // of the inputs
    std::shared_ptr<const Ready> ready;
  };

  mutable std::mutex mutex_;
  mutable std::vector<Known> known_;
  mutable std::map<std::vector<int>, Derived> gradients_;
  mutable std::vector<Seen> seen_; // the last few
  mutable size_t next_ = 0; // of them, to be replaced
};

ZMLX_API std::shared_ptr<const Call> make_call(
    std::string kernel,
    lang::Body body,
    lang::Attributes attributes = {});

/// The inputs of a gradient (Call::gradient): those of the call, the cotangents
/// of its outputs, and the outputs where the gradient reads them too.
ZMLX_API std::vector<mx::array> gradient_inputs(
    const lang::Body& gradient,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents,
    const std::vector<mx::array>& outputs);

} // namespace zmlx::op
