"""Features: directions over embeddings of texts, found without labels, described, measured, read on any text."""
