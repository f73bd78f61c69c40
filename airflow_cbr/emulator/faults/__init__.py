"""What goes wrong, on which call, copy or machine, and when. A kind of fault is one module of a folder here, where it is found.

The rest of the emulator knows the moments at which a fault may act (:mod:`airflow_cbr.emulator.faults.base`), and no kind.
"""

import importlib
import pkgutil

from airflow_cbr.emulator.faults import on_calls, on_copies, on_machines
from airflow_cbr.emulator.faults.base import (
    Arrival,
    CallFault,
    CheckpointFault,
    Copy,
    CopyFault,
    Ending,
    ImageFault,
    InjectedFault,
    ServerFault,
)
from airflow_cbr.emulator.faults.in_force import FaultsInForce
from airflow_cbr.emulator.faults.registry import KINDS, AnyFault

__all__ = [
    "KINDS",
    "AnyFault",
    "Arrival",
    "CallFault",
    "CheckpointFault",
    "Copy",
    "CopyFault",
    "Ending",
    "FaultsInForce",
    "ImageFault",
    "InjectedFault",
    "ServerFault",
]

for _folder in (on_calls, on_copies, on_machines):
    for _found in pkgutil.iter_modules(_folder.__path__, f"{_folder.__name__}."):
        for _model in vars(importlib.import_module(_found.name)).values():
            if isinstance(_model, type) and issubclass(_model, InjectedFault) and _model.__module__ == _found.name:
                KINDS.register(_model)
