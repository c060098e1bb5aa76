"""The chart: every way of installing it is rendered, compared and validated."""
