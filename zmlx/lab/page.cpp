#include "zmlx/lab/page.h"

#include <fmt/format.h>

#include "zmlx/lab/chart.h"

namespace zmlx::lab {

namespace {

constexpr char kStyle[] = R"(
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --ink: #0b0b0b; --soft: #52514e; --grid: #e4e3df;
  --base: #8a8984; --above: #2a78d6; --below: #eb6834; --hover: #f1f0ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #1a1a19; --ink: #ffffff; --soft: #c3c2b7; --grid: #34342f;
    --base: #8a8984; --above: #3987e5; --below: #d95926; --hover: #262624;
  }
}
body {
  background: var(--page); color: var(--ink); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; line-height: 1.5;
  font-family: system-ui, sans-serif;
}
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 0.25rem; }
p { color: var(--soft); margin: 0.25rem 0 1rem; }
svg { width: 100%; height: auto; font-size: 11.5px; }
svg text { fill: var(--soft); }
svg .label { text-anchor: end; fill: var(--ink); }
svg .group { text-anchor: end; font-weight: 600; fill: var(--ink); }
svg .value { font-variant-numeric: tabular-nums; }
svg .tick { text-anchor: middle; }
svg .grid { stroke: var(--grid); }
svg .base, svg .mark { stroke: var(--base); }
svg .above { fill: var(--above); } svg .below { fill: var(--below); }
svg .interval { stroke: var(--ink); stroke-width: 1.5; }
svg .hit { fill: none; pointer-events: all; }
svg .bar:hover .hit { fill: var(--hover); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--grid); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; }
td:first-child, th:first-child, td:last-child, th:last-child {
  text-align: left; }
code { font-size: 0.85em; overflow-wrap: anywhere; }
)";

} // namespace

std::string html_page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n{2}</body>\n</html>\n",
      xml_escaped(title),
      kStyle,
      body);
}

} // namespace zmlx::lab
