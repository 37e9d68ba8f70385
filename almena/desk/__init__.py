"""The desk: alerts are grouped, checked against suppressions, stored, and told to the people on call."""
