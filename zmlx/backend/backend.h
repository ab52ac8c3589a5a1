#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/backend/address.h"
#include "zmlx/export.h"
#include "zmlx/lang/program.h"

/// The seam between programs and devices. A *peer* is what runs programs on one
/// kind of device. It owns three things:
///  - memory: what it allocates or imports, reached by Address;
///  - order: a Queue does what it is given one after the other;
///  - execution: it compiles programs, and compiles lists of launches into
///    sequences that are run again and again.
/// Nothing above this seam knows which device it is.
namespace zmlx::backend {

namespace mx = mlx::core;

class Peer;

/// An array in the memory of a peer. Strides are in elements and may be 0
/// (broadcast) or negative. Where `at` is given it is the address of an int32
/// in the peer's memory, and element 0 is found when the launch runs: at
/// data + *at * at_stride elements (the row of a table that the token names,
/// the place in a cache that the position names). A number outside 0 .. places
/// - 1 is taken for the nearest one; who made it is to be told by its maker.
/// Maps and rows take such views for inputs and outputs, products and attention
/// do not.
struct View {
  Address data;
  lang::Type type = lang::Type::F32;
  lang::Shape shape;
  lang::Strides strides;
  Address at = {};
  int64_t at_stride = 0;
  int64_t places = 1; // that *at may name
};

/// An index that an input gave and that lies outside the array it names. It was
/// read as 0 and written nowhere.
struct Fault {
  int64_t index = 0;
  int64_t length = 0; // 0 .. length - 1 would have been right
  bool rows = false; // of the array, else places of its row
  bool output = false; // of this output, else of this input
  int number = 0;
};

/// When a launch of a sequence may read an input.
enum class Reads : uint8_t {
  /// Once the launches before it that write there are done.
  InOrder,
  /// The same, but it may well be long before the launch itself begins: of what
  /// no launch of the sequence writes (weights, tables), at any time after the
  /// sequence began. Worth asking for ahead.
  Early,
  /// Keys and values: the rows before the last one that the length names are
  /// read as Early; that last row, which the same step appends, InOrder.
  EarlyButLastRow,
};

/// What a launch does to the memory it is bound to, from which sequences derive
/// their order: inputs are read as `inputs` says, one entry per input; all
/// outputs are written, none before the launches are done that read or write
/// the same memory.
struct Effects {
  std::vector<Reads> inputs;
};

/// A program ready to run on a device. Immutable; safe from any thread.
class Executable {
 public:
  virtual ~Executable() = default;

  virtual const Effects& effects() const = 0;

  /// Whether a launch may have a fault: an index depends on an input.
  virtual bool can_fault() const {
    return false;
  }

  /// Computes outputs of their shapes and types, which have no memory yet,
  /// inside an eval of MLX on this stream: queues the work in the stream's
  /// order and returns, but where it can fault waits for the work and returns
  /// the fault. EnvironmentError where memory is missing.
  virtual std::optional<Fault> evaluate(
      mx::Stream stream,
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) const = 0;
};

/// Bytes of a peer, kept as long as a copy of this lives.
struct Memory {
  Address address;
  size_t bytes = 0;
  std::shared_ptr<const void> owner;
};

/// How a launch may share time with others. A peer may ignore all of it.
struct Hints {
  /// Items that follow each other with the same number may run at once.
  int group = -1;
  /// The item (by its number in the list) whose launch may run this one too,
  /// when it is done: it reads little else than that one's results.
  int tail_of = -1;
};

/// One launch of a sequence.
struct SequenceItem {
  std::shared_ptr<const Executable> executable; // of the same peer
  std::vector<View> inputs, outputs;
  Hints hints = {};
};

/// Launches compiled together by a peer, to be run any number of times. What
/// the views point to is read when it runs. The result is as if the items ran
/// one after the other in their order; how much of that order a peer keeps it
/// decides by their effects (backend/order.h).
class Sequence {
 public:
  virtual ~Sequence() = default;
  /// The first fault of the runs that the queue has been waited for, with the
  /// number of its item.
  virtual std::optional<std::pair<int, Fault>> fault() const = 0;
};

/// Work that a peer does in the order in which it is given. One queue is used
/// by one thread at a time.
class Queue {
 public:
  virtual ~Queue() = default;
  /// `from` has been read when it returns.
  virtual void copy_in(Address to, const void* from, size_t bytes) = 0;
  /// Waits for what was given before.
  virtual void copy_out(void* to, Address from, size_t bytes) = 0;
  /// The same without waiting: `to` holds the bytes once the queue has been
  /// waited for up to the mark that this returns. Marks grow.
  virtual uint64_t begin_copy_out(void* to, Address from, size_t bytes) = 0;
  virtual void wait_for(uint64_t mark) = 0;
  /// Within the peer; the two do not overlap.
  virtual void copy(Address to, Address from, size_t bytes) = 0;
  /// The sequence must live until the queue has been waited for.
  virtual void run(Sequence& sequence) = 0;
  virtual void wait() = 0;
};

/// What a reader of a report should know.
struct PeerFacts {
  int threads = 1; // of the host, that launches use
  std::string instructions; // "AVX2", "sm_90"; empty where nobody knows
};

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0; // "cpu"
  virtual PeerFacts facts() const = 0;

  /// Zeroed memory, aligned to 64 bytes. Where the system can do so, pages
  /// that are never touched cost nothing. EnvironmentError where there is not
  /// as much.
  virtual Memory allocate(size_t bytes) const = 0;
  /// The elements of an evaluated array in row-major order: its own memory,
  /// kept alive, where that will do, else a copy. They do not change as long
  /// as the array does not.
  virtual Memory import(const mx::array& a) const = 0;

  virtual std::unique_ptr<Queue> queue() const = 0;

  /// Nothing when the program can run here, else the reason. Compiles nothing.
  virtual std::optional<std::string> unsupported(
      const lang::Program& program) const = 0;
  virtual std::shared_ptr<const Executable> compile(
      const lang::Program& program) const = 0;
  /// The code that arrays of these shapes are computed by, for people to read;
  /// one sentence with the reason where there is none to show.
  virtual std::string listing(
      const lang::Program& program,
      std::span<const lang::Shape> inputs,
      std::span<const lang::Shape> outputs) const = 0;
  /// `scratch` is memory that means nothing before and after a run, but for
  /// what `kept` lists. InternalError for executables of another peer and for
  /// views that do not fit them.
  virtual std::unique_ptr<Sequence> sequence(
      std::vector<SequenceItem> items,
      const Memory& scratch,
      const std::vector<View>& kept) const = 0;
};

/// The peer that runs what is evaluated on streams of this device; null where
/// there is none.
ZMLX_API const Peer* find_peer(mx::Device device);

/// Its facts; those of no peer where there is none.
ZMLX_API PeerFacts peer_facts(mx::Device device = mx::default_device());

/// Makes a peer known from a static object. InternalError where the device has
/// another one already.
struct ZMLX_API AddPeer {
  AddPeer(mx::Device device, const Peer& peer);
};

} // namespace zmlx::backend
