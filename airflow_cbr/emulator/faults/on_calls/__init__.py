"""Faults of calls, one kind in each module."""
