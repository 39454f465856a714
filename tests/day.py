"""The day by which tests take turns; `RUSTY_TEST_DAY=2026-11-27` repeats that of another day."""

import os
from datetime import date

# In the environment, so that all processes of a run have the same one.
DAY = date.fromisoformat(os.environ.setdefault("RUSTY_TEST_DAY", date.today().isoformat())).toordinal()
