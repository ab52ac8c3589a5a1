#pragma once

#include <memory>
#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::backend::cpu {

/// A sequence as rounds of launches that the threads share (pool.h). Items of
/// one group that do not wait for each other are one round; an item that is the
/// tail of another runs at the end of that one's round, in the thread that is
/// done there last.
std::unique_ptr<Sequence> make_sequence(std::vector<SequenceItem> items);

/// Runs it on the pool's threads and returns when it is done. InternalError for
/// a sequence of another peer.
void run_sequence(Sequence& sequence);

} // namespace zmlx::backend::cpu
