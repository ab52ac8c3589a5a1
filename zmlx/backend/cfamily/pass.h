#pragma once

#include <map>
#include <string>
#include <vector>

#include "zmlx/backend/cfamily/signature.h"

namespace zmlx::backend::cfamily {

/// Writes the statements of passes. What stands around them (which row, which
/// places) is the kernel's, which declares before it calls:
///  - `row` and for each array that moves along rows NAME_row, its first
///    element in this row (open_row());
///  - around places: `place`, the first of a vector; its vectors of inputs are
///    read by read_vectors() into NAME_vector.
class PassWriter {
 public:
  PassWriter(
      Text& text,
      Signature& signature,
      const lang::Program& program,
      const Layout& layout,
      const Threads& threads);

  /// Starts a pass: its registers are named from now on.
  void begin(const lang::Pass& pass);

  /// Before all rows: where the arrays begin (View::at).
  void open_arrays();
  /// The start of each array in row `row`, and what is the same along it.
  void open_row();

  /// Declares NAME_vector, for `count` steps where that is not 0.
  void declare_vectors(int count);
  /// Whether the pass reads vectors that have not been declared yet.
  bool has_new_vectors() const;
  /// Reads the vectors at `place`; `step` is "" or the index of the step.
  void read_vectors(const std::string& step);
  /// Of the next pass: what was declared is still there.
  void keep_vectors();

  /// What is the same for the whole row.
  void uniform_values();
  /// Whether anything is done at places.
  bool visits_places() const;
  /// Whether the places of a pass follow each other: a running sum.
  bool scans() const;
  bool scans_backwards() const;
  /// Before the places: partial results of reductions, of running sums.
  void declare_totals();
  /// The values at `place` and what becomes of them.
  void values(const std::string& step);
  /// After the places: reductions are known to all threads of the team.
  void finish_totals();
  /// Outputs that are sums: what is held for them over all rows, and what
  /// becomes of it. `kept` are vectors that the thread holds.
  void declare_sums(bool kept);
  void write_sums(bool kept);

  /// Stores of one value per row, by the thread for which `who` is true.
  void store_uniform(const std::string& who);

  /// The condition under which a place of the vector is one of the row; ""
  /// where all are.
  std::string inside() const;

 private:
  struct Vector { // an input or a taken row that is read in vectors
    std::string name; // of the vector
    lang::Type type;
    std::string from; // the address of the row
    Step step;
    bool vector;
    std::string apart; // Step::Apart: the distance
    std::string condition; // of the row being there; "" for always
  };

  std::string reg(int number) const;
  std::string row_of(bool output, int number);
  const OperandLayout& operand(bool output, int number) const;
  void open_axes(const std::vector<int>& axes, const std::string& from);
  void declare(int number, const std::string& value);
  void value(int number);
  void input(int number);
  void pick(int number);
  void random(int number);
  void take_row(int number);
  void element(int number);
  void scan(int number);
  void name_row(const lang::Store& store);
  void segment(int number, const std::string& step);
  void reduce(const lang::Reduction& reduction);
  void put(const lang::Store& store);
  void add(const lang::Store& store, const std::string& step);
  bool is_sum(const lang::Store& store) const;
  bool is_packed(const lang::Store& store) const;
  std::vector<int> sums() const;
  Vector vector_of(int number);
  std::string key_of(int number) const;
  bool is_vector(int number) const;
  void find_segments();

  Text& text_;
  Signature& signature_;
  const lang::Program& program_;
  const Layout& layout_;
  const Threads& threads_;
  const lang::Pass* pass_ = nullptr;
  std::vector<bool> needed_, given_, crosses_;
  std::vector<int> segment_;
  int last_segment_ = 0;
  std::map<std::string, bool> read_; // vectors that are there already
  bool sums_kept_ = false;
};

} // namespace zmlx::backend::cfamily
