#include <algorithm>
#include <atomic>
#include <bit>

#include "zmlx/backend/cpu/buffers.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/cpu/sum_output.h"
#include "zmlx/backend/cpu/sums.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Shape;

constexpr int64_t kMostChunks = 16;
constexpr int64_t kLeastChunk = 4096; // places
constexpr int64_t kGrain = 64; // columns of a chunk are multiples
constexpr int64_t kTileBytes = 128 << 10; // sums of a chunk of columns: in L2
/// Rows that meet in float32 before they are added to float64: so few that
/// their error is far below that of storing the sum.
constexpr int64_t kRowsAtOnce = 16;
constexpr int64_t kKeptBytes = 32 << 20; // sums kept until all are there

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

Shape rows_of(const Shape& space) {
  return {space.begin(), space.end() - 1};
}

// Whether an output of this shape is broadcast along axis `axis` of the space.
bool broadcast_along(const Shape& shape, const Shape& space, size_t axis) {
  const size_t before = space.size() - shape.size();
  return space[axis] != 1 && (axis < before || shape[axis - before] == 1);
}

/// The places of the longest runs, last axes joined, along which each output is
/// either broadcast or not.
int64_t longest_run(const std::vector<Shape>& shapes, const Shape& space) {
  int64_t run = 1;
  std::vector<int> along(shapes.size(), -1);
  for (size_t axis = space.size(); axis-- > 0;) {
    for (size_t k = 0; k < shapes.size() && space[axis] != 1; ++k) {
      const int same = broadcast_along(shapes[k], space, axis);
      if (along[k] >= 0 && along[k] != same) {
        return run;
      }
      along[k] = same;
    }
    run *= space[axis];
  }
  return run;
}

struct Release {
  void operator()(uint64_t* memory) const {
    release(memory);
  }
};

struct Chunk {
  int64_t row, row_end;
  int64_t begin, end; // places of each row
};

/// An output that is summed, and how its elements lie in the space.
struct Sum {
  int output;
  bool real;
  bool along; // its elements change along the row
  SumOutput to;
  Access first; // the element of a row's first place, were they adjacent
  bool each_row;
  /// Rows of the space in groups whose elements are apart from each other's.
  int64_t group_rows, group_size;
  bool apart = false; // no element belongs to two chunks
  size_t kept =
      0; // where the sums of chunk 0 are kept, and of each further one
  int64_t window = 0;
  bool single = false; // of float32 values
  /// All rows of a chunk add to the same elements, first in float32.
  bool floats = false;
};

class PlaceSums : public Launch {
 public:
  PlaceSums(
      const lang::Program& program,
      const Binding& binding,
      bool places_apart)
      : passes_(program.row.passes, program.row.slots, binding),
        outputs_(binding.outputs.size()) {
    for (const auto& pass : program.row.passes) {
      for (const auto& store : pass.stores) {
        if (store.output >= 0 && binding.sums[store.output]) {
          add_sum(pass, store, binding);
        }
      }
    }
    cut(places_apart);
    keep();
  }

  void run(int part, int parts) const noexcept override {
    const auto chunks = static_cast<int64_t>(chunks_.size());
    const int64_t begin = chunks * part / parts;
    const int64_t end = chunks * (part + 1) / parts;
    for (int64_t c = begin; c < end; ++c) {
      run_chunk(static_cast<size_t>(c));
    }
    passes_.finish();
    if (begin < end &&
        done_.fetch_add(end - begin, std::memory_order_acq_rel) + end - begin ==
            chunks) {
      done_.store(0, std::memory_order_relaxed); // for the next run
      for (const Sum& sum : sums_) {
        if (!sum.apart) {
          sum.real ? join<double>(sum) : join<uint64_t>(sum);
        }
      }
    }
  }

  std::optional<Fault> fault() const override {
    return passes_.fault();
  }

