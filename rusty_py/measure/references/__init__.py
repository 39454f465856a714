"""Other libraries to compare with."""

from rusty_py.measure.references.task import ReferenceTask as ReferenceTask
from rusty_py.measure.references.task import compared as compared
from rusty_py.measure.references.task import task_of as task_of
