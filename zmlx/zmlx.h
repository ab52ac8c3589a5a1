#pragma once

/// All of ZMLX's public headers, which are the headers that `cmake --install`
/// installs. This file is the one list of them: a header is public when it
/// stands here, and a public header includes no header of ours that does not.
///
/// The formulas of the catalogue are in their headers and are compiled with
/// what includes them, so a program that uses one family compiles faster with
/// that family's header than with this one.

// Errors, and what libzmlx exports.
#include "zmlx/base/errors.h"
#include "zmlx/base/fields.h"
#include "zmlx/base/statistics.h"
#include "zmlx/export.h"

// Formulas: expressions, their text and derivatives, and what a kernel is.
#include "zmlx/lang/derive.h"
#include "zmlx/lang/expr.h"
#include "zmlx/lang/formats.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/lang/parse.h"
#include "zmlx/lang/print.h"
#include "zmlx/lang/type.h"

// Kernels from formulas, and the catalogue.
#include "zmlx/kernels/activations.h"
#include "zmlx/kernels/attention.h"
#include "zmlx/kernels/bits.h"
#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/kernels/dropout.h"
#include "zmlx/kernels/fused.h"
#include "zmlx/kernels/gather.h"
#include "zmlx/kernels/image.h"
#include "zmlx/kernels/loss.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/optimizers.h"
#include "zmlx/kernels/product.h"
#include "zmlx/kernels/quant.h"
#include "zmlx/kernels/recurrent.h"
#include "zmlx/kernels/reductions.h"
#include "zmlx/kernels/rope.h"
#include "zmlx/kernels/rope_cache.h"
#include "zmlx/kernels/scans.h"
#include "zmlx/kernels/softmax.h"
#include "zmlx/kernels/transformer.h"
#include "zmlx/op/call.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/op.h"
#include "zmlx/op/primitive.h"
#include "zmlx/op/reduce.h"

// Models, their tokenizers, and text from them.
#include "zmlx/generate/detokenizer.h"
#include "zmlx/generate/sampler.h"
#include "zmlx/generate/session.h"
#include "zmlx/io/chat_template.h"
#include "zmlx/io/gguf.h"
#include "zmlx/io/load_options.h"
#include "zmlx/io/tokenizer.h"
#include "zmlx/models/load.h"
#include "zmlx/nn/cache.h"
#include "zmlx/nn/decoder.h"
#include "zmlx/nn/fast.h"
#include "zmlx/nn/logits.h"

// Patching a model, and the report of every site.
#include "zmlx/graph/presets.h"
#include "zmlx/patch/patch.h"
#include "zmlx/patch/report.h"

// Measuring: is it right, is it faithful, how fast is this machine.
#include "zmlx/lab/check.h"
#include "zmlx/lab/validate.h"
#include "zmlx/measure/device.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/measure/verdict.h"
