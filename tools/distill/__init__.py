"""Labels from others than people: how they are made, kept and used."""
