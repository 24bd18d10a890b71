"""Annotations to rankings with intervals, as the field's leaderboards compute them: `ranking.rank` does all of it."""
