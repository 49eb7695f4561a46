//===- Calls.h - The interpreter around calls of the library ---*- C++ -*-===//
//
// What calls of the library need of Python: the GIL given back and taken again,
// signals, and a process that may end while another thread is inside one.
//
//===----------------------------------------------------------------------===//
#ifndef FOVEA_PYTHON_CALLS_H
#define FOVEA_PYTHON_CALLS_H

#include "fovea-c/fovea.h"

#include <Python.h>

#include <functional>

namespace fovea::python {
/// Gives the GIL back for its lifetime.
///
/// A daemon thread that wants the GIL again while the interpreter ends is ended
/// by Python through its C++ frames, which would end the process (Python 3.14
/// lets it hang; so does this class).
class WithoutGIL {
public:
  WithoutGIL();
  ~WithoutGIL();
  WithoutGIL(const WithoutGIL &) = delete;
  WithoutGIL &operator=(const WithoutGIL &) = delete;

private:
  PyThreadState *state;
};

/// Whether a signal's handler raised; for should_cancel, called without the
/// GIL. Signals reach Python on the main thread alone.
int signalsPending(void *);

/// Runs `work` without the GIL. On the main thread, where signals arrive, it
/// runs in a thread of its own (unless addresses are limited), so that a
/// signal's exception ends the call with FOVEA_CANCELLED at once: `work` then
/// goes on unheard, and owns all it uses.
fovea_status runInterruptibly(std::function<fovea_status()> work);

/// From the first call on, a process that ends while a thread is inside the
/// library leaves without the destructors of what that thread uses.
void watchExit();
} // namespace fovea::python

#endif // FOVEA_PYTHON_CALLS_H
