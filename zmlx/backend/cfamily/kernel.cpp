#include "zmlx/backend/cfamily/kernel.h"

#include <algorithm>

#include "zmlx/backend/cfamily/operations.h"
#include "zmlx/backend/cfamily/pass.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend::cfamily {
namespace {

std::string comment(const std::string& text) {
  std::string result;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    result += "// " + text.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return result;
}

bool stores_halves(const lang::Program& program) {
  return std::ranges::all_of(program.outputs, [](lang::Type type) {
    return type == lang::Type::F16 || type == lang::Type::BF16;
  });
}

/// The text of a kernel around its body.
KernelText finish(
    const Text& text,
    const Signature& signature,
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads,
    const std::string& how) {
  const Dialect& d = text.dialect();
  KernelText kernel;
  kernel.name = "zmlx_kernel";
  kernel.parameters = signature.parameters();
  kernel.source = comment(how) + "//\n" + comment(lang::to_text(program)) +
      fmt::format("\ntypedef {} index_t;\n", layout.wide ? "long" : "int") +
      std::string(d.prelude) + "\n" + text.functions() +
      fmt::format("{} {} {}({}) {{\n",
                  d.kernel,
                  fmt::format(fmt::runtime(d.threads_attribute), threads.block),
                  kernel.name,
                  signature.text(d)) +
      text.body() + "}\n";
  return kernel;
}

class RowWriter {
 public:
  RowWriter(
      const lang::Program& program,
      const Layout& layout,
      const Threads& threads,
      const Dialect& dialect)
      : program_(program),
        layout_(layout),
        threads_(threads),
        text_(dialect, stores_halves(program)),
        signature_(program, layout),
        passes_(text_, signature_, program, layout, threads) {}

  KernelText write() {
    signature_.rows();
    signature_.width();
    find_team();
    passes_.open_arrays();
    switch (layout_.sums) {
      case Sums::Groups:
        write_groups();
        break;
      case Sums::Named:
        write_named();
        break;
      default:
        write_row();
    }
    auto kernel = finish(
        text_,
        signature_,
        program_,
        layout_,
        threads_,
        fmt::format(
            "Rows: {} threads a row of {} a block, {} places at once, {} {}.",
            threads_.team,
            threads_.block,
            layout_.places,
            threads_.steps,
            threads_.kept ? "times, kept for all passes" : "times ahead"));
    kernel.work_of_block = threads_.block / threads_.team;
    return kernel;
  }

 private:
  bool one_a_block() const {
    return threads_.team == threads_.block;
  }

  std::vector<std::pair<int, lang::Type>> slots() const {
    std::vector<std::pair<int, lang::Type>> all;
    for (const auto& pass : program_.row.passes) {
      for (const auto& r : pass.reductions) {
        const bool place = r.op == lang::Op::ArgMax || r.op == lang::Op::ArgMin;
        all.emplace_back(
            r.slot, place ? lang::Type::U32 : pass.code[r.value].type);
      }
    }
    return all;
  }

  void find_team() {
    const Dialect& d = text_.dialect();
    if (one_a_block()) {
      text_.line("const int lane = int({});", d.thread);
      text_.line("const index_t team = index_t({});", d.block);
      return;
    }
    text_.line("const int lane = int({}) % {};", d.thread, threads_.team);
    text_.line(
        "const index_t team = index_t({}) * {} + index_t({}) / {};",
        d.block,
        threads_.block / threads_.team,
        d.thread,
        threads_.team);
  }

  // Threads of a team without a row go along, since the others of their warp
  // wait for them: with a row that has no places.
  void write_row() {
    text_.line("const bool active = team < rows;");
    text_.line("const index_t row = active ? team : 0;");
    write_passes();
  }

