"""Executes a plan: backend → completions → scores → store; resumes; tells its progress."""

from evalsuite.running.engine import Engine, answer
from evalsuite.running.judged import ReadyJudge, judge_run
from evalsuite.running.run import rescore_run, run_plan

__all__ = ["Engine", "ReadyJudge", "answer", "judge_run", "rescore_run", "run_plan"]
