"""A local folder with transformers, in this process: prefixes computed once, text in continuous batches.

The backend itself is in `backend.py`; what it is made of stands beside it, one word each.
"""
