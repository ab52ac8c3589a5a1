// tokenizer_dump MODEL [--special]: reads JSON strings, one per line, and
// writes
// {"ids": [...], "text": decode(ids)} a line. --special adds what the model
// puts around a text. tools/tokenizer_oracle.py compares.
#include <cstring>
#include <exception>
#include <iostream>

#include <nlohmann/json.hpp>

#include "zmlx/io/tokenizer.h"

int main(int argc, char** argv) try {
  bool special = argc == 3 && std::strcmp(argv[2], "--special") == 0;
  if (argc != 2 && !special) {
    std::cerr << "usage: tokenizer_dump MODEL [--special] < lines\n";
    return 2;
  }
  auto tokenizer = zmlx::io::Tokenizer::load(argv[1]);
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    auto text = nlohmann::json::parse(line).get<std::string>();
    auto ids = tokenizer.encode(text, special);
    auto back = tokenizer.decode(ids, /* skip_special */ false);
    std::cout << nlohmann::json{{"ids", ids}, {"text", back}} << '\n';
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "tokenizer_dump: " << error.what() << '\n';
  return 2;
}
