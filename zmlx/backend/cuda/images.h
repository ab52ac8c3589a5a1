#pragma once

#include <string>

namespace zmlx::backend::cuda {

/// The code of a text for an architecture: from the disk, where it has been
/// compiled before with this NVRTC, else compiled and written there
/// (private_cache_directory("cuda")). A file that is damaged, or was not
/// written by us for this text, is compiled again; where nothing can be written
/// the code is used all the same.
std::string image_of(
    const std::string& source,
    const std::string& architecture);

} // namespace zmlx::backend::cuda
