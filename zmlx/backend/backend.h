#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "zmlx/export.h"
#include "zmlx/lang/program.h"

namespace zmlx::backend {

/// An array as a back end sees it. Strides are in elements and may be 0
/// (broadcast) or negative. Where `at` is given, element 0 is found when the
/// launch runs: at data + *at * at_stride elements (the row of a table that the
/// token names, the place in a cache that the position names). The caller
/// answers for *at being in range. Maps and rows take such views for inputs and
/// outputs, products and attention do not.
struct View {
  void* data = nullptr;
  lang::Type type = lang::Type::F32;
  lang::Shape shape;
  lang::Strides strides;
  const int32_t* at = nullptr;
  int64_t at_stride = 0;
};

/// An index that an input gave and that lies outside the array it names.
struct Fault {
  int64_t index = 0;
  int64_t length = 0; // 0 .. length - 1 would have been right
  bool rows = false; // of the array, else places of its row
  bool output = false; // of this output, else of this input
  int number = 0;
};

/// A kernel bound to memory. What the views point to is read when it runs, so
/// one launch can be run any number of times on changing contents.
class Launch {
 public:
  virtual ~Launch() = default;
  /// Does share `part` of `parts` of the work. All shares must be run, in any
  /// order or at once; shares never wait for each other. Does not allocate.
  virtual void run(int part, int parts) const noexcept = 0;
  /// Asks the memory for constants (weights) that this share will read first:
  /// a hint to give while earlier launches are still finishing.
  virtual void prefetch(int /*part*/, int /*parts*/) const noexcept {}
  /// Goes over to other memory of the same layout, in the order of bind(), that
  /// overlaps no more than before. False, and nothing is changed, where that
  /// takes a new bind.
  virtual bool rebind(
      std::span<void* const> /*inputs*/,
      std::span<void* const> /*outputs*/) {
    return false;
  }
  /// Whether there is so little to do that one thread alone is done sooner.
  virtual bool is_small() const noexcept {
    return false;
  }
  /// What was wrong with the data of the runs so far, the first that was met.
  /// Read as 0 and written nowhere.
  virtual std::optional<Fault> fault() const {
    return {};
  }
};

/// A program ready to run on a device.
class Executable {
 public:
  virtual ~Executable() = default;
  /// Resolves loops, strides and temporary memory for these arrays, whose
  /// shapes fit the program (infer_shapes): outputs may be strided views, and
  /// may be inputs' memory only where element i of the output is made from
  /// element i of that input alone.
  virtual std::unique_ptr<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const = 0;
  /// Whether its launches may have a fault: an index depends on an input.
  virtual bool can_fault() const {
    return false;
  }
};

/// A peer. The class is invisible: cpu::make() and its like give it.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// Nothing when the program can run here, else the reason.
  virtual std::optional<std::string> unsupported(
      const lang::Program& program) const = 0;
  virtual std::shared_ptr<const Executable> compile(
      const lang::Program& program) const = 0;
  /// The code that arrays of these shapes are computed by, for people to read;
  /// one sentence with the reason where there is none to show.
  virtual std::string listing(
      const lang::Program& program,
      std::span<const lang::Shape> inputs,
      std::span<const lang::Shape> outputs) const = 0;
  /// Runs launches one after the other, each on all of the device.
  virtual void run(std::span<const std::unique_ptr<Launch>> launches) const = 0;
  /// Runs one launch, a small one in the calling thread.
  virtual void run(const Launch& launch) const = 0;
};

} // namespace zmlx::backend
