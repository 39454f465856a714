"""Ctrl-C in operations: what it leaves in a process whose exceptions are kept, as a notebook keeps them."""

import pytest

from rusty_py import Adapter

from .children import outcome

# At the start of any function of ours, and behind any call of C in them: there the interpreter may raise it.
SWEEP = """
import faulthandler
import rusty_py as rp
faulthandler.dump_traceback_later(100, exit=True)
d = Device(timeout_s=5.0)
X = np.arange(63, dtype=np.float32).reshape(7, 9)
APART = ("__del__", "<locals>.free", "<locals>.answer")
left, where = 0, ""

def watch(frame, event, argument):
    global left, where
    name = frame.f_code.co_qualname
    if event not in ("call", "c_return") or "rusty_py" not in frame.f_code.co_filename:
        return
    if any(part in name for part in APART):  # Where an exception cannot leave the function.
        return
    left -= 1
    if left == 0:
        sys.setprofile(None)
        where = f"{{name}}:{{frame.f_lineno}} {{event}}"
        raise KeyboardInterrupt

def planned(x):
    return x + 1

inner = rp.fuse(lambda x: rp.tanh(x * 0) + x)

@rp.fuse
def fused(x):
    return inner(x) + rp.exp(x * 0)

def captured(x):
    with d.capture() as graph:
        y = x + 1
    graph.replay()
    return y

def work():
    d.cache.forget_plans()
    fused._known.clear()
    return {work}(rp.array(X, device=d)).numpy()

work()
wrong, kept, n = [], [], 0
while True:
    n += 1
    left, where = n, ""
    sys.setprofile(watch)
    try:
        work()
    except KeyboardInterrupt as error:
        kept.append(error)
    except Exception as error:
        wrong.append(f"{{where}}: raised {{error!r}}")
    finally:
        sys.setprofile(None)
    if not where or len(wrong) > 20:
        break
    try:
        if not (work() == X + 1).all():
            wrong.append(f"{{where}}: wrong")
    except Exception as error:
        wrong.append(f"{{where}}: {{error!r}}")
        d = Device(timeout_s=5.0)
    if d.recorders or d.composing or d.queue.mapped:
        wrong.append(f"{{where}}: something is left")
        d = Device(timeout_s=5.0)
    kept = kept[-5:]
print(*wrong or [n > 100], sep="\\n")
"""


@pytest.mark.parametrize("work", ["planned", "fused", "captured"])
def test_ctrl_c_anywhere_in_an_operation_leaves_a_device_that_computes(adapter: Adapter, work: str) -> None:
    assert outcome(SWEEP.format(work=work), timeout_s=120) == "True"
