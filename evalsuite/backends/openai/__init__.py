"""Any server that speaks OpenAI's protocol: kept busy, retried, held to a budget.

The backend itself is in `backend.py`; what it is made of stands beside it, one word each.
"""
