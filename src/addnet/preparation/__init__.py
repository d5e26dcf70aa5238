"""Piles of pictures and videos → what training reads: the engine it runs on, and the report at its end."""
