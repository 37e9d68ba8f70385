"""What `make bench` measures; figures are medians with their spread, on the machine at hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
