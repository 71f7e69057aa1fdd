"""
Runs when Triton's Python process starts. That process brings a libpython of its own, whose lock in C misses what the
standard library of the installed Python 3.11 asks of it; the lock in Python has it.
"""
import threading
from multiprocessing import resource_tracker

if not hasattr(threading.RLock(), "_recursion_count") and hasattr(threading._PyRLock, "_recursion_count"):
    resource_tracker._resource_tracker._lock = threading._PyRLock()
