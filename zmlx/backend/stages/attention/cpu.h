#pragma once

#include <memory>
#include <optional>
#include <string>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/export.h"

namespace zmlx::backend::stages {

/// Why Stage::Attention of this program cannot run on the CPU, if it cannot: q
/// and the output are f32, f16 or bf16; k and v are of one of these types; the
/// length is an int32.
ZMLX_API std::optional<std::string> attention_unsupported(
    const lang::Program& program);

/// Stage::Attention on the CPU: softmax(scale q k^T) v of one query a head,
/// over the first `length` keys, in float32. q (B, H, 1, D), k and v
/// (B, H_kv, capacity, D), length 0-d, output (B, H, 1, D); query head h reads
/// key head h / (H / H_kv). Any strides, but the numbers of a head of k and of
/// v are adjacent. The length is read when it runs and taken as if within
/// 0 .. capacity; of length 0 comes 0.
///
/// Keys are divided into chunks that depend on the length alone, and partial
/// results are joined in their order: the bits of an output do not depend on
/// the number of parts.
ZMLX_API std::shared_ptr<const cpu::Executable> make_attention(
    const lang::Program& program);

} // namespace zmlx::backend::stages
