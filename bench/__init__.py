"""What `make bench` measures; figures are medians with their spread, on the machine at hand."""
