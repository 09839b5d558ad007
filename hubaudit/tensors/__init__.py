"""Tensor tables: what a checkpoint holds, and how two checkpoints compare."""
