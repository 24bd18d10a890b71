"""Any local engine on the machines of a Ray cluster: work stolen by whoever is free, and redone where a worker dies.

The backend itself is in `backend.py`; what it is made of stands beside it, one word each.
"""
