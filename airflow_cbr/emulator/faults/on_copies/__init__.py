"""Faults of copies, and of the backups of a checkpoint; one kind in each module."""
