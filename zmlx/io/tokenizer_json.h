#pragma once

#include "zmlx/io/config.h"
#include "zmlx/io/tokenizer_parts.h"

/// The parts of a tokenizer.json. Each function takes the object that describes
/// one part, adds to a spec, and refuses what is not understood.
namespace zmlx::io {

void read_normalizer(const Config& json, Normalizer& out);
void read_pretokenizer(const Config& json, PreTokenizer& out);
void read_decoder(const Config& json, TokenizerSpec& out);
void read_post_processor(const Config& json, TokenizerSpec& out);

/// A whole tokenizer.json; `json` is the parsed file.
TokenizerSpec read_tokenizer(const Config& json);

/// The elements of an array of objects, with errors that name the place;
/// UserError when it is missing or something else.
std::vector<Config> objects(const Config& json, const std::string& key);

/// UserError: "SOURCE: normalizer 'Nmt' is not understood; known are NFC, ...".
[[noreturn]] void
refuse_type(const Config& json, const char* part, const char* known);

} // namespace zmlx::io