  // All teams take the same number of turns, for the same reason.
  void write_groups() {
    const auto groups = signature_.name({Parameter::Groups});
    const auto stripes = signature_.name({Parameter::Stripes});
    text_.line("const index_t group = team / {};", stripes);
    text_.line("const index_t stripe = team - group * {};", stripes);
    text_.line("const bool exists = group < {};", groups);
    passes_.declare_sums(threads_.kept);
    text_.line("bool first_row = true;");
    text_.open(
        "for (index_t turn = 0; turn < {}; ++turn)",
        signature_.name({Parameter::Turns}));
    text_.line("const index_t member = turn * {} + stripe;", stripes);
    text_.line(
        "const bool active = exists && member < {};",
        signature_.name({Parameter::Members}));
    text_.line("const index_t group_of_row = active ? group : 0;");
    text_.line("const index_t member_of_row = active ? member : 0;");
    write_passes();
    text_.line("first_row = first_row && !active;");
    wait_for_block();
    text_.close();
    passes_.write_sums(threads_.kept);
  }

  // Rows in their order; their names are looked through 32 at a time.
  void write_named() {
    text_.line("const index_t group = team;");
    text_.line("const index_t stripe = 0;");
    text_.line(
        "const bool exists = group < {};",
        signature_.name({Parameter::Groups}));
    passes_.declare_sums(threads_.kept);
    text_.line("bool first_row = true;");
    text_.open("for (index_t base = 0; base < rows; base += 32)");
    text_.line(
        "uint bits = {}({}, base, rows, group);",
        text_.use("named_rows"),
        signature_.name({Parameter::Names}));
    text_.open("while (bits != 0)");
    text_.line("const index_t row = base + {}(bits);", text_.use("first_bit"));
    text_.line("const bool active = exists;");
    text_.line("bits &= bits - 1;");
    write_passes();
    text_.line("first_row = false;");
    wait_for_block();
    text_.close();
    text_.close();
    passes_.write_sums(threads_.kept);
  }

  // Before memory that the block shares is written again.
  void wait_for_block() {
    if (threads_.team > 32) {
      text_.line("{};", text_.dialect().barrier);
    }
  }

  void write_passes() {
    text_.line("const index_t end = active ? width : 0;");
    passes_.open_row();
    for (const auto& [slot, type] : slots()) {
      text_.line("{} slot{};", value_name(text_.dialect(), type), slot);
    }
    for (const auto& pass : program_.row.passes) {
      write_pass(pass);
    }
  }

  void write_pass(const lang::Pass& pass) {
    passes_.begin(pass);
    const bool kept = threads_.kept && passes_.visits_places();
    if (kept && passes_.has_new_vectors()) {
      passes_.declare_vectors(threads_.steps);
    }
    text_.open();
    passes_.uniform_values();
    passes_.declare_totals();
    if (passes_.visits_places()) {
      visit_places(kept);
    }
    passes_.finish_totals();
    passes_.store_uniform("active && lane == 0");
    text_.close();
    if (kept) {
      passes_.keep_vectors();
    }
  }

  void visit_places(bool kept) {
    const int at_once = threads_.team * layout_.places;
    if (!kept) {
      text_.open(
          "for (index_t first = 0; first < end; first += {})",
          threads_.steps * at_once);
      passes_.declare_vectors(threads_.steps);
    }
    if (passes_.has_new_vectors()) {
      open_step(kept);
      text_.open(
          "if (place < end{})",
          passes_.scans_backwards() ? " && place >= 0" : "");
      passes_.read_vectors("step");
      text_.close();
      text_.close();
    }
    open_step(kept);
    if (!passes_.scans()) {
      text_.open("if (place < end)");
    }
    passes_.values("step");
    if (!passes_.scans()) {
      text_.close();
    }
    text_.close();
    if (!kept) {
      text_.close();
    }
  }

  void open_step(bool kept) {
    text_.unroll();
    text_.open("for (int step = 0; step < {}; ++step)", threads_.steps);
    const auto place = fmt::format(
        "{}(step * {} + lane) * {}",
        kept ? "" : "first + ",
        threads_.team,
        layout_.places);
    if (passes_.scans_backwards()) {
      text_.line(
          "const index_t place = width - {} - ({});", layout_.places, place);
    } else {
      text_.line("const index_t place = {};", place);
    }
  }

  const lang::Program& program_;
  const Layout& layout_;
  const Threads& threads_;
  Text text_;
  Signature signature_;
  PassWriter passes_;
};

} // namespace

