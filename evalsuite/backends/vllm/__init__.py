"""vLLM's offline engine: text, log-likelihoods, rewards and embeddings of a local folder.

The backend itself is in `backend.py`; what it is made of stands beside it, one word each.
"""
