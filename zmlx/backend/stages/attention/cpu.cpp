#include "zmlx/backend/stages/attention/cpu.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/stages/attention/cpu_attend.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::stages {

using lang::Type;

namespace {

// Chunks of a head: fine enough to divide among threads, few enough to join.
constexpr int64_t kMostChunks = 64;
constexpr int64_t kLeastChunk = 64; // keys

bool is_attention_type(Type type) {
  return type == Type::F32 || type == Type::F16 || type == Type::BF16;
}

float read(Type type, const std::byte* at) {
  if (type == Type::F32) {
    float value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return type == Type::F16 ? cpu::from_float16(bits) : cpu::from_bfloat16(bits);
}

void write(Type type, float value, std::byte* at) {
  if (type == Type::F32) {
    std::memcpy(at, &value, sizeof(value));
    return;
  }
  const uint16_t bits =
      type == Type::F16 ? cpu::to_float16(value) : cpu::to_bfloat16(value);
  std::memcpy(at, &bits, sizeof(bits));
}

/// A (B, heads, places, D) view; strides in bytes.
struct Heads {
  Type type;
  std::byte* data;
  int64_t batch, heads, places, dim;
  int64_t batch_stride, head_stride, place_stride, stride;

  explicit Heads(const View& view) {
    if (view.shape.size() != 4) {
      throw internal_error(
          "attention: expected 4 dimensions, got {}", view.shape.size());
    }
    const int64_t size = static_cast<int64_t>(lang::size_of(view.type));
    type = view.type;
    data = cpu::pointer(view.data);
    batch = view.shape[0];
    heads = view.shape[1];
    places = view.shape[2];
    dim = view.shape[3];
    batch_stride = view.strides[0] * size;
    head_stride = view.strides[1] * size;
    place_stride = view.strides[2] * size;
    stride = view.strides[3] * size;
  }

  std::byte* head(int64_t b, int64_t h) const {
    return data + b * batch_stride + h * head_stride;
  }
};

class AttentionLaunch : public cpu::Launch {
 public:
  AttentionLaunch(
      const lang::AttentionTerm& term,
      std::span<const View> inputs,
      const View& output);

  void run(int part, int parts) const noexcept override;

 private:
  /// One chunk of keys of one key head.
  void run_chunk(int64_t group, int64_t chunk, int64_t chunks, int64_t length)
      const;
  void join(int64_t group, int64_t chunks) const;
  void write_zeros() const;
  void store(int64_t group, int64_t h, const float* values) const;

  Heads q_, k_, v_, out_;
  const std::byte* length_;
  float scale_;
  int64_t group_heads_; // queries that read one key head
  // (B * H_kv, kMostChunks, group_heads, partial_size)
  std::unique_ptr<float[]> memory_;
  float* partials_;
  // Chunks done of each key head; whoever does the last one joins them.
  std::unique_ptr<std::atomic<int64_t>[]> done_;
};

AttentionLaunch::AttentionLaunch(
    const lang::AttentionTerm& term,
    std::span<const View> inputs,
    const View& output)
    : q_(inputs[term.q]),
      k_(inputs[term.k]),
      v_(inputs[term.v]),
      out_(output),
      length_(cpu::pointer<const std::byte>(inputs[term.length].data)),
      scale_(static_cast<float>(term.scale)) {
  const bool fits = q_.places == 1 && k_.batch == q_.batch &&
      k_.dim == q_.dim && v_.batch == k_.batch && v_.heads == k_.heads &&
      v_.places == k_.places && v_.dim == k_.dim && out_.batch == q_.batch &&
      out_.heads == q_.heads && out_.places == 1 && out_.dim == q_.dim &&
      k_.heads > 0 && q_.heads % k_.heads == 0;
  if (!fits) {
    throw internal_error("attention: shapes of q, k, v and output do not fit");
  }
  const int64_t size = static_cast<int64_t>(lang::size_of(k_.type));
  if (k_.dim > 1 && (k_.stride != size || v_.stride != size)) {
    throw internal_error("attention: k and v must have adjacent numbers");
  }
  group_heads_ = q_.heads / k_.heads;
  const size_t groups = static_cast<size_t>(k_.batch * k_.heads);
  const size_t floats = groups *
      static_cast<size_t>(kMostChunks * group_heads_ * partial_size(q_.dim));
  // Not touched here: short contexts never use most of it.
  memory_.reset(new float[floats + 16]);
  void* aligned = memory_.get();
  size_t space = (floats + 16) * sizeof(float);
  partials_ = static_cast<float*>(
      std::align(64, floats * sizeof(float), aligned, space));
  done_ = std::make_unique<std::atomic<int64_t>[]>(groups);
}

void AttentionLaunch::run(int part, int parts) const noexcept {
  int32_t given;
  std::memcpy(&given, length_, sizeof(given));
  const int64_t length = std::clamp<int64_t>(given, 0, k_.places);
  if (length == 0) {
    if (part == 0) {
      write_zeros();
    }
    return;
  }
  const int64_t share = (length + kMostChunks - 1) / kMostChunks;
  const int64_t chunk = std::max(
      kLeastChunk, (share + kLeastChunk - 1) / kLeastChunk * kLeastChunk);
  const int64_t chunks = (length + chunk - 1) / chunk;
  const int64_t items = k_.batch * k_.heads * chunks;
  for (int64_t item = items * part / parts; item < items * (part + 1) / parts;
       ++item) {
    run_chunk(item / chunks, item % chunks * chunk, chunk, length);
    const int64_t group = item / chunks;
    if (done_[group].fetch_add(1, std::memory_order_acq_rel) + 1 == chunks) {
      done_[group].store(0, std::memory_order_relaxed);
      join(group, chunks);
    }
  }
}

void AttentionLaunch::run_chunk(
    int64_t group,
    int64_t first,
    int64_t chunk,
    int64_t length) const {
  const int64_t b = group / k_.heads;
  const int64_t kv = group % k_.heads;
  const int64_t padded = padded_dim(q_.dim);
  float* queries = reinterpret_cast<float*>(
      thread_scratch(static_cast<size_t>(group_heads_ * padded) * 4));
  std::fill_n(queries, group_heads_ * padded, 0.f);
  for (int64_t h = 0; h < group_heads_; ++h) {
    const std::byte* q = q_.head(b, kv * group_heads_ + h);
    for (int64_t i = 0; i < q_.dim; ++i) {
      queries[h * padded + i] = scale_ * read(q_.type, q + i * q_.stride);
    }
  }
  const Keys keys{
      k_.type,
      k_.head(b, kv) + first * k_.place_stride,
      v_.head(b, kv) + first * v_.place_stride,
      k_.place_stride,
      v_.place_stride,
      std::min(chunk, length - first)};
  const int64_t at = group * kMostChunks + first / chunk;
  attend(
      keys,
      queries,
      group_heads_,
      q_.dim,
      partials_ + at * group_heads_ * partial_size(q_.dim));
}

void AttentionLaunch::join(int64_t group, int64_t chunks) const {
  const int64_t size = partial_size(q_.dim);
  float* joined =
      reinterpret_cast<float*>(thread_scratch(static_cast<size_t>(size) * 4));
  for (int64_t h = 0; h < group_heads_; ++h) {
    join_partials(
        partials_ + (group * kMostChunks * group_heads_ + h) * size,
        chunks,
        group_heads_ * size,
        q_.dim,
        joined);
    store(group, h, joined);
  }
}

void AttentionLaunch::write_zeros() const {
  const size_t bytes = static_cast<size_t>(q_.dim) * sizeof(float);
  float* zeros = reinterpret_cast<float*>(thread_scratch(bytes));
  std::memset(zeros, 0, bytes);
  for (int64_t group = 0; group < k_.batch * k_.heads; ++group) {
    for (int64_t h = 0; h < group_heads_; ++h) {
      store(group, h, zeros);
    }
  }
}

void AttentionLaunch::store(int64_t group, int64_t h, const float* values)
    const {
  std::byte* to =
      out_.head(group / k_.heads, group % k_.heads * group_heads_ + h);
  for (int64_t i = 0; i < out_.dim; ++i) {
    write(out_.type, values[i], to + i * out_.stride);
  }
}

class AttentionExecutable : public cpu::Executable {
 public:
  explicit AttentionExecutable(const lang::Program& program)
      : cpu::Executable(program) {}

  std::unique_ptr<cpu::Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    return std::make_unique<AttentionLaunch>(
        program().attention, inputs, outputs[0]);
  }
};

} // namespace

std::optional<std::string> attention_unsupported(const lang::Program& program) {
  const lang::AttentionTerm& term = program.attention;
  const auto type = [&](int input) { return program.inputs[input]; };
  for (const Type t : {type(term.q), type(term.k), program.outputs[0]}) {
    if (!is_attention_type(t)) {
      return fmt::format("attention in {}", lang::name_of(t));
    }
  }
  if (type(term.v) != type(term.k)) {
    return "attention with keys and values of different types";
  }
  if (type(term.length) != Type::I32) {
    return fmt::format("a length of type {}", lang::name_of(type(term.length)));
  }
  return std::nullopt;
}

std::shared_ptr<const cpu::Executable> make_attention(
    const lang::Program& program) {
  if (const auto reason = attention_unsupported(program)) {
    throw internal_error("attention: {}", *reason);
  }
  return std::make_shared<AttentionExecutable>(program);
}

} // namespace zmlx::backend::stages