 private:
  void add_sum(
      const lang::Pass& pass,
      const lang::Store& store,
      const Binding& binding);
  void cut(bool places_apart);
  void cut_columns();
  void keep();
  int64_t most_kept(int64_t chunks) const;
  int64_t first_element(const Sum& sum, const Chunk& chunk) const;
  int64_t elements(const Sum& sum, const Chunk& chunk) const;
  int64_t element(const Sum& sum, const Chunk& chunk, int64_t row) const;
  struct FloatRows;
  void run_chunk(size_t number) const noexcept;
  int64_t rows_alike(const Chunk& chunk, int64_t row) const;
  void add_floats(const Sum& sum, float* floats, uint64_t* sums) const noexcept;
  void store_chunk(const Sum& sum, const Chunk& chunk, const uint64_t* sums)
      const noexcept;
  template <typename T>
  void join(const Sum& sum) const noexcept;

  BoundPasses passes_;
  size_t outputs_;
  std::vector<Sum> sums_;
  std::vector<Chunk> chunks_;
  bool columns_ = false; // chunks are columns of all rows
  size_t scratch_ = 0; // sums of a chunk that are not kept
  std::unique_ptr<uint64_t, Release> kept_;
  mutable std::atomic<int64_t> done_ = 0; // chunks of this run
};

void PlaceSums::add_sum(
    const lang::Pass& pass,
    const lang::Store& store,
    const Binding& binding) {
  const View& view = binding.outputs[store.output];
  Shape space = store.one_per_row ? rows_of(binding.space) : binding.space;
  if (space.empty()) {
    space = {1};
  }
  const lang::Type type = pass.code[store.value].type;
  Access first(
      adjacent_view(this, view.type, view.shape), space, "vector program: sum");
  const bool along = !store.one_per_row && first.stride() != 0;
  SumOutput to(view, type);
  // Leading axes that the output has: rows apart there share no element.
  int64_t groups = 1;
  for (size_t axis = 0; axis < space.size() && passes_.rows() > 0; ++axis) {
    if (broadcast_along(view.shape, space, axis) ||
        groups * space[axis] > passes_.rows() || space[axis] == 0) {
      break;
    }
    groups *= space[axis];
  }
  sums_.push_back(
      {store.output,
       lang::is_float(type),
       along,
       to,
       std::move(first),
       store.one_per_row,
       std::max<int64_t>(passes_.rows() / groups, 1),
       to.size() / groups});
  sums_.back().single = register_type(type) == lang::Type::F32;
}

// Bytes of the sums kept when the rows are cut into so many chunks.
int64_t PlaceSums::most_kept(int64_t chunks) const {
  int64_t total = 0;
  for (const Sum& sum : sums_) {
    const int64_t groups = passes_.rows() / chunks / sum.group_rows + 2;
    total += chunks * std::min(groups * sum.group_size, sum.to.size()) * 8;
  }
  return total;
}

void PlaceSums::cut(bool places_apart) {
  const int64_t rows = passes_.rows(), width = passes_.width();
  int64_t chunks = std::min(kMostChunks, rows * width / kLeastChunk);
  chunks = std::max<int64_t>(chunks, 1);
  if (places_apart && chunks > 1 && width >= 2 * kGrain &&
      (rows < chunks || most_kept(chunks) > kKeptBytes)) {
    return cut_columns();
  }
  chunks = std::max<int64_t>(std::min(chunks, rows), 1);
  while (chunks > 1 && most_kept(chunks) > kKeptBytes) {
    chunks /= 2;
  }
  for (int64_t c = 0; c < chunks; ++c) {
    chunks_.push_back({rows * c / chunks, rows * (c + 1) / chunks, 0, width});
  }
  for (Sum& sum : sums_) {
    sum.apart =
        std::all_of(chunks_.begin(), chunks_.end(), [&](const Chunk& chunk) {
          return chunk.row % sum.group_rows == 0;
        });
  }
}

void PlaceSums::cut_columns() {
  columns_ = true;
  const int64_t width = passes_.width();
  int64_t columns = divide_up(width, kMostChunks);
  int64_t kept = 0; // by each chunk
  for (Sum& sum : sums_) {
    sum.apart = sum.along;
    if (sum.along) {
      columns = std::min(columns, kTileBytes * width / 8 / sum.to.size());
    } else {
      kept += sum.to.size() * 8;
    }
  }
  columns = std::max(columns, divide_up(width * kept, kKeptBytes));
  columns = divide_up(std::max(columns, kGrain), kGrain) * kGrain;
  for (int64_t at = 0; at < width; at += columns) {
    chunks_.push_back({0, passes_.rows(), at, std::min(at + columns, width)});
  }
}

