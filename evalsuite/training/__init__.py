"""Reference trainers: objectives (pure functions), methods, recipes, and the one loop that trains them all."""
