"""Tasks × model → tokenised, deduplicated units of work, by stage, with their cost."""

from evalsuite.planning.options import Options
from evalsuite.planning.plan import Plan, Stage, Window, compile_plan, next_stage
from evalsuite.planning.task import Task, bind, bind_all, without_examples
from evalsuite.planning.units import Planner

__all__ = [
    "Options",
    "Plan",
    "Planner",
    "Stage",
    "Task",
    "Window",
    "bind",
    "bind_all",
    "compile_plan",
    "next_stage",
    "without_examples",
]
