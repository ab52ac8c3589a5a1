// Quick float32 operations of a pass become chains: what one of them gives
// another takes in a vector register. Fewer loops over the block, and above
// all fewer stores to it.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

using How = Link::Act;

How act_of(Op op) {
  return op == Op::Add ? How::Add
      : op == Op::Sub  ? How::Sub
      : op == Op::Mul  ? How::Mul
                       : How::Div;
}

// b op a as a on b.
How reversed(How act) {
  return act == How::Sub ? How::SubFrom : act;
}

How with_other(How act) {
  return act == How::Add    ? How::AddOther
      : act == How::Sub     ? How::SubOther
      : act == How::SubFrom ? How::SubFromOther
                            : How::MulOther;
}

// Appending to a chain; false where it would be too long.
struct Writer {
  Chained& to;

  bool link(How act, bool second = false, uint8_t operand = 0) {
    if (to.chain.size == kMaxLinks) {
      return false;
    }
    to.chain.links[to.chain.size++] = {act, second, operand};
    return true;
  }

  bool memory(How act, bool second, uint16_t reg, size_t mask) {
    int k = 0;
    while (k < to.operands && to.in[k] != reg) {
      ++k;
    }
    if (k == static_cast<int>(kMaxOperands)) {
      return false;
    }
    to.in[k] = reg;
    to.mask[k] = mask;
    to.operands = std::max(to.operands, k + 1);
    return link(act, second, static_cast<uint8_t>(k));
  }

  bool all_of(const Chained& from, bool second) {
    for (size_t n = 0; n < from.chain.size; ++n) {
      const Link& own = from.chain.links[n];
      const bool reads = own.act < How::Square;
      if ((own.second && second) ||
          !(reads ? memory(
                        own.act,
                        own.second || second,
                        from.in[own.operand],
                        from.mask[own.operand])
                  : link(own.act, own.second || second))) {
        return false;
      }
    }
    return true;
  }
};

bool needs_both(const Chained& c) {
  return std::any_of(
      c.chain.links.begin(),
      c.chain.links.begin() + c.chain.size,
      [](const Link& link) { return link.second; });
}

// a op b, where an operand without a chain is memory; nothing where that is
// more than a chain can be.
std::optional<Chained>
combine(How act, const Chained* a, const Chained* b, const Chained& memory) {
  Chained result;
  Writer writer{result};
  const auto load = [&](int k) {
    return writer.memory(How::Load, false, memory.in[k], memory.mask[k]);
  };
  const auto apply = [&](How how, int k) {
    return writer.memory(how, false, memory.in[k], memory.mask[k]);
  };
  bool fits = false;
  if (a && b && act != How::Div) {
    const bool swap = needs_both(*b);
    const How how = swap ? reversed(act) : act;
    fits = (!swap || !needs_both(*a)) && writer.all_of(swap ? *b : *a, false) &&
        writer.all_of(swap ? *a : *b, true) && writer.link(with_other(how));
  } else if (a && !b) {
    fits = writer.all_of(*a, false) && apply(act, 1);
  } else if (b && !a && act != How::Div) {
    fits = writer.all_of(*b, false) && apply(reversed(act), 0);
  } else if (!a && !b) {
    fits = load(0) && apply(act, 1);
  }
  return fits ? std::optional(result) : std::nullopt;
}

} // namespace

// Whether the step is an operation that chains have.
bool PassBuilder::links(const Step& step) const {
  const auto& it = pass_.code[step.to];
  return step.act == BoundPasses::Act::Compute && it.type == Type::F32 &&
      !joined_.contains(step.to) &&
      (it.op == Op::Add || it.op == Op::Sub || it.op == Op::Mul ||
       it.op == Op::Div);
}