void PlaceSums::keep() {
  size_t kept = 0;
  for (Sum& sum : sums_) {
    for (const Chunk& chunk : chunks_) {
      sum.window = std::max(sum.window, elements(sum, chunk));
    }
    if (sum.apart) {
      scratch_ += static_cast<size_t>(sum.window);
    } else {
      sum.kept = kept;
      kept += chunks_.size() * static_cast<size_t>(sum.window);
    }
  }
  std::vector<bool> floats(outputs_);
  for (Sum& sum : sums_) {
    const Chunk& first = chunks_.front();
    sum.floats = sum.single && sum.along &&
        sum.window <= first.end - first.begin &&
        first.row_end - first.row >= kRowsAtOnce;
    scratch_ += sum.floats ? static_cast<size_t>(divide_up(sum.window, 2)) : 0;
    floats[static_cast<size_t>(sum.output)] = sum.floats;
  }
  passes_.add_in_floats(floats);
  kept_.reset(static_cast<uint64_t*>(allocate(kept * sizeof(uint64_t))));
}

// The elements of the output to which a chunk adds: from this one, adjacent but
// for columns, of which each row of the output has some.
int64_t PlaceSums::first_element(const Sum& sum, const Chunk& chunk) const {
  return columns_ ? 0 : chunk.row / sum.group_rows * sum.group_size;
}

int64_t PlaceSums::elements(const Sum& sum, const Chunk& chunk) const {
  if (columns_) {
    const int64_t size = sum.to.size();
    return sum.along ? size / passes_.width() * (chunk.end - chunk.begin)
                     : size;
  }
  if (chunks_.size() == 1) {
    return sum.to.size();
  }
  const int64_t last = (chunk.row_end - 1) / sum.group_rows + 1;
  return last * sum.group_size - first_element(sum, chunk);
}

// Where the first place of a row adds to, among the elements of the chunk.
int64_t PlaceSums::element(const Sum& sum, const Chunk& chunk, int64_t row)
    const {
  const int64_t place = sum.each_row ? row : row * passes_.width();
  const int64_t element = sum.first.offset(place);
  if (columns_ && sum.along) {
    return element / passes_.width() * (chunk.end - chunk.begin);
  }
  return element - first_element(sum, chunk);
}

/// The float32 sums of a chunk, which its rows share.
struct PlaceSums::FloatRows {
  const PlaceSums& of;
  float* const* floats;
  uint64_t* const* sums;
  int64_t rows = 0; // so far

  void flush() const {
    for (size_t k = 0; k < of.sums_.size(); ++k) {
      if (of.sums_[k].floats) {
        of.add_floats(of.sums_[k], floats[k], sums[k]);
      }
    }
  }
  static void after_row(void* own) noexcept {
    auto& now = *static_cast<FloatRows*>(own);
    if (++now.rows % kRowsAtOnce == 0) {
      now.flush();
    }
  }
};

void PlaceSums::run_chunk(size_t number) const noexcept {
  const Chunk& chunk = chunks_[number];
  auto* scratch =
      reinterpret_cast<uint64_t*>(stages::thread_scratch(scratch_ * 8));
  uint64_t* sums[kMaxOutputs];
  float* floats[kMaxOutputs] = {};
  void* now[kMaxOutputs] = {};
  for (size_t k = 0; k < sums_.size(); ++k) {
    const Sum& sum = sums_[k];
    const auto window = static_cast<size_t>(sum.window);
    sums[k] = sum.apart ? scratch : kept_.get() + sum.kept + number * window;
    scratch += sum.apart ? window : 0;
    std::fill_n(sums[k], elements(sum, chunk), 0);
    if (sum.floats) {
      floats[k] = reinterpret_cast<float*>(scratch);
      scratch += divide_up(sum.window, 2);
      std::fill_n(floats[k], window, 0.0f);
    }
  }
  FloatRows rows{*this, floats, sums};
  for (int64_t row = chunk.row; row < chunk.row_end;) {
    const int64_t end = rows_alike(chunk, row);
    for (size_t k = 0; k < sums_.size(); ++k) {
      const Sum& sum = sums_[k];
      now[sum.output] = sum.floats ? static_cast<void*>(floats[k])
                                   : sums[k] + element(sum, chunk, row);
    }
    if (columns_) {
      passes_.run(row, chunk.begin, chunk.end, {.sums = now});
      FloatRows::after_row(&rows);
    } else {
      passes_.run_rows(row, end, {.sums = now}, {&FloatRows::after_row, &rows});
    }
    row = end;
  }
  rows.flush();
  for (size_t k = 0; k < sums_.size(); ++k) {
    if (sums_[k].apart) {
      store_chunk(sums_[k], chunk, sums[k]);
    }
  }
}

