"""Fingerprint + overrides -> Plan: the only place that decides, with a reason for every decision."""

from medgan.plan.plan import Overrides, Plan, explain
from medgan.plan.rules import decide

__all__ = ["Overrides", "Plan", "decide", "explain"]