std::optional<std::string> unsupported(const lang::Program& program) {
  for (const auto& types : {program.inputs, program.outputs}) {
    if (std::ranges::count(types, lang::Type::F64) > 0) {
      return "float64";
    }
  }
  for (const auto& pass : program.row.passes) {
    for (const auto& i : pass.code) {
      if (auto why = operation_unsupported(i)) {
        return why;
      }
    }
    for (const auto& r : pass.reductions) {
      const auto type = pass.code[r.value].type;
      if ((r.op == lang::Op::ArgMax || r.op == lang::Op::ArgMin) &&
          lang::size_of(type) > 4) {
        return "the place of the largest of 64-bit integers";
      }
    }
  }
  return std::nullopt;
}

KernelText row_text(
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads,
    const Dialect& dialect) {
  return RowWriter(program, layout, threads, dialect).write();
}

KernelText map_text(
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads,
    const Dialect& dialect) {
  Text text(dialect, stores_halves(program));
  Signature signature(program, layout);
  PassWriter passes(text, signature, program, layout, threads);
  signature.width();
  const bool axes = layout.axes > 0;
  if (axes) {
    signature.rows();
  }
  const int at_once = threads.block * layout.places;
  const auto open_step = [&] {
    text.unroll();
    text.open("for (int step = 0; step < {}; ++step)", threads.steps);
    text.line(
        "const index_t {} = first + step * {};",
        axes ? "number" : "place",
        at_once);
    text.open("if ({})", axes ? "number < rows * width" : "place < width");
  };
  const auto close_step = [&] {
    text.close();
    text.close();
  };
  passes.begin(program.row.passes[0]);
  passes.open_arrays();
  text.line(
      "const index_t first = index_t({}) * {} + index_t({}) * {};",
      dialect.block,
      threads.steps * at_once,
      dialect.thread,
      layout.places);
  if (axes) {
    open_step();
    text.line("const index_t row = number / width;");
    text.line("const index_t place = number - row * width;");
    passes.open_row();
    passes.uniform_values();
    passes.declare_vectors(0);
    passes.read_vectors("");
    passes.values("");
    close_step();
  } else {
    text.line("const index_t row = 0;");
    passes.open_row();
    passes.uniform_values();
    passes.declare_vectors(threads.steps);
    open_step();
    passes.read_vectors("step");
    close_step();
    open_step();
    passes.values("step");
    close_step();
  }
  auto kernel = finish(
      text,
      signature,
      program,
      layout,
      threads,
      fmt::format(
          "Map: {} threads a block, {} places at once, {} times ahead.",
          threads.block,
          layout.places,
          threads.steps));
  kernel.work_of_block = threads.steps * at_once;
  return kernel;
}

KernelText finish_text(
    const lang::Program& program,
    int output,
    bool wide,
    const Threads& threads,
    const Dialect& dialect) {
  const lang::Type type = sum_type(program, output);
  Layout layout;
  layout.wide = wide;
  Text text(dialect);
  Signature signature(program, layout);
  const auto parts = signature.name({Parameter::Parts, true, output});
  const auto stripes = signature.name({Parameter::Stripes});
  const auto count = signature.name({Parameter::Count, true, output});
  text.line(
      "const index_t at = index_t({}) * {} + index_t({});",
      dialect.block,
      threads.block,
      dialect.thread);
  text.open("if (at < {})", count);
  text.line("{} sum = {};", value_name(dialect, type), literal(type, 0));
  text.open("for (index_t stripe = 0; stripe < {}; ++stripe)", stripes);
  text.line(
      "sum = {}()(sum, {}[stripe * long({}) + at]);",
      text.use("Sum"),
      parts,
      count);
  text.close();
  text.line(
      "{}[at] = {};",
      signature.name({Parameter::Data, true, output}),
      narrow(text, type, program.outputs[output], "sum"));
  text.close();
  auto kernel = finish(
      text,
      signature,
      program,
      layout,
      threads,
      fmt::format("The sums of output {} from their parts.", output));
  kernel.work_of_block = threads.block;
  return kernel;
}

} // namespace zmlx::backend::cfamily
