"""Which files a loader would open: loaded, fallback, code or never, and why. Reads nothing itself."""

from hubaudit.loadpath.documents import wanted
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.plan import LoadPlan, plan
from hubaudit.loadpath.repository import Problem

__all__ = ["LoadOptions", "LoadPlan", "Problem", "plan", "wanted"]
