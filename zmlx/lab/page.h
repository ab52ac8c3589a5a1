#pragma once

#include <string>

namespace zmlx::lab {

/// A whole HTML page with the style of our reports: no network; light or dark
/// as the reader likes it. `body` is HTML, `title` text, which is its heading
/// too.
std::string html_page(const std::string& title, const std::string& body);

} // namespace zmlx::lab
