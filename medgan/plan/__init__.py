"""Decide everything about a training run from the data set and the user's options.

This is the only place that decides. Every decision comes with its reason.
"""

from medgan.base.overrides import Overrides
from medgan.plan.plan import Plan, explain
from medgan.plan.rules import decide

__all__ = ["Overrides", "Plan", "decide", "explain"]
