#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace zmlx::cli {

/// Where a subcommand of `bench` leaves what is to be run.
using Chosen = std::shared_ptr<std::function<int()>>;

/// `zmlx bench model`.
void add_bench_model(CLI::App& bench, const Chosen& chosen);

/// Now, in ISO 8601.
std::string date_now();

} // namespace zmlx::cli
