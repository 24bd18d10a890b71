"""Objectives (pure functions), batches and the loop that trains small checkpoints on this machine."""
