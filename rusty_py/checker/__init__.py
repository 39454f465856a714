"""Proves WGSL kernels without a GPU: `check` runs their Metal translation where every access is seen.

docs/checking.md says what that proves, and what it cannot.
"""

from rusty_py.checker.check import check as check
from rusty_py.checker.report import CheckRun as CheckRun
from rusty_py.checker.report import Finding as Finding
from rusty_py.checker.report import Report as Report
from rusty_py.checker.report import SourceSpan as SourceSpan
from rusty_py.checker.report import Thread as Thread
