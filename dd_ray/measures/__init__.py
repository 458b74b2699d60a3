"""Measures: pure functions over outputs and targets."""
