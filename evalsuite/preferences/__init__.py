"""Preference data: what a dataset can measure, what its annotators reward, and what to do about it."""
