"""Decide everything about a training run from the data set and the user's options.

This is the only place that decides. Every decision comes with its reason.
"""

from medgan.base.overrides import Overrides
from medgan.plan.flat import explain
from medgan.plan.plan import Budget, Frame, Plan, Recipe
from medgan.plan.rules import decide, decide_frame

__all__ = ["Budget", "Frame", "Overrides", "Plan", "Recipe", "decide", "decide_frame", "explain"]
