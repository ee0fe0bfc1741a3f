"""The built-in tasks; they come through the same door as anybody else's."""