void PassBuilder::make_chains() {
  const auto reads = count_reads();
  std::map<uint16_t, Chained> chains;
  for (const Step& step : plan_.block) {
    if (links(step)) {
      chains.emplace(step.to, chain_of(step, chains, reads));
    }
  }
  for (Step& step : plan_.block) {
    const auto own = chains.find(step.to);
    if (own != chains.end() && own->second.chain.size > 2) {
      static_cast<Chained&>(step) = own->second;
      step.compute = find_chain(step.chain);
    }
  }
  for (size_t i = 0; i < plan_.reductions.size(); ++i) {
    auto& reduction = plan_.reductions[i];
    const auto own = chains.find(reduction.value);
    if (pass_.reductions[i].op == Op::Sum && own != chains.end() &&
        may_move(reduction.value, 1, own->second, reads)) {
      static_cast<Chained&>(reduction) = own->second;
      reduction.joined = find_chain_sum(reduction.chain);
    }
  }
  for (auto& add : plan_.adds) {
    const bool float32 = register_type(pass_.code[add.value].type) == Type::F32;
    if (!add.along || !float32) {
      continue;
    }
    const auto own = chains.find(add.value);
    if (own != chains.end() && may_move(add.value, 1, own->second, reads)) {
      static_cast<Chained&>(add) = own->second;
    } else {
      Writer{add}.memory(How::Load, false, add.value, add.value_mask);
    }
    add.joined = find_chain_accumulate(add.chain);
    add.joined_floats = find_chain_accumulate_floats(add.chain);
  }
  drop_unread(chains);
}

// Whether a reader may make the value itself: it is the only one, or that costs
// less than to store the value, as all that it is made of lies in memory.
bool PassBuilder::may_move(
    uint16_t reg,
    int own_reads,
    const Chained& chain,
    const std::vector<int>& reads) {
  return !kept(reg) &&
      (reads[reg] == own_reads ||
       (chain.chain.size == 2 && pass_.code[reg].op != Op::Div));
}

Chained PassBuilder::chain_of(
    const Step& step,
    const std::map<uint16_t, Chained>& chains,
    const std::vector<int>& reads) {
  const bool twice = step.in[0] == step.in[1];
  const auto inner = [&](int k) -> const Chained* {
    const auto found = chains.find(step.in[k]);
    return found != chains.end() &&
            may_move(step.in[k], twice ? 2 : 1, found->second, reads)
        ? &found->second
        : nullptr;
  };
  const Chained *a = inner(0), *b = inner(1);
  const How act = act_of(pass_.code[step.to].op);
  if (twice && a && act == How::Mul) {
    Chained square = *a;
    if (Writer{square}.link(How::Square)) {
      return square;
    }
  }
  if (!twice) {
    using Pair = std::pair<const Chained*, const Chained*>;
    for (const auto& [x, y] :
         {Pair{a, b}, Pair{a, nullptr}, Pair{nullptr, b}}) {
      auto chain = combine(act, x, y, step);
      if (chain) {
        return *chain;
      }
    }
  }
  return combine(act, nullptr, nullptr, step).value();
}

// Steps whose values are made where they are read.
void PassBuilder::drop_unread(const std::map<uint16_t, Chained>& chains) {
  std::vector<bool> read(pass_.code.size());
  const auto mark = [&](const Chained& reader) {
    for (int k = 0; k < reader.operands; ++k) {
      read[reader.in[k]] = true;
    }
  };
  for (const auto& reduction : plan_.reductions) {
    mark(reduction);
    read[reduction.value] = read[reduction.value] || !reduction.joined;
  }
  for (const auto& add : plan_.adds) {
    mark(add);
    read[add.value] = read[add.value] || !add.joined;
  }
  for (const auto& store : plan_.stores) {
    read[store.value] = true;
  }
  std::vector<bool> gone(plan_.block.size());
  for (size_t n = plan_.block.size(); n-- > 0;) {
    const Step& step = plan_.block[n];
    gone[n] = !read[step.to] && step.kept < 0 && chains.contains(step.to);
    if (!gone[n]) {
      mark(step);
    }
  }
  remove(gone);
}

} // namespace zmlx::backend::cpu
