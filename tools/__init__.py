"""Tools change a student: every move returns a new Recipe."""
