"""Students: everything that answers a Call."""