// The end of the rows from this one on that add to the same elements.
int64_t PlaceSums::rows_alike(const Chunk& chunk, int64_t row) const {
  int64_t end = row + 1;
  const auto alike = [&](const Sum& sum) {
    return sum.floats || element(sum, chunk, end) == element(sum, chunk, row);
  };
  while (!columns_ && end < chunk.row_end &&
         std::all_of(sums_.begin(), sums_.end(), alike)) {
    ++end;
  }
  return end;
}

// What some rows gave, which then begin anew.
void PlaceSums::add_floats(const Sum& sum, float* floats, uint64_t* sums)
    const noexcept {
  const auto n = static_cast<size_t>(sum.window);
  find_accumulate(lang::Type::F32)(sums, floats, ~size_t{0}, n);
  std::fill_n(floats, n, 0.0f);
}

void PlaceSums::store_chunk(
    const Sum& sum,
    const Chunk& chunk,
    const uint64_t* sums) const noexcept {
  if (!columns_) {
    sum.to.store(first_element(sum, chunk), elements(sum, chunk), sums);
    return;
  }
  const int64_t columns = chunk.end - chunk.begin;
  for (int64_t at = chunk.begin; at < sum.to.size(); at += passes_.width()) {
    sum.to.store(at, columns, sums);
    sums += columns;
  }
}

// Adds what the chunks have for the same elements, in the order of the chunks.
template <typename T>
void PlaceSums::join(const Sum& sum) const noexcept {
  constexpr int64_t kAtOnce = 256;
  for (int64_t at = 0; at < sum.to.size(); at += kAtOnce) {
    const int64_t end = std::min(at + kAtOnce, sum.to.size());
    T total[kAtOnce] = {};
    for (size_t c = 0; c < chunks_.size(); ++c) {
      const int64_t first = first_element(sum, chunks_[c]);
      const uint64_t* sums =
          kept_.get() + sum.kept + c * static_cast<size_t>(sum.window);
      const int64_t from = std::max(at, first);
      const int64_t to = std::min(end, first + elements(sum, chunks_[c]));
      for (int64_t i = from; i < to; ++i) {
        total[i - at] += std::bit_cast<T>(sums[i - first]);
      }
    }
    sum.to.store(at, end - at, total);
  }
}

} // namespace

std::unique_ptr<Launch> make_place_sums(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const Shape& space,
    const std::vector<bool>& sums) {
  Binding binding{inputs, outputs, program.roles, space};
  if (binding.space.empty()) {
    binding.space = {1};
  }
  binding.sums = sums;
  const bool apart = places_apart(program);
  const bool asks_for_row = std::ranges::count(
                                program.roles, lang::Role::EachRow) > 0 ||
      std::ranges::any_of(program.row.passes[0].code,
                          [](const auto& i) { return lang::along_row(i.op); });
  if (apart && !asks_for_row && lang::count(binding.space) > 0) {
    std::vector<Shape> shapes;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (sums[i]) {
        shapes.push_back(outputs[i].shape);
      }
    }
    binding.walk = Walk::Flat;
    binding.run = longest_run(shapes, binding.space);
  }
  return std::make_unique<PlaceSums>(program, binding, apart);
}

} // namespace zmlx::backend::cpu
