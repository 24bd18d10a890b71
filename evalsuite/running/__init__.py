"""Executes a plan: backend → completions → scores → store; resumes; tells its progress."""

from evalsuite.running.engine import Engine, answer
from evalsuite.running.run import rescore_run, run_plan

__all__ = ["Engine", "answer", "rescore_run", "run_plan"]
