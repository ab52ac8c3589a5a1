#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/lang/kernel.h"

/// What `zmlx show` tells of a kernel.
namespace zmlx::cli {

/// The types of the inputs where the arrays have `type`: those of the fills,
/// and integers where the body can read nothing else.
std::vector<lang::Type> input_types(
    const lang::Body& body,
    const std::map<std::string, lang::Fill>& fills,
    lang::Type type);

struct Costs {
  int64_t operations = 0; // a place of the row
  int64_t bytes = 0; // read and written a place, where nothing is broadcast
};

/// A body and what follows from it, in the types that are shown.
struct Facts {
  std::vector<std::string> inputs; // "x float32"
  std::string formula;
  std::string program; // lowered; empty where it has no stage
  std::string cpu; // "runs", or why not
  Costs costs;
};

Facts facts_of(const lang::Body& body, const std::vector<lang::Type>& types);

/// The gradient of one input, or why there is none that is a kernel.
struct GradientFacts {
  std::string input;
  std::optional<Facts> facts;
  std::string why;
};

/// Of every input of a float type.
std::vector<GradientFacts> gradients_of(
    const lang::Body& body,
    std::vector<lang::Type> types);

} // namespace zmlx::cli
